"""What Numba keeps on the disk is right after a kill, and SciPy is not loaded for it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MODULE = """
import smartex_wire.numba_setup
from numba import njit

@njit(cache=True)
def kernel(x):
    return x + {added}

kernel._cache._cache_file._source_stamp = "{stamp}"
"""

CUT_SECOND_WRITE = """
import os
replace, writes = os.replace, []
def once(source, target):
    writes.append(target)
    if len(writes) == 2:
        os._exit(9)
    replace(source, target)
os.replace = once
"""

READ_ONLY = """
import builtins, errno, tempfile
def refuse(*_, **__):
    raise OSError(errno.EROFS, "Read-only file system")
def reading(path, mode="r", *more, really=open, **options):
    return refuse() if "w" in mode else really(path, mode, *more, **options)
tempfile.TemporaryFile, builtins.open = refuse, reading
"""


def run(folder: Path, code: str) -> tuple[int, str]:
    # -B: Python tells sources apart by second and size, and these are written anew within a second.
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.strip()


def result(folder: Path) -> str:
    code, said = run(folder, "import kept; print(kept.kernel(1), kept.kernel.stats.cache_hits)")
    assert code == 0
    return said


def test_a_kill_while_new_code_is_written_leaves_no_old_code_behind(tmp_path: Path) -> None:
    module = tmp_path / "kept.py"
    module.write_text(MODULE.format(added=1, stamp="old"))
    assert result(tmp_path) == "2 Counter()"
    assert result(tmp_path).startswith("2 Counter({")  # it was kept
    module.write_text(MODULE.format(added=10, stamp="new"))
    code, _ = run(tmp_path, CUT_SECOND_WRITE + "import kept; kept.kernel(1)")
    assert code == 9
    assert result(tmp_path) == "11 Counter()"
    assert result(tmp_path).startswith("11 Counter({")


def test_what_other_sources_left_is_removed(tmp_path: Path) -> None:
    module = tmp_path / "kept.py"
    for number in range(3):
        module.write_text(MODULE.format(added=number, stamp=number))
        assert result(tmp_path).startswith(f"{1 + number} ")
        run(tmp_path, "import kept; print(kept.kernel(1.0))")
    assert len(list(tmp_path.glob("__pycache__/*.nbc"))) == 2


def test_kernels_of_an_image_are_used_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "image"))
    (tmp_path / "kept.py").write_text(MODULE.format(added=1, stamp="one"))
    assert result(tmp_path) == "2 Counter()"
    code, said = run(tmp_path, READ_ONLY + "import kept; print(kept.kernel(1), kept.kernel.stats.cache_hits)")
    assert code == 0
    assert said.startswith("2 Counter({")
    # What the image lacks is compiled, and who waits for it is told why.
    code, said = run(
        tmp_path,
        READ_ONLY
        + "import warnings, kept\nwith warnings.catch_warnings(record=True) as told: print(kept.kernel(1.5))\n"
        "print(*[warning.message for warning in told])",
    )
    assert code == 0
    assert said.startswith("2.5\ncompiled kernels cannot be kept in")


@pytest.mark.skipif(find_spec("scipy") is None, reason="SciPy is no dependency of this library")
def test_scipy_is_not_loaded_and_can_be_later(tmp_path: Path) -> None:
    code = (
        "import sys, smartex_wire.numba_setup; from numba import njit\n"
        "assert njit(lambda x: x + 1)(1) == 2\n"
        "assert not [name for name in sys.modules if name.startswith('scipy.linalg')]\n"
        "import scipy.linalg\n"
        "print(scipy.linalg.det([[2.0]]))"
    )
    assert run(tmp_path, code) == (0, "2.0")
