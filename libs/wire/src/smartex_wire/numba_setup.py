"""Import this before Numba compiles or loads a kernel: it starts without SciPy, and its files on disk are safe.

SciPy: Numba imports its linear algebra to learn whether it is there. No kernel of this project multiplies matrices,
and the import is a seventh of a service's start. Who imports SciPy later finds it.

Files: Numba names the file of a kernel's machine code by a number, and writes the index that points to it first. When
sources have changed, the new index points to the old code until the new code is written: a process that starts at that
moment, or any after a kill at that moment, would run old code on new data. Here the code is written first, to a file
named after the sources and the signature that it was compiled for.

A folder that nobody may write to: an image brings its kernels along in NUMBA_CACHE_DIR, and a pod's file system is
read-only. Numba takes only a folder that it can write to, and fails without one. Here one that is there is enough.
"""

import contextlib
import errno
import hashlib
import importlib
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from numba.core import caching

_MAY_NOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)


def _load_array_functions() -> None:
    if "scipy.linalg" in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # what Python takes for "not to be had"
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy.linalg"]


def _save(self: Any, key: Any, data: Any) -> None:
    """In the place of `IndexDataCacheFile.save`."""
    meant_for = f"{self._version} {self._source_stamp} {key}".encode()
    name = self._data_name(int.from_bytes(hashlib.blake2b(meant_for, digest_size=6).digest()))
    overloads = self._load_index()
    try:
        if not overloads:  # none, or all of other sources
            _remove_all_but(name, Path(self._cache_path), self._data_name_pattern)
        self._save_data(name, data)
        if overloads.get(key) != name:
            self._save_index({**overloads, key: name})
    except OSError as error:
        if error.errno not in _MAY_NOT_WRITE:
            raise
        warnings.warn(
            f"compiled kernels cannot be kept in {self._cache_path} ({error.strerror}): every start compiles them anew",
            RuntimeWarning,
            stacklevel=2,
        )


def _remove_all_but(name: str, folder: Path, pattern: str) -> None:
    stem, _, ending = pattern.partition("{number:d}")
    for path in folder.iterdir():
        if path.name.startswith(stem) and path.name.endswith(ending) and path.name != name:
            with contextlib.suppress(OSError):  # another process was faster
                path.unlink()


def _ensure_cache_path(self: Any) -> None:
    """In the place of `UserProvidedCacheLocator.ensure_cache_path`."""
    path = Path(self.get_cache_path())
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        if error.errno not in _MAY_NOT_WRITE or not os.access(path, os.R_OK | os.X_OK):
            raise


_load_array_functions()
caching.UserProvidedCacheLocator.ensure_cache_path = _ensure_cache_path  # type: ignore[method-assign, unused-ignore]
caching.IndexDataCacheFile.save = _save  # type: ignore[method-assign, unused-ignore]
