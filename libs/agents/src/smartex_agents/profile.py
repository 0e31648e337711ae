"""Connection profiles: where the exchange is and whose token to use."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from smartex_client.connection import Connection


@dataclass(frozen=True)
class Profile:
    """A profile file: url, token_file (relative to the file), account."""

    url: str
    token_file: Path
    account_id: int | None

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Read a profile. OSError or ValueError if the file is missing or is no profile."""
        content = tomllib.loads(path.read_text("utf-8"))
        try:
            return cls(str(content["url"]), path.parent / content["token_file"], content.get("account"))
        except KeyError as error:
            raise ValueError(f"{path} lacks {error}: run `make up` to write it anew") from error

    def connect(self) -> Connection:
        """A connection that reads the token anew for each call, since it is renewed from time to time."""
        return Connection(self.url, lambda: self.token_file.read_text("utf-8").strip())
