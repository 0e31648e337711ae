"""No URL of a reader's reaches into our network: private addresses in every disguise, redirects, rebinding."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels import webhook, webpush
from notifications.channels.http_guard import GuardedBackend, is_public, resolve
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Message,
    Outcome,
    Refused,
    Urgency,
)

MESSAGE = Message("d1", "k", Urgency.HIGH, "t", "b", "en")
SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


class Recorder(httpcore.AsyncNetworkBackend):
    """A network on which every connection is noted and fails."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        raise httpcore.ConnectError("nobody is there")


def answering(*answers: Iterable[str]) -> Any:
    """A resolver that gives one answer after the other, and counts."""
    left = list(answers)

    async def resolver(host: str, port: int) -> list[str]:
        return list(left.pop(0))

    return resolver


async def call(url: str, backend: httpcore.AsyncNetworkBackend) -> Outcome:
    channel = webhook.build({}, backend=backend)
    try:
        return await channel.send(Address(ChannelKind.WEBHOOK, url, SECRET), MESSAGE)
    finally:
        await channel.close()


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1", "nonsense", "",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_wrapping_makes_an_address_public(ip: ipaddress.IPv4Address) -> None:
    mapped = str(ipaddress.IPv6Address(int(ip) | 0xFFFF00000000))
    nat64 = str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | int(ip)))
    sixtofour = str(ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80)))
    public = is_public(str(ip))
    assert is_public(mapped) == public
    assert is_public(nat64) == public
    assert not is_public(sixtofour) or public


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]",
     "[::ffff:127.0.0.1]", "169.254.169.254", "[::ffff:169.254.169.254]", "127.0.0.1.", "①②⑦.⓪.⓪.①"],
)  # fmt: skip
async def test_every_spelling_of_this_machine_is_refused(host: str) -> None:
    network = Recorder()
    outcome = await call(f"https://{host}/hook", GuardedBackend(network=network))
    # What the resolver does not take for an address at all has no address: that is a failure, not a call.
    assert outcome == Refused("ADDRESS_FORBIDDEN") or not isinstance(outcome, Refused)
    assert network.connected == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::1]", "169.254.169.254"]
)
async def test_these_are_refused_by_name(host: str) -> None:
    assert await call(f"https://{host}/", GuardedBackend()) == Refused("ADDRESS_FORBIDDEN")


async def test_a_name_that_also_has_a_private_address_is_refused() -> None:
    network = Recorder()
    backend = GuardedBackend(answering(["93.184.216.34", "10.0.0.1"]), network)
    assert await call("https://both.example/", backend) == Refused("ADDRESS_FORBIDDEN")
    assert network.connected == []


async def test_rebinding_gains_nothing() -> None:
    """The name is looked up once; a second look-up, which would answer 127.0.0.1, is not made."""
    network = Recorder()
    backend = GuardedBackend(answering(["93.184.216.34"], ["127.0.0.1"]), network)
    first = await call("https://rebind.example/", backend)
    assert network.connected == ["93.184.216.34"]
    assert getattr(first, "maybe_sent", None) is False
    assert await call("https://rebind.example/", backend) == Refused("ADDRESS_FORBIDDEN")
    assert network.connected == ["93.184.216.34"]


class Loopback(httpcore.AsyncNetworkBackend):
    """A network on which every address is this machine."""

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", port)


def self_signed(folder: Path, name: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2120, 1, 1)).serial_number(7)
    alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
    certificate = made.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    pem = certificate.public_bytes(Encoding.PEM)
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


async def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    """The server is asked for the name, and a certificate of that name that nobody vouches for is refused."""
    context, asked = self_signed(tmp_path, "hook.example"), []
    context.sni_callback = lambda _, name, __: asked.append(name)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    backend = GuardedBackend(answering(["93.184.216.34"]), Loopback())
    assert await call(f"https://hook.example:{port}/", backend) == Failed("CONNECTION_FAILED ConnectError")
    server.close()
    assert asked == ["hook.example"]


async def test_every_public_address_is_tried() -> None:
    network = Recorder()
    await call("https://two.example/", GuardedBackend(answering(["1.1.1.1", "1.0.0.1"]), network))
    assert network.connected == ["1.1.1.1", "1.0.0.1"]


async def test_a_name_without_addresses_is_a_failure() -> None:
    outcome = await call("https://no.such.host.invalid/", GuardedBackend())
    assert not isinstance(outcome, Refused)


@pytest.mark.parametrize(
    "url", ["http://example.com/", "file:///etc/passwd", "ftp://example.com/", "gopher://x", "https://", "//x",
            "https://x:99999/", "https://[", ""],
)  # fmt: skip
async def test_only_https_urls_are_called(url: str) -> None:
    network = Recorder()
    assert await call(url, GuardedBackend(network=network)) == Refused("BAD_URL")
    assert network.connected == []


async def test_a_subscription_of_web_push_is_guarded_too() -> None:
    keys = {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }
    table = {"private_key": "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", "contact": "mailto:a@example.com"}
    channel = webpush.build(table)
    inside = Address(ChannelKind.WEBPUSH, "https://169.254.169.254/latest", keys)
    assert await channel.send(inside, MESSAGE) == Refused("ADDRESS_FORBIDDEN")
    plain = Address(ChannelKind.WEBPUSH, "http://push.example/x", keys)
    assert await channel.send(plain, MESSAGE) == AddressGone("BAD_SUBSCRIPTION")
    await channel.close()


async def test_resolve_asks_the_system() -> None:
    assert await resolve("127.0.0.1", 443) == ["127.0.0.1"]
