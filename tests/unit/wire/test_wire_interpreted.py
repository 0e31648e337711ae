"""The same source without the compiler, and the cache of the compiled one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import smartex_wire

HERE = Path(__file__).parent
pytestmark = pytest.mark.once


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="this is the interpreted run")
def test_the_interpreter_runs_the_same_tests() -> None:
    """With warnings as errors: an overflow of a NumPy scalar would be one."""
    files = ["test_wire_bytes.py", "test_wire_roundtrip.py", "test_wire_memory.py"]
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "--import-mode=importlib",
        ]
        + [str(HERE / file) for file in files],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert " passed" in run.stdout


WARM = """
import smartex_wire
from smartex_wire import _kernels
import numpy as np
none = np.empty(0, np.uint8)
_kernels.decode_flat(np.zeros(20, np.uint64), none, none)
stats = _kernels.decode_flat.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_the_cache_serves_the_next_process_until_any_source_changes(tmp_path: Path) -> None:
    package = Path(smartex_wire.__file__).parent
    copy = tmp_path / "smartex_wire"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def warm() -> str:
        run = subprocess.run(
            [sys.executable, "-c", WARM],
            env={**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    assert warm() == "0 1"
    assert warm() == "1 0"
    helper = copy / "_read.py"
    helper.write_text(helper.read_text() + "\n# changed\n")
    assert warm() == "0 1"


DEDICATED = """
import sys
import smartex_wire
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.descriptor_pb2 import FileDescriptorProto as File
from google.protobuf.descriptor_pool import DescriptorPool

for number in map(int, sys.argv[1:]):
    file, types = File(name=f"{number}.proto", package="p", syntax="proto3"), FieldDescriptorProto
    row, rows = file.message_type.add(name="Row"), file.message_type.add(name="Rows")
    row.field.add(name="a", number=number, type=types.TYPE_INT64, label=types.LABEL_OPTIONAL)
    rows.field.add(
        name="rows", number=1, type=types.TYPE_MESSAGE, label=types.LABEL_REPEATED, type_name=".p.Row"
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    codec = smartex_wire.codec(pool.FindMessageTypeByName("p.Rows"), dedicated=True)
    data = bytes((10, 2, number << 3, 5))
    _, found = codec.decode(data)
    print(found["a"].tolist(), codec.encode(found) == data)
"""


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_dedicated_kernels_from_the_cache_are_not_taken_for_one_another(tmp_path: Path) -> None:
    """Each was compiled as the first of its process, so only what their names say tells them apart."""

    def run(*numbers: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", DEDICATED, *map(str, numbers)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    good = "[5] True\n"
    assert run(1) == run(2) == good
    assert run(1, 2) == run(2, 1) == good + good
