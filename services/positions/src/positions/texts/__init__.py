"""What an investor reads, in Chinese and English, from the catalogues beside this file.

A key names a sentence in both; values fill it: `{weight:share}` is written as a percentage, `{money:money}` with
two decimals, anything else as Python does. A value that is a `Text` is written in the sentence's own language.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

LANGUAGES = ("zh-CN", "en")


@dataclass(frozen=True)
class Text:
    """The same in both languages."""

    zh: str
    en: str

    def language(self, language: str) -> str:
        """In one of `LANGUAGES`."""
        return self.zh if language == "zh-CN" else self.en


@lru_cache(maxsize=1)
def catalogues() -> Mapping[str, Mapping[str, str]]:
    """Sentences by key, by language."""
    folder = Path(__file__).parent
    return {one: _flat(tomllib.loads((folder / f"{one}.toml").read_text("utf-8"))) for one in LANGUAGES}


def text(key: str, values: Mapping[str, object] | None = None) -> Text:
    """A sentence in both languages, filled in. KeyError for a key or value that is missing."""
    zh, en = (
        _Writer(language).vformat(catalogues()[language][key], (), values or {}) for language in LANGUAGES
    )
    return Text(zh, en)


def has(key: str) -> bool:
    """Whether there is such a sentence."""
    return key in catalogues()["en"]


def joined(texts: list[Text]) -> Text:
    """Sentences one after the other: English with spaces between, Chinese without."""
    return Text("".join(one.zh for one in texts), " ".join(one.en for one in texts))


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        flat |= {name: value} if isinstance(value, str) else _flat(value, f"{name}.")
    return flat


class _Writer(string.Formatter):
    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write a value in the language of the sentence."""
        if isinstance(value, Text):
            return value.language(self._language)
        if format_spec == "share":
            return f"{float(value) * 100:.1f}%"
        if format_spec == "money":
            return f"{float(value):,.2f}"
        written: str = super().format_field(value, format_spec)
        return written
