"""From `make up`: too much of one thing, an alert on the phone, advice that mends it, a word with the trader."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Launch = Callable[..., Any]


class Phone:
    """The stand-ins' page as a person uses it."""

    def __init__(self, said: list[str]) -> None:
        self.url = next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+/$", line)))

    def _ask(self, path: str, values: dict[str, Any] | None = None) -> Any:
        data = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def shows(self, person: str) -> list[dict[str, Any]]:
        return [each for each in self._ask("phone/state")["messages"] if each["person"] == person]

    def write(self, person: str, text: str) -> str:
        return str(self._ask("control/wechat/text", {"person": person, "text": text})["reply"])


class Tour:
    """An exchange and its command."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange

    def run(self, words: str) -> Any:
        done = self.exchange.cli(f".venv/bin/smartex --json {words}")
        assert done.returncode == 0, f"{words}: {done.stderr}"
        lines = done.stdout.splitlines()
        return json.loads(lines[0]) if len(lines) == 1 else [json.loads(line) for line in lines]

    def until(self, words: str, holds: Callable[[Any], bool], within: float = 60.0) -> Any:
        end = time.monotonic() + within
        while not holds(found := self.run(words)):
            assert time.monotonic() < end, f"still not so: {words}: {found}"
            time.sleep(0.1)
        return found


@pytest.mark.timeout(600)
def test_an_alert_reaches_the_phone_and_its_advice_mends_it(tmp_path: Path, launch: Launch) -> None:
    exchange = launch(tmp_path / "data").until_said("ready after")
    tour, phone = Tour(exchange), Phone([line.strip("│ ") for line in exchange.said])
    tour.run("risk limits --set concentration=0.06")
    # In dollars, sellable the same day: about a twelfth of what Alice has.
    book = tour.until("book NIMBA --once", lambda found: found["asks"] and found["bids"])
    mark = book["asks"][0]["price"]
    tour.run(f"order buy NIMBA 100 --price {float(mark) * 1.03:.1f}")

    alert = tour.until("alert list", bool)[0]
    assert (alert["kind"], alert["subject"]) == ("concentration", "NIMBA")
    entries = tour.until("inbox list", lambda found: len(found) >= 2)
    assert any(entry["notice_id"].startswith(f"alert:{alert['alert_id']}") for entry in entries)
    assert any(
        "宁霸航天" in entry["title"] for entry in entries
    )  # the house speaks Chinese unless told otherwise
    tour.until(
        "notify deliveries", lambda found: sum(each["channel"] == "CHANNEL_WECHAT" for each in found) >= 1
    )
    cards = [each for each in phone.shows("alice") if each["look"] == "card"]
    assert cards
    assert all(each["standin"] == "wechat" for each in cards)

    advice = tour.until("advice list", bool)[0]
    weight = next(each for each in advice["what_if"] if each["key"] == "largest_weight")
    assert weight["after"] < weight["before"]
    accepted = tour.run(f"advice accept {advice['advice_id']}")
    assert accepted["orders"][0]["outcome"]["status"] == "filled"
    again = tour.run(f"advice accept {advice['advice_id']}")
    assert again["orders"][0]["outcome"]["repeated"]
    shown = tour.until("portfolio show", lambda found: found["exposure"]["largest_weight"] < alert["value"])
    assert shown["exposure"]["largest_weight"] < 0.0605
    trace = tour.until(
        f"trace {alert['alert_id']}", lambda found: any(step["kind"] == "fill" for step in found["steps"])
    )
    kinds = [step["kind"] for step in trace["steps"]]
    for kind in ("event", "alert", "advice", "notice", "delivery", "attempt", "receipt", "accepted", "order"):
        assert kind in kinds, kind
    assert exchange.cli(".venv/bin/smartex --lang zh-CN advice list --all").stdout.count("减持")

    thread = tour.run('--as trader chat open 1001 "Ideas"')["thread_id"]
    tour.run(f'--as trader chat propose {thread} sell:609018.SH:100@12.00 --reason "spread"')
    tour.until("inbox list", lambda found: any(each["kind"] == "conversations.proposal" for each in found))
    assert "已同意" in phone.write("alice", "同意")
    told = tour.run(f"chat show {thread}")
    assert [each["author"] for each in told] == ["PARTY_TRADER", "PARTY_INVESTOR", "PARTY_EXCHANGE"]
    assert told[0]["proposal"]["state"] == "PROPOSAL_STATE_ACCEPTED"
    assert "已转给" in phone.write("alice", "谢谢")
    assert tour.run(f"--as trader chat show {thread}")[-1]["text"] == "谢谢"

    supervised = tour.run("--as operator portfolio show --account 1001")
    assert supervised["account_id"] == 1001
    assert exchange.cli(".venv/bin/smartex --as bob portfolio show --account 1001").returncode == 4
