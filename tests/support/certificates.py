"""Certificates made here, for TLS and mutual TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certified:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def certify(name: str, by: Certified | None = None) -> Certified:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    )
    return Certified(key, unsigned.sign(by.key if by else key, hashes.SHA256()))


class Pki:
    """An authority, a server it vouches for, and files for the settings."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.authority = certify("authority")
        self.server = certify("server", self.authority)
        self.files = {
            "tls_cert_file": folder / "server.pem",
            "tls_key_file": folder / "server.key",
            "tls_client_ca_file": folder / "authority.pem",
        }
        for name, content in zip(
            self.files.values(), (self.server.pem, self.server.key_pem, self.authority.pem), strict=True
        ):
            name.write_bytes(content)

    def one_way(self) -> dict[str, Path]:
        return {name: file for name, file in self.files.items() if name != "tls_client_ca_file"}

    def credentials(self, client: Certified | None = None) -> grpc.ChannelCredentials:
        own = (client.key_pem, client.pem) if client else (None, None)
        return grpc.ssl_channel_credentials(self.authority.pem, *own)
