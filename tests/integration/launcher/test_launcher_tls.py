"""The whole exchange behind TLS, its own programs and the tour included."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from certificates import Pki, certify
from smartex_client import SmartexError, Tls, connect

Launch = Callable[..., Any]
NoneLeft = Callable[[list[psutil.Process]], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path with what addresses have to write otherwise."""
    with tempfile.TemporaryDirectory(prefix="smartex 100% ") as folder:
        yield Path(folder)


@pytest.mark.timeout(600)
async def test_mutual_tls_for_others_and_a_socket_for_its_own(
    folder: Path, launch: Launch, none_left: NoneLeft, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki = Pki(folder / "pki")
    for name, file in pki.files.items():
        monkeypatch.setenv(f"SMARTEX_{name.upper()}", str(file))
    exchange = launch(folder / "data").until_said("ready after")
    for command in exchange.commands():
        done = exchange.cli(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    line = next(line for line in exchange.said if "gRPC" in line)
    assert "mutual TLS" in line
    url = line.split("gRPC")[1].split(",")[0].strip()
    token = exchange.data / "profiles" / "alice.token"
    own = certify("client", pki.authority)
    certificate, key = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(own.pem)
    key.write_bytes(own.key_pem)
    tls = Tls(pki.files["tls_client_ca_file"], certificate, key)
    async with connect(url, token_file=token, tls=tls) as market:
        assert (await market.account()).account_id == 1001
    for strange in (False, Tls(pki.files["tls_client_ca_file"])):
        async with connect(url, token_file=token, tls=strange) as market:
            with pytest.raises(SmartexError):
                await market.account()

    socket = exchange.data / "run" / "grpc.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    family = exchange.family()
    assert exchange.interrupt() == 0
    assert not socket.exists()
    none_left(family)
