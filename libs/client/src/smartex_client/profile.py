"""Where the exchange is and who we are: arguments, environment, profile files.

A profile is `<folder>/profiles/<name>.toml` with `url`, `account` and, relative to the file, `token_file` and for TLS
`ca_file`, `cert_file` and `key_file`; `make up` writes some. Folders, in this order: `SMARTEX_HOME`, `./data`,
`~/.config/smartex`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .connection import Tls
from .errors import InvalidInput

DEFAULT_URL = "127.0.0.1:7400"
DEFAULT_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """How to reach the exchange."""

    url: str = DEFAULT_URL
    token: str | None = None
    """The token itself; hidden where the profile is shown."""
    token_file: Path | None = None
    """Or the file that holds it, read for each call, so that it may be renewed."""
    account_id: int | None = None
    """Account that the token trades for, as far as the profile says."""
    source: str = "built in"
    """Where it comes from."""
    tls: Tls | None = None
    """Files of a TLS connection; None: in the clear."""

    def __repr__(self) -> str:
        return f"Profile(url={self.url!r}, account_id={self.account_id}, source={self.source!r})"

    def token_source(self) -> Callable[[], str | None]:
        """What gives the token for a call. InvalidInput, at the call, if the file cannot be read."""
        if self.token is not None or self.token_file is None:
            return lambda: self.token
        return _TokenFile(self.token_file)


class _TokenFile:
    """A file with a token, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._token = ""

    def __call__(self) -> str:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._token, self._stamp = self._path.read_text().strip(), stamp
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise InvalidInput(
                f"cannot read the token file {self._path}: {why}; `smartex token issue` makes a token",
                field="token_file",
            ) from None
        return self._token


def folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where profiles are looked for, first found counts."""
    home = environment.get("SMARTEX_HOME")
    config = environment.get("XDG_CONFIG_HOME") or "~/.config"
    found = [Path(home)] if home else []
    return [*found, Path("data"), Path(config).expanduser() / "smartex"]


def find(name: str | None, environment: Mapping[str, str] = os.environ) -> Profile | None:
    """The profile of this name (none: the default one), or None. A path ending in .toml is taken as it is."""
    if name is not None and name.endswith(".toml"):
        return read(Path(name))
    for folder in folders(environment):
        path = folder / "profiles" / f"{name or DEFAULT_PROFILE}.toml"
        if path.is_file():
            return read(path)
    return None


def read(path: Path) -> Profile:
    """A profile file. InvalidInput says what is wrong with it."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise InvalidInput(f"cannot read the profile {path}: {error.strerror}", field="profile") from None
    except ValueError as error:
        raise InvalidInput(f"the profile {path} is not valid TOML: {error}", field="profile") from None

    def file(key: str) -> Path | None:
        found = _entry(table, key, str, path)
        return path.parent / found if found else None

    return Profile(
        url=_entry(table, "url", str, path) or DEFAULT_URL,
        token_file=file("token_file"),
        account_id=_entry(table, "account", int, path),
        source=str(path),
        tls=tls_of(file("ca_file"), file("cert_file"), file("key_file")),
    )


def resolve(
    *,
    url: str | None = None,
    token: str | None = None,
    token_file: str | Path | None = None,
    profile: str | None = None,
    tls: Tls | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Profile:
    """Arguments before environment before profile, each by itself; files of TLS in the environment are for hosts, not
    for a socket of this machine.

    InvalidInput for a profile that is not there, and for an argument that is empty: where a variable is unset, nobody
    must act as somebody else.
    """
    for field, given in (("profile", profile), ("url", url), ("token_file", token_file)):
        if given == "":
            raise InvalidInput(f"{field} is empty: give one, or leave it out", field=field)
    name = profile or environment.get("SMARTEX_PROFILE")
    found = find(name, environment)
    if found is None and name is not None:
        looked = ", ".join(str(folder / "profiles") for folder in folders(environment))
        raise InvalidInput(f"there is no profile {name} in {looked}: `make up` writes some", field="profile")
    base = found or Profile()
    direct = token if token is not None else None if token_file else environment.get("SMARTEX_TOKEN")
    file = token_file or environment.get("SMARTEX_TOKEN_FILE")
    address = url or environment.get("SMARTEX_URL") or base.url
    return Profile(
        url=address,
        token=direct,
        token_file=Path(file) if file else base.token_file,
        account_id=base.account_id if direct is None and not file else None,
        source=base.source,
        tls=_resolved_tls(
            tls or Tls(), base.tls or Tls(), {} if address.startswith("unix:") else environment
        ),
    )


def _resolved_tls(given: Tls, base: Tls, environment: Mapping[str, str]) -> Tls | None:
    def file(variable: str) -> Path | None:
        found = environment.get(variable)
        return Path(found) if found else None

    found = tls_of(
        given.ca_file or file("SMARTEX_CA_FILE") or base.ca_file,
        given.certificate_file or file("SMARTEX_CERT_FILE") or base.certificate_file,
        given.key_file or file("SMARTEX_KEY_FILE") or base.key_file,
    )
    if found is not None and (found.certificate_file is None) != (found.key_file is None):
        raise InvalidInput(
            "a client certificate is a certificate and its key: give both --cert and --key, or none",
            field="tls",
        )
    return found


def tls_of(ca_file: Path | None, certificate_file: Path | None, key_file: Path | None) -> Tls | None:
    """The files of a TLS connection; None where no file is given: in the clear."""
    return Tls(ca_file, certificate_file, key_file) if ca_file or certificate_file or key_file else None


def _entry(table: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    found = table.get(key)
    if found is not None and (not isinstance(found, kind) or isinstance(found, bool)):
        raise InvalidInput(f"{key} in {path} must be {kind.__name__}", field=key)
    return found
