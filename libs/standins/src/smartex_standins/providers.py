"""The file that tells the notifications service where its providers are and by what right it sends."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from .standin import Settings, Standin

HEAD: Final = (
    "# Written by the stand-ins at every start: these providers are on this machine and reach nobody.\n"
    "# Real ones: copy the file elsewhere, replace the tables, and name it in SMARTEX_PROVIDERS_FILE.\n"
)


def write_providers(path: Path, standins: Iterable[Standin]) -> None:
    """Write the tables of all stand-ins; whole or not at all, readable by the owner only (0600)."""
    tables: dict[str, Settings] = {}
    for standin in standins:
        tables.update(standin.provider_settings())
    text = HEAD + "".join(_table(name, settings) for name, settings in tables.items())
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mkstemp makes it 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def _table(name: str, settings: Settings) -> str:
    plain = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    inner = {key: value for key, value in settings.items() if isinstance(value, Mapping)}
    # A JSON string, number or boolean is TOML as it is: both escape in the same way.
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in plain.items())
    tables = (_table(f"{name}.{key}", value) for key, value in inner.items())
    return f"\n[{name}]\n" + "".join(lines) + "".join(tables)
