"""Files of TLS: what a server shows, renewed under way, and whom a service trusts when it calls another."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

_log = structlog.get_logger("smartex.tls")


@dataclass(frozen=True)
class PeerTls:
    """Whom a caller trusts, and for mutual TLS what it shows; read when the channel is made."""

    ca_file: Path
    cert_file: Path | None = None
    key_file: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the files as gRPC takes them; raises `OSError` if one cannot be read."""
        cert, key = (None if file is None else file.read_bytes() for file in (self.cert_file, self.key_file))
        return grpc.ssl_channel_credentials(self.ca_file.read_bytes(), key, cert)


class TlsFiles:
    """Certificate, key and authorities in files that somebody else renews; gRPC asks before each handshake."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._seen: tuple[tuple[int, int], ...] = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Return what the files hold; raises `OSError` if one cannot be read."""
        # First: what changes while it is read is read again.
        self._seen = self._marks()
        pair = (self._key.read_bytes(), self._cert.read_bytes())
        roots = None if self._client_ca is None else self._client_ca.read_bytes()
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold if they have changed and are whole; else the server shows what it showed."""
        try:
            if self._marks() == self._seen:
                return None
            made = self.read()
            # A pair, or nobody could connect any more. The password keeps OpenSSL from asking a terminal for one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._cert, self._key, password="")
        except OSError as error:  # so is every error of ssl
            _log.error("TLS files unusable, keeping the certificate at hand", why=str(error))
            return None
        _log.info("certificate renewed", file=str(self._cert))
        return made

    def _marks(self) -> tuple[tuple[int, int], ...]:
        files = (self._cert, self._key, self._client_ca)
        found = [file.stat() for file in files if file is not None]
        return tuple((status.st_mtime_ns, status.st_ino) for status in found)
