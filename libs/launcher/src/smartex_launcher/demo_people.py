"""What the demo's people have from the start: a past of prices, a supervisor, a trader, and phones that are reached.

Everything may be repeated: what is there is looked up first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import httpx
import structlog
from smartex.notifications.v1.notification_service_pb2 import ADDRESS_STATE_VERIFIED, CHANNEL_WECHAT
from smartex.positions.v1.position_service_pb2 import DailyClose
from smartex_agents import Close, past_closes
from smartex_client import Market, SmartexError, connect_as

from .profiles import ALICE, BOB

_log = structlog.get_logger("smartex.launcher")

NEEDS = frozenset({"positions", "notifications"})
"""Services without which they lack everything."""

_PEOPLE = ("alice", "bob")
_TRADER = "trader"
_SUPERVISOR = "operator"
_PAST_DAYS = 500
_CHUNK = 10_000


async def settle_people(data: Path, phone: str, seed: int, today: date) -> str:
    """Give the people what is missing; says what they have. `phone` is the stand-ins' page, empty without them."""
    profiles = data / "profiles"
    days = await _bring_past(profiles, data / "demo_past", seed, today)
    async with _as(profiles, "admin") as admin:
        await admin.positions.assign_supervisor(_SUPERVISOR, [ALICE, BOB])
    for person in _PEOPLE:
        async with _as(profiles, person) as investor:
            await investor.conversations.grant(_TRADER)
            if phone:
                await _link_phone(investor, person, phone)
    past = f"{days} days of invented past, " if days else ""
    return f"{past}supervisor, trader" + (", phones of alice and bob linked" if phone else "")


async def _bring_past(profiles: Path, done: Path, seed: int, today: date) -> int:
    """Import invented closes once: later the market has a past of its own."""
    if _is_noted(done):
        return 0
    async with _as(profiles, "operator") as operator:
        await _until_seen(profiles, (await operator.venue.status()).sequence)
        closes = past_closes(await operator.instruments(), today, _PAST_DAYS, seed)
        for first in range(0, len(closes), _CHUNK):
            await operator.positions.import_prices(_messages(closes[first : first + _CHUNK]))
    _note(done, today)
    return _PAST_DAYS


async def _until_seen(profiles: Path, sequence: int) -> None:
    """The supervision follows the market: it knows the instruments a moment later."""
    async with _as(profiles, "alice") as alice:
        await alice.positions.portfolio(min_sequence=sequence)


def _is_noted(file: Path) -> bool:
    return file.exists()


def _note(file: Path, today: date) -> None:
    file.write_text(f"{today.isoformat()}\n", "utf-8")


def _messages(closes: Sequence[Close]) -> list[DailyClose]:
    return [
        DailyClose(
            instrument_id=each.instrument_id,
            date=each.day.isoformat(),
            price=f"{each.price:f}",
            volume=each.volume,
        )
        for each in closes
    ]


async def _link_phone(investor: Market, person: str, phone: str) -> None:
    """Let a person follow the account in the stand-in of WeChat, and have a device that takes pushes."""
    try:
        async with httpx.AsyncClient(base_url=phone, timeout=5) as standins:
            known = {(each.channel, each.state) for each in await investor.notifications.addresses()}
            if (CHANNEL_WECHAT, ADDRESS_STATE_VERIFIED) in known:
                await standins.post("/control/wechat/follow", json={"person": person})
            else:
                link = await investor.notifications.link_wechat()
                await standins.post("/control/wechat/scan", json={"person": person, "code": link.scene})
            devices = (await standins.get("/control/fcm/addresses")).json()
            await investor.notifications.add_address("fcm", devices[person]["value"], label="phone")
    except (httpx.HTTPError, SmartexError, KeyError, ValueError) as error:
        # The exchange is open all the same; the person can link a phone by hand.
        _log.warning("phone not linked", person=person, why=str(error))


def _as(profiles: Path, name: str) -> Market:
    return connect_as(profiles / f"{name}.toml")
