"""What the READMEs say can be done, and both languages say the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from smartex_client.cli.app import app, hoisted
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
FOLDERS = ("deploy", "docs", "libs", "services", "tests")
PAGES = [ENGLISH, CHINESE, *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md")))]


def commands(page: Path) -> list[list[str]]:
    """The words of each `smartex` command of a page."""
    lines = re.findall(r"^\$ \.venv/bin/smartex (.*)$", page.read_text("utf-8"), re.M)
    return [shlex.split(line, comments=True) for line in lines]


def said(words: list[str]) -> list[str]:
    """A command without what is in a reader's own language."""
    plain = [word for word in words if word.isascii() and word not in ("--lang", "zh-CN")]
    return [word for word in plain if " " not in word and not word.isupper()]


def test_both_languages_give_the_same_commands() -> None:
    assert [said(words) for words in commands(CHINESE)] == [said(words) for words in commands(ENGLISH)]
    assert len(commands(ENGLISH)) > 15


@pytest.mark.parametrize("words", commands(ENGLISH), ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    told = CliRunner().invoke(app, hoisted([*words, "--help"]))
    assert told.exit_code == 0, told.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
