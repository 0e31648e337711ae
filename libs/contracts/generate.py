"""Generate the Python contracts and the API page from proto/ (`make proto`). `--check` only compares."""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from api_page import render_api_page

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
TARGET = ROOT / "libs/contracts/src"
PAGE = ROOT / "docs/API.md"


def proto_files() -> list[str]:
    """Every contract, relative to proto/, in a fixed order."""
    return sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))


def run_protoc(out: Path, descriptor_set: Path) -> None:
    """Write messages, services and type stubs below `out`, and the descriptors with comments into a file."""
    import grpc_tools  # type: ignore[import-untyped]

    includes = Path(grpc_tools.__file__).parent / "_proto"
    outputs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python")]
    outputs += [f"--{kind}_out=quiet:{out}" for kind in ("mypy", "mypy_grpc")]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{PROTO}",
            f"-I{includes}",
            f"--descriptor_set_out={descriptor_set}",
            "--include_source_info",
            *outputs,
            *proto_files(),
        ],
        check=True,
        env=_path_with_plugins(),
    )


def _path_with_plugins() -> dict[str, str]:
    import os

    bin_folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def stale_files(fresh: Path) -> list[str]:
    """Generated files that are missing, differ, or should no longer be there."""
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*_pb2*")}
    present = {path.relative_to(TARGET) for path in TARGET.rglob("*_pb2*") if "__pycache__" not in path.parts}
    differing = {
        path for path in wanted & present if not filecmp.cmp(fresh / path, TARGET / path, shallow=False)
    }
    return sorted(str(path) for path in (wanted ^ present) | differing)


def install(fresh: Path) -> None:
    """Replace the generated files by fresh ones."""
    for path in TARGET.rglob("*_pb2*"):
        if path.is_file():
            path.unlink()
    shutil.copytree(fresh, TARGET, dirs_exist_ok=True)


def main() -> int:
    """Generate, or with `--check` compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder, "python")
        fresh.mkdir()
        descriptor_set = Path(folder, "descriptors.binpb")
        run_protoc(fresh, descriptor_set)
        page = render_api_page(descriptor_set.read_bytes())
        if check:
            stale = stale_files(fresh)
            if not PAGE.exists() or PAGE.read_text("utf-8") != page:
                stale.append(str(PAGE.relative_to(ROOT)))
            if stale:
                print("stale, run `make proto`: " + ", ".join(stale))
            return 1 if stale else 0
        install(fresh)
        PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
