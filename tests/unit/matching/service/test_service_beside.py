"""What runs beside the pod is nice from its first import on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_module_runs_nicely_as_the_main_one_with_its_standard_input(tmp_path: Path) -> None:
    (tmp_path / "errand.py").write_text("import os, sys\nprint(__name__, os.nice(0), sys.stdin.read())\n")
    done = subprocess.run(
        [sys.executable, "-m", "matching.beside", "errand", "15"],
        input="hello",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        start_new_session=True,
    )
    name, niceness, said = done.stdout.split()
    assert (name, said) == ("__main__", "hello")
    assert int(niceness) >= min(19, os.nice(0) + 15)
