"""The `smartex` command as a process, against the real service."""

import asyncio
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Exchange = Any


@pytest.fixture
def command(exchange: Exchange, tmp_path: Path) -> Any:
    """Runs the command in a home with profiles of alice and the operator."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "keys").symlink_to(exchange.keys)
    symbol, alice, bob = asyncio.run(exchange.opened())
    for name, account, scopes in (
        ("default", alice, ("trade",)),
        ("bob", bob, ("trade",)),
        ("operator", None, ("operate", "read")),
    ):
        (tmp_path / f"{name}.token").write_text(exchange.token(account, scopes))
        (tmp_path / "profiles" / f"{name}.toml").write_text(
            f'url = "{exchange.url}"\ntoken_file = "../{name}.token"\n'
            + (f"account = {account}\n" if account else "")
        )

    def run(*words: str, code: int = 0) -> Any:
        environment = {**os.environ, "SMARTEX_HOME": str(tmp_path), "LANG": "C", "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-c", "from smartex_client.cli import main; main()", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return json.loads(done.stdout) if "--json" in words and code in (0, 7) else done.stdout + done.stderr

    run.symbol, run.alice, run.bob = symbol, alice, bob  # type: ignore[attr-defined]
    return run


def test_a_tour(command: Any) -> None:
    symbol = command.symbol
    shown = command("order", "buy", symbol, "100", "@", "10.50")
    assert "open" in shown
    assert "100 @ 10.50" in shown
    order = command("order", "list", symbol, "--json")[0]
    assert (order["price"], order["quantity"], order["status"]) == ("10.50", "100", "open")
    assert command("order", "amend", str(order["order_id"]), "-q", "60", "--json")["kept_priority"]
    assert "10.50" in command("book", symbol, "--once")
    sold = command("order", "sell", symbol, "40", "@10.5", "--as", "bob", "--json")
    assert [(fill["price"], fill["quantity"]) for fill in sold["fills"]] == [("10.50", "40")]
    assert command("trades", symbol, "--json")[0]["quantity"] == "40"
    assert command("--json", "account", "show")["cash"][0]["total"] == "999580.00"
    assert "1 order cancelled" in command("order", "cancel", "--all")
    partly = command("order", "buy", symbol, "200", "@", "10", "--json")["order_id"]
    command("order", "sell", symbol, "50", "@", "10", "--as", "bob")
    gone = command("order", "cancel", str(partly), "--json")
    assert (gone["quantity"], gone["filled_quantity"], gone["status"]) == ("200", "50", "cancelled")
    assert command("status", "--json")["bus"] == "postgresql"
    assert symbol in command("instrument", "list", "--as", "operator")
    assert command("venue", "hash", "--json", "--as", "operator")["agree"]
    deposit = (
        "account",
        "deposit",
        str(command.alice),
        "5.5",
        "CNY",
        "--as",
        "operator",
        "--request-id",
        "77",
    )
    assert "repeated" not in command(*deposit)
    assert "repeated, nothing moved" in command(*deposit)
    assert "deposit" in command("account", "ledger", str(command.alice), "--as", "operator")


def test_an_operator_stops_an_account(command: Any) -> None:
    symbol, alice = command.symbol, str(command.alice)
    command("order", "buy", symbol, "100", "@", "10.50")
    assert "halted" in command("venue", "halt-account", alice, "--as", "operator")
    assert "halted by the exchange" in command("order", "buy", symbol, "1", "@", "10.50", code=3)
    assert command("account", "show", "--json")["state"] == "halted"
    assert "账户已暂停交易" in command("--lang", "zh-CN", "account", "show")
    assert command("venue", "cancel", "--account", alice, "--as", "operator", "--json")["count"] == 1
    assert "say whose" in command("venue", "cancel", "--as", "operator", code=2)
    assert command("venue", "resume-account", alice, "--as", "operator", "--json")["state"] == "open"
    command("order", "buy", symbol, "100", "@", "10.50")
    assert (
        command("venue", "cancel", "--symbol", symbol, "--side", "buy", "--as", "operator", "--json")["count"]
        == 1
    )


def test_errors_are_one_line_with_an_exit_code(command: Any, tmp_path: Path) -> None:
    symbol = command.symbol
    cases = [
        (2, "10.50 and 10.51", ("order", "buy", symbol, "1", "@", "10.505")),
        (2, "one price", ("order", "buy", symbol, "1", "10", "--price", "11")),
        (3, "needs 10,000,000,000.00 CNY, free", ("order", "buy", symbol, "1000000", "@", "10000")),
        (3, "需要", ("--lang", "zh-CN", "order", "buy", symbol, "1000000", "@", "10000")),
        (4, "instrument list", ("book", "NOSUCH", "--once")),
        (4, "", ("order", "show", "12345")),
        (5, "--as", ("venue", "halt", symbol)),
        (6, "make up", ("status", "--url", "127.0.0.1:1", "--timeout", "0.5")),
        (2, "no profile", ("status", "--as", "nobody")),
    ]
    for code, text, words in cases:
        said = command(*words, code=code)
        assert text in said, (words, said)
        assert said.count("\n") == 1, said
    refused = json.loads(command("--json", "order", "buy", symbol, "1000000", "@", "10000", code=3))
    assert (refused["error"], refused["required"]) == ("INSUFFICIENT_FUNDS", "10000000000.00")


def test_a_token_of_one_s_own_works(command: Any, tmp_path: Path) -> None:
    command("token", "issue", "--account", "1234567", "--scope", "read", "--out", str(tmp_path / "own.token"))
    assert (tmp_path / "own.token").stat().st_mode & 0o777 == 0o600
    found = command("account", "show", "--json", "--token-file", str(tmp_path / "own.token"))
    assert (found["account_id"], found["cash"]) == (1234567, [])


def test_a_lobster_file_is_replayed(command: Any, tmp_path: Path) -> None:
    def book(bids: list[int], best: int = 1000000) -> list[int]:
        row = []
        for level in range(10):
            row += [1000100 + level * 100, 5, best - level * 100, bids[level]]
        return row

    messages = [
        [0.1, 1, 11, 2, 1000000, 1],
        [0.2, 4, 1, 3, 1000000, 1],
        [0.3, 3, 11, 2, 1000000, 1],
        [0.4, 4, 1, 2, 1000000, 1],
    ]
    books = [book([7] + [5] * 9), book([4] + [5] * 9), book([2] + [5] * 9), book([5] * 9 + [8], 999900)]
    paths = []
    for name, rows in (("messages", messages), ("books", books)):
        paths.append(str(tmp_path / f"{name}.csv"))
        with open(paths[-1], "w", newline="") as file:
            csv.writer(file).writerows(rows)
    found = command("replay", "lobster", *paths, "--json")
    assert (found["books"], found["executions"], found["executions_total"]) == (4, 2, 2)
    assert found["agrees"]
    books[2][3] = 999
    with open(paths[1], "w", newline="") as file:
        csv.writer(file).writerows(books)
    assert command("replay", "lobster", *paths, "--json", code=7)["books"] == 3
