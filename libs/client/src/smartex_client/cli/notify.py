"""smartex notify …"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import segno
import typer
from google.protobuf.json_format import ParseDict, ParseError
from rich.text import Text
from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.notifications.v1 import notification_service_pb2 as pb

from smartex_client.convert import in_range, to_ns
from smartex_client.errors import InvalidInput
from smartex_client.market import Market
from smartex_client.words import value, word

from .orders import first
from .output import clock, facts, plain, table
from .reading import Limit, time_of
from .risk import pair
from .session import session_of
from .times import from_now

app = typer.Typer(no_args_is_help=True, help="How people are reached, and what became of it.")
address = typer.Typer(no_args_is_help=True, help="Where you are reached.")
app.add_typer(address, name="address")

_STATE_STYLES = {"sent": "green", "delivered": "green", "dead": "red", "waiting": "yellow"}


@app.command()
def send(
    context: typer.Context,
    account_id: Annotated[int, typer.Argument(metavar="ACCOUNT", min=1, help="who should hear it")],
    kind: Annotated[str, typer.Argument(help="what it is about, e.g. positions.concentration")],
    values: Annotated[list[str] | None, typer.Argument(help="name=text for the templates")] = None,
    urgency: Annotated[str, typer.Option(help="low, normal, high or critical")] = "normal",
    notice_id: Annotated[str, typer.Option("--id", help="sent once per id; else a fresh one")] = "",
    expires: Annotated[float, typer.Option(min=1, help="seconds after which it is of no use")] = 86_400,
) -> None:
    """Send a notice as a service would (operators)."""
    session = session_of(context)
    texts = [notice_pb.Value(name=name, text=text) for name, text in map(pair, values or [])]
    now = datetime.now(UTC)
    notice = notice_pb.Notice(
        notice_id=notice_id or f"operator:{now:%Y%m%dT%H%M%S%f}", kind=kind, values=texts
    )
    notice.cause_time.FromDatetime(now)

    async def work(market: Market) -> bool:
        notice.account_id = in_range(account_id, "account", 32)
        notice.expire_time.FromNanoseconds(to_ns(from_now(expires, "expires"), "expires"))
        notice.urgency = value(notice_pb.Urgency, urgency, "urgency")  # type: ignore[assignment]
        return await market.notifications.send(notice)

    new = session.run(work)
    if session.as_json:
        session.say({"notice_id": notice.notice_id, "repeated": not new})
    else:
        session.console.print(notice.notice_id if new else f"{notice.notice_id}: sent before")


@app.command()
def deliveries(
    context: typer.Context,
    account_id: Annotated[int, typer.Option("--account", min=0, help="operators: whose; else all")] = 0,
    notice_id: Annotated[str, typer.Option("--notice", help="only of this notice")] = "",
    state: Annotated[
        str | None, typer.Option(help="waiting, sending, sent, delivered, expired, dead, …")
    ] = None,
    attempts: Annotated[bool, typer.Option("--attempts", help="list every attempt")] = False,
    limit: Limit = 20,
) -> None:
    """List deliveries with what became of them, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Delivery]:
        return await first(
            market.notifications.deliveries(account_id, notice_id=notice_id, state=state), limit
        )

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["delivery", "time", "channel", "kind", "state", "tries", "why"]
    rows: list[Any] = []
    for each in found:
        name = word(pb.DeliveryState, each.state)
        rows.append(
            (
                each.delivery_id,
                clock(time_of(each.create_time)),
                session.word(word(pb.Channel, each.channel)),
                each.kind,
                Text(session.word(name), style=_STATE_STYLES.get(name, "")),
                len(each.attempts),
                each.state_reason,
            )
        )
        rows += [_attempt(one) for one in each.attempts] if attempts else []
    shown = table([session.word(head) for head in heads], rows, right=(5,))
    session.console.print(shown if found else session.word("nothing"))


@app.command()
def replay(
    context: typer.Context, delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="a dead one")]
) -> None:
    """Send a dead delivery again (operators)."""
    session = session_of(context)

    async def work(market: Market) -> pb.Delivery:
        return await market.notifications.replay(delivery_id)

    found = session.run(work)
    session.say(found) if session.as_json else session.console.print(
        session.word(word(pb.DeliveryState, found.state))
    )


@app.command()
def channels(context: typer.Context) -> None:
    """Show how each channel is (operators)."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.ChannelStatus]:
        return list(await market.notifications.channels())

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["channel", "configured", "breaker", "waiting", "sent, last hour", "failed, last hour"]
    rows = [
        (
            session.word(word(pb.Channel, each.channel)),
            "✓" if each.configured else "—",
            each.breaker,
            each.waiting,
            each.sent_last_hour,
            each.failed_last_hour,
        )
        for each in found
    ]
    session.console.print(table([session.word(head) for head in heads], rows, right=(3, 4, 5)))


@app.command()
def preferences(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option(help="JSON file that replaces all of them; `notify preferences --json` prints them"),
    ] = None,
    language: Annotated[str | None, typer.Option("--language", help="zh-CN or en")] = None,
    time_zone: Annotated[str | None, typer.Option("--zone", help="e.g. Asia/Shanghai")] = None,
    quiet: Annotated[str | None, typer.Option(help="quiet hours, e.g. 22:00-07:00, or `off`")] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(help="kind=channel,channel: positions.*=wechat,email; `muted` mutes; repeated"),
    ] = None,
) -> None:
    """Show what you want to hear, where and when, and change it."""
    session = session_of(context)
    changes: list[Callable[[pb.Preferences], None]] = []
    if language is not None:
        changes.append(lambda wanted: setattr(wanted, "language", language))
    if time_zone is not None:
        changes.append(lambda wanted: setattr(wanted, "time_zone", time_zone))
    if quiet is not None:
        changes.append(lambda wanted: _set_quiet(wanted, quiet))
    if route:
        changes.append(lambda wanted: _set_routes(wanted, route))

    async def work(market: Market) -> pb.Preferences:
        wanted = _read(file) if file else await market.notifications.preferences()
        for change in changes:
            change(wanted)
        if file is None and not changes:
            return wanted
        return await market.notifications.set_preferences(wanted)

    found: pb.Preferences = session.run(work)
    if session.as_json:
        session.say(found)
        return
    hours = f"{found.quiet_hours.begin}-{found.quiet_hours.end}" if found.HasField("quiet_hours") else "—"
    pairs = [
        ("language", found.language),
        ("time zone", found.time_zone),
        ("quiet hours", hours),
        ("digests", ", ".join(found.digest_times)),
        *((each.kind, _route(each)) for each in found.rules),
    ]
    session.console.print(facts([(session.word(name), text) for name, text in pairs]))


@app.command()
def wechat(context: typer.Context) -> None:
    """Show a QR code; scan it in WeChat to be reached there."""
    session = session_of(context)

    async def work(market: Market) -> pb.LinkWechatResponse:
        return await market.notifications.link_wechat()

    found: pb.LinkWechatResponse = session.run(work)
    if session.as_json:
        session.say(found)
        return
    segno.make(found.qr_url).terminal(compact=True)
    session.console.print(f"{found.qr_url}\n{session.word('until')} {clock(time_of(found.expire_time))}")


@address.command("list")
def list_addresses(context: typer.Context) -> None:
    """List where you are reached."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Address]:
        return list(await market.notifications.addresses())

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["address", "channel", "where", "state", "label", "why"]
    rows = [
        (
            each.address_id,
            session.word(word(pb.Channel, each.channel)),
            each.masked,
            session.word(word(pb.AddressState, each.state)),
            each.label,
            each.remove_reason,
        )
        for each in found
    ]
    session.console.print(table([session.word(h) for h in heads], rows) if found else session.word("nothing"))


@address.command("add")
def add_address(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="email, sms, fcm, apns, webpush, wecom-app, webhook, …")],
    where: Annotated[str, typer.Argument(help="address, number, device token or URL")],
    label: Annotated[str, typer.Option(help="your name for it")] = "",
    secret: Annotated[list[str] | None, typer.Option(help="name=value, e.g. p256dh=… auth=…")] = None,
) -> None:
    """Add a place. A code is sent there, unless it is a device."""
    session = session_of(context)
    secrets = dict(pair(each) for each in secret or [])

    async def work(market: Market) -> pb.Address:
        return await market.notifications.add_address(channel, where, label=label, secrets=secrets)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    state = word(pb.AddressState, found.state)
    hint = f": smartex notify address verify {found.address_id} CODE" if state == "unverified" else ""
    session.console.print(f"{found.address_id} {session.word(state)}{hint}")


@address.command("verify")
def verify_address(
    context: typer.Context,
    address_id: Annotated[str, typer.Argument(metavar="ADDRESS", help="its id")],
    code: Annotated[str, typer.Argument(help="the six digits that came there")],
) -> None:
    """Prove that an address is yours."""
    session = session_of(context)

    async def work(market: Market) -> pb.Address:
        return await market.notifications.verify_address(address_id, code)

    found = session.run(work)
    text = f"{found.masked} {session.word(word(pb.AddressState, found.state))}"
    session.say(found) if session.as_json else session.console.print(text)


@address.command("remove")
def remove_address(
    context: typer.Context, address_id: Annotated[str, typer.Argument(metavar="ADDRESS", help="its id")]
) -> None:
    """Forget an address."""
    session = session_of(context)

    async def work(market: Market) -> None:
        await market.notifications.remove_address(address_id)

    session.run(work)
    session.say({"removed": address_id}) if session.as_json else session.console.print("done")


def _attempt(one: pb.Attempt) -> tuple[Any, ...]:
    unsure = " (may have arrived)" if one.maybe_sent else ""
    took = f"{one.duration_ms} ms"
    return ("", clock(time_of(one.time)), "", took, "", one.number, f"{one.outcome}{unsure}")


def _read(file: Path) -> pb.Preferences:
    try:
        return ParseDict(json.loads(file.read_text("utf-8")), pb.Preferences())
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}", field="file") from None
    except (ValueError, ParseError) as error:
        raise InvalidInput(f"{file} holds no preferences in JSON: {error}", field="file") from None


def _set_quiet(wanted: pb.Preferences, text: str) -> None:
    if text == "off":
        wanted.ClearField("quiet_hours")
        return
    begin, found, end = text.partition("-")
    if not found:
        raise InvalidInput(f"{text!r} is no span such as 22:00-07:00", field="quiet")
    wanted.quiet_hours.CopyFrom(pb.QuietHours(begin=begin, end=end, critical_bypasses=True))


def _set_routes(wanted: pb.Preferences, routes: list[str]) -> None:
    for kind, text in map(pair, routes):
        rule = pb.ChannelRule(kind=kind, muted=text == "muted")
        if not rule.muted:
            rule.channels.extend(value(pb.Channel, name, "route") for name in text.split(","))  # type: ignore[misc]
        kept = [each for each in wanted.rules if each.kind != kind]
        del wanted.rules[:]
        wanted.rules.extend([*kept, rule])


def _route(rule: pb.ChannelRule) -> str:
    if rule.muted:
        return "muted"
    join = " + " if rule.all_at_once else " → "
    return join.join(plain(word(pb.Channel, each)) for each in rule.channels) or "inbox"
