"""The same source without the compiler: a subset of these tests in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.once
FILES = (
    "test_core_place.py",
    "test_core_change.py",
    "test_core_time.py",
    "test_core_ids.py",
    "test_core_operating.py",
    "test_core_snapshot.py",
)


@pytest.mark.timeout(240)
def test_under_the_interpreter() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider"]
        + [str(HERE / name) for name in FILES],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=HERE.parents[3],
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
