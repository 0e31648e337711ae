"""TLS and mutual TLS with certificates made here."""

from __future__ import annotations

import os
import socket as sockets
import tempfile
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from certificates import Pki, certify
from smartex_chassis import ChassisServer, PeerSettings, SettingsInvalid, StartupError, load, peer_channel
from smartex_chassis.ports import unix_address


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


async def _call(venue: Any, server: ChassisServer, credentials: grpc.ChannelCredentials | None) -> bytes:
    address = f"127.0.0.1:{server.port}"
    channel: Any = (
        grpc.aio.insecure_channel(address)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials)
    )
    async with channel:
        call = channel.unary_unary("/smartex.test.v1.EchoService/UnaryUnary")
        metadata = (("authorization", f"Bearer {venue.token()}"),)
        return bytes(await call(b"x", metadata=metadata, timeout=60))


async def _refused(venue: Any, server: ChassisServer, credentials: grpc.ChannelCredentials | None) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(venue, server, credentials)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_tls_serves_who_trusts_it_and_nobody_in_the_clear(venue: Any, pki: Pki, tmp_path: Path) -> None:
    server = await venue.start(**pki.one_way())
    assert await _call(venue, server, pki.credentials()) == b"x"
    await _refused(venue, server, None)
    await _refused(venue, server, grpc.ssl_channel_credentials(certify("another authority").pem))


async def test_mutual_tls_serves_only_certified_clients(venue: Any, pki: Pki) -> None:
    server = await venue.start(**pki.files)
    assert await _call(venue, server, pki.credentials(certify("client", pki.authority))) == b"x"
    await _refused(venue, server, pki.credentials())
    await _refused(venue, server, pki.credentials(certify("client", certify("another authority"))))


async def test_a_certificate_is_no_token(venue: Any, pki: Pki) -> None:
    server = await venue.start(**pki.files)
    credentials = pki.credentials(certify("client", pki.authority))
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        call: Any = channel
        refusal = await venue.refusal(call.unary_unary("/smartex.test.v1.EchoService/UnaryUnary")(b"x"))
    assert refusal.reason == "TOKEN_MISSING"


async def test_a_renewed_certificate_is_shown_to_who_connects_next(
    venue: Any, pki: Pki, tmp_path: Path
) -> None:
    """Or everybody would be shut out when the first one expires."""
    server = await venue.start(**pki.files)
    client = certify("client", pki.authority)
    assert await _call(venue, server, pki.credentials(client)) == b"x"
    renewed = Pki(tmp_path / "renewed")
    for name, file in pki.files.items():
        os.replace(renewed.files[name], file)
    await _refused(venue, server, pki.credentials(client))
    own = certify("client", renewed.authority)
    assert await _call(venue, server, renewed.credentials(own)) == b"x"

    # What is no pair, or away, is not shown; the next whole one is.
    pki.files["tls_key_file"].write_bytes(client.key_pem)
    assert await _call(venue, server, renewed.credentials(own)) == b"x"
    pki.files["tls_cert_file"].unlink()
    assert await _call(venue, server, renewed.credentials(own)) == b"x"
    again = Pki(tmp_path)
    assert await _call(venue, server, again.credentials(certify("client", again.authority))) == b"x"


async def test_a_service_shows_its_certificate_to_another(venue: Any, pki: Pki, tmp_path: Path) -> None:
    server = await venue.start(**pki.files)
    own = certify("positions", pki.authority)
    (tmp_path / "own.pem").write_bytes(own.pem)
    (tmp_path / "own.key").write_bytes(own.key_pem)
    authority = pki.files["tls_client_ca_file"]
    told = load(
        PeerSettings,
        exchange_ca_file=authority,
        exchange_cert_file=tmp_path / "own.pem",
        exchange_key_file=tmp_path / "own.key",
    )
    for settings, welcome in ((told, True), (load(PeerSettings, exchange_ca_file=authority), False)):
        address = f"127.0.0.1:{server.port}"
        async with peer_channel(address, venue.token, tls=settings.exchange_tls()) as channel:
            caller: Any = channel
            call = caller.unary_unary("/smartex.test.v1.EchoService/UnaryUnary")
            if welcome:
                assert await call(b"x", timeout=60) == b"x"
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(b"x", timeout=3)


def test_files_of_calls_are_looked_at_when_settings_are_loaded(pki: Pki, tmp_path: Path) -> None:
    """Not when somebody accepts the first proposal."""
    with pytest.raises(SettingsInvalid, match="no readable file"):
        load(PeerSettings, exchange_ca_file=tmp_path / "none")
    whole = {"exchange_cert_file": pki.files["tls_cert_file"], "exchange_key_file": pki.files["tls_key_file"]}
    with pytest.raises(SettingsInvalid, match="go together"):
        load(PeerSettings, exchange_cert_file=whole["exchange_cert_file"])
    with pytest.raises(SettingsInvalid, match="needs SMARTEX_EXCHANGE_CA_FILE"):
        load(PeerSettings, **whole)
    assert load(PeerSettings).exchange_tls() is None


async def test_files_that_are_no_pair_are_told(venue: Any, pki: Pki) -> None:
    pki.files["tls_key_file"].write_bytes(b"not a key")
    with pytest.raises(StartupError, match="SMARTEX_TLS_KEY_FILE"):
        await ChassisServer((venue.echo.module(),), venue.settings(**pki.one_way())).start()


async def test_a_socket_beside_the_port_speaks_in_the_clear(venue: Any, pki: Pki, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "run" / "grpc.sock"
        socket.parent.mkdir()
        # As a killed server leaves it.
        with sockets.socket(sockets.AF_UNIX) as left:
            left.bind(str(socket))
        server = await venue.start(beside=socket, **pki.files)
        await _refused(venue, server, None)
        async with grpc.aio.insecure_channel(unix_address(socket)) as channel:
            call: Any = channel
            stub = call.unary_unary("/smartex.test.v1.EchoService/UnaryUnary")
            assert (
                await stub(b"x", metadata=(("authorization", f"Bearer {venue.token()}"),), timeout=60) == b"x"
            )
            refusal = await venue.refusal(stub(b"x"))
        assert refusal.reason == "TOKEN_MISSING"
        await server.drain()
        assert not socket.exists()
    with pytest.raises(StartupError, match="at most 107 bytes"):
        await venue.start(beside=tmp_path / ("long" * 30), **pki.files)
