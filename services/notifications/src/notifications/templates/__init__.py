"""The house's own templates and the values that each kind brings, read from the files beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from notifications.domain.preferences import LANGUAGES
from notifications.domain.sending import ChannelKind
from notifications.domain.templates import Template

EVERY_KIND = ("cause_time", "expire_time")
"""Values that come with every notice."""


@lru_cache(maxsize=1)
def kinds() -> Mapping[str, frozenset[str]]:
    """Return the names of the values of each kind."""
    table = _read("kinds")
    return {kind: frozenset((*names, *EVERY_KIND)) for kind, names in table.items()}


@lru_cache(maxsize=1)
def house() -> tuple[Template, ...]:
    """Return the house's templates: version 0 of each."""
    return tuple(template for language in LANGUAGES for template in _templates(language))


def _templates(language: str) -> Iterator[Template]:
    for kind, table in _read(language).items():
        yield Template(kind, language, title=table["title"], body=table["body"])
        for name, own in table.items():
            if isinstance(own, dict):
                yield _on_channel(kind, language, ChannelKind(name), own)


def _on_channel(kind: str, language: str, channel: ChannelKind, table: Mapping[str, Any]) -> Template:
    return Template(
        kind, language, channel, provider_template=table["template"], fields=dict(table.get("fields", {}))
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text("utf-8"))
