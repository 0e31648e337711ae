"""Listeners of a Kafka that ask who is there, with an authority, certificates and users made here."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from smartex_bus.kafka_server import KafkaServer, free_port

USER = "market"
PASSWORD = "p@ss:w/rd?&%25 #"
"""Nothing of it may stand in a URL as it is."""
_PLAIN_PASSWORD = "for PLAIN alone"
_LOGIN = "org.apache.kafka.common.security"


class Authority:
    """Issues certificates into a folder; its own is ``ca``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self._certificate("authority", self._key).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._folder / f"{name}.pem"
        certificate.write_bytes(self._certificate(name, key).public_bytes(Encoding.PEM))
        private = certificate.with_suffix(".key")
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private

    def _certificate(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        now = dt.datetime.now(dt.UTC)
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=key is self._key, path_length=None), critical=True)
            .add_extension(here, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@dataclass(frozen=True)
class Guarded:
    """A Kafka with one more listener for each way to be asked who one is."""

    server: KafkaServer
    authority: Authority
    sasl_ssl: str
    sasl: str
    mutual: str

    def url(self, mechanism: str, *, user: str = USER, password: str | None = None, more: str = "") -> str:
        """Over TLS with a login."""
        known = _PLAIN_PASSWORD if mechanism == "PLAIN" else PASSWORD
        login = f"{quote(user, safe='')}:{quote(known if password is None else password, safe='')}"
        ca = quote(str(self.authority.ca))
        return f"kafka://{login}@{self.sasl_ssl}?mechanism={mechanism}&ca_file={ca}{more}"


def guarded(folder: Path) -> Guarded:
    """A server to be started."""
    authority = Authority(folder / "pki")
    broker, controller, sasl_ssl, sasl, mutual = ports = [free_port() for _ in range(5)]
    server = KafkaServer(
        folder / "kafka",
        broker,
        controller_port=controller,
        properties=_properties(authority, ports),
        scram=[
            f'{mechanism}=[name={USER},password="{PASSWORD}"]'
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ],
    )
    return Guarded(server, authority, *(f"127.0.0.1:{port}" for port in (sasl_ssl, sasl, mutual)))


def _properties(authority: Authority, ports: Sequence[int]) -> list[str]:
    names = ("BROKER", "CONTROLLER", "GUARDED", "LOGIN", "MUTUAL")
    places = [f"{name}://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)]
    certificate, key = authority.issue("broker")
    store = certificate.with_suffix(".store")
    store.write_bytes(key.read_bytes() + certificate.read_bytes())
    logins = []
    for listener in ("guarded", "login"):
        prefix = f"listener.name.{listener}"
        logins += [
            f"{prefix}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{prefix}.plain.sasl.jaas.config={_LOGIN}.plain.PlainLoginModule required "
            f'user_{USER}="{_PLAIN_PASSWORD}";',
            f"{prefix}.scram-sha-256.sasl.jaas.config={_LOGIN}.scram.ScramLoginModule required;",
            f"{prefix}.scram-sha-512.sasl.jaas.config={_LOGIN}.scram.ScramLoginModule required;",
        ]
    return [
        f"listeners={','.join(places)}",
        f"advertised.listeners={','.join(place for place in places if not place.startswith('CONTROLLER'))}",
        "listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        "GUARDED:SASL_SSL,LOGIN:SASL_PLAINTEXT,MUTUAL:SSL",
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={store}",
        "ssl.truststore.type=PEM",
        f"ssl.truststore.location={authority.ca}",
        "listener.name.mutual.ssl.client.auth=required",
        *logins,
    ]
