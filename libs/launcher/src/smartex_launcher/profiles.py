"""Who may do what on this machine: tokens and connection profiles for the people and agents of the demo.

profiles/<name>.toml     url, token_file (beside it), account; `default` is alice
profiles/<name>.token    the token, readable by its owner only
profiles/agents/…        the same for the demo's participants
profiles/services/…      tokens of the services, for calls among themselves
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smartex_chassis import LocalIssuer

ALICE = 1001
BOB = 1002


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    name: str
    account_id: int | None
    scopes: tuple[str, ...]


PEOPLE = (
    Person("default", ALICE, ("trade", "read")),
    Person("alice", ALICE, ("trade", "read")),
    Person("bob", BOB, ("trade", "read")),
    Person("trader", None, ("advise", "read")),
    Person("operator", None, ("operate", "read")),
    Person("admin", None, ("admin",)),
)


def service_token(folder: Path, service: str) -> Path:
    """Where the token of a service lies."""
    return folder / f"{service}.token"


def write_service_tokens(folder: Path, names: Iterable[str], issuer: LocalIssuer, ttl: timedelta) -> None:
    """Issue a token for each service, with which it asks the others; replaces what was there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        token = issuer.issue(subject=name, scopes=("operate", "read"), ttl=ttl)
        write_private(service_token(folder, name), token + "\n")


def write_profiles(
    folder: Path, people: Iterable[Person], url: str, issuer: LocalIssuer, ttl: timedelta
) -> None:
    """Issue a token for each and write it with its profile; replaces what was there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for person in people:
        token = issuer.issue(subject=person.name, account_id=person.account_id, scopes=person.scopes, ttl=ttl)
        write_private(folder / f"{person.name}.token", token + "\n")
        lines = [f"url = {json.dumps(url)}", f'token_file = "{person.name}.token"']
        if person.account_id is not None:
            lines.append(f"account = {person.account_id}")
        write_private(folder / f"{person.name}.toml", "\n".join(lines) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    scratch.replace(path)
