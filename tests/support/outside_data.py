"""Data that is not in the repository. Tests that need some are skipped where it is not.

SMARTEX_TEST_DATA names the folder (default: `shared/data` beside the repository).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("SMARTEX_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared/data")


def needs(path: Path, source: str) -> pytest.MarkDecorator:
    """Skip unless `path` is there; `source` says where to get it."""
    where = f"{path} is not there: get {source}, or name the folder above with SMARTEX_TEST_DATA"
    return pytest.mark.skipif(not path.exists(), reason=where)
