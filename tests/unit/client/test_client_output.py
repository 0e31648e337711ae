"""Tables at every width, and a reader that has enough."""

import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console, RenderableType
from smartex_client import Book
from smartex_client.cli.markets import ladder
from smartex_client.cli.orders import orders_table
from smartex_client.cli.output import facts, table
from smartex_client.cli.session import Session
from smartex_client.model import Level, Order


def shown(what: RenderableType, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def order() -> Order:
    return Order(
        order_id=123456,
        client_order_id=1,
        symbol="609018.SH",
        side="buy",
        type="limit",
        tif="gtc",
        price=Decimal("1234.50"),
        quantity=Decimal(7800),
        open_quantity=Decimal(7700),
        filled_quantity=Decimal(100),
        status="partially_filled",
        reason="",
        sequence=5,
    )


@pytest.mark.parametrize("width", range(24, 201))
def test_no_width_cuts_a_number(width: int) -> None:
    listed = shown(orders_table(Session(), [order()] * 3), width)
    for whole in ("123456", "1,234.50", "7,800", "7,700", "100"):
        assert listed.count(whole) == 3, listed
    level = Level(Decimal("1234.50"), Decimal(7800), 12)
    book = Book("609018.SH", 5, (level,), (level,), Decimal("1234.40"), "open", datetime.now(UTC))
    for whole, times in (("1,234.50", 2), ("7,800", 2), ("1,234.40", 1)):
        assert shown(ladder(Session(), book), width).count(whole) == times


def test_a_long_text_is_cut_where_one_sees_it() -> None:
    rows = [("t1", "a title that is long " * 10, 5)]
    assert "…" in shown(table(["thread", "title", "unread"], rows, right=(2,)), 40)


def test_brackets_are_text() -> None:
    assert "[/] [red]x" in shown(table(["[a]", "b"], [("[/] [red]x", 1)]), 80)
    assert "[a]" in shown(table(["[a]", "b"], [("[/] [red]x", 1)]), 80)
    assert "[/b]" in shown(facts([("[name]", "[/b]")]), 80)


@pytest.mark.parametrize("speak", ["console.print('x' * 50)", "say({'x': 'y' * 50})"])
def test_a_reader_that_has_enough_is_no_failure(speak: str) -> None:
    code = (
        "import typer; from smartex_client.cli.session import Session\n"
        "app = typer.Typer()\n"
        f"@app.command()\ndef go():\n    for _ in range(100_000): Session().{speak}\n"
        "app()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, "")


AWAY = ("--url", "127.0.0.1:1", "--timeout", "0.2", "--token", "secret", "order", "list")


@pytest.mark.parametrize(
    ("words", "unread", "code"),
    [
        (("--version",), "stdout", 0),
        (("--help",), "stdout", 0),
        (("token", "issue", "--help"), "stdout", 0),
        (("order", "bu"), "stderr", 2),
        (AWAY, "stderr", 6),
        (("--json", *AWAY), "stderr", 6),
    ],
)
def test_the_exit_code_does_not_depend_on_who_reads(words: tuple[str, ...], unread: str, code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    streams: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, unread: writing}
    program = f"from smartex_client.cli.app import main; main({words!r})"
    done = subprocess.run([sys.executable, "-c", program], text=True, check=False, timeout=60, **streams)  # type: ignore[call-overload]
    os.close(writing)
    assert (done.returncode, done.stdout or "", done.stderr or "") == (code, "", "")


def test_no_text_tells_the_terminal_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    console = Session().console
    console.print(table(["title"], [("a\x1b]0;pwned\x07b\x9bc\u202ed",)]), facts([("say", "\x1b[2Kforged")]))
    console.print("line\none", "\x1b[1A")
    shown = capsys.readouterr().out
    assert "a�]0;pwnedb�c�d" in shown
    assert "�[2Kforged" in shown
    assert "line\none" in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
