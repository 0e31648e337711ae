"""Between the messages of the contract and the words of the domain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.notifications.v1 import notification_service_pb2 as pb

from notifications.domain.notice import DEFAULT_LIFE, Card, LocalText, Money, Notice, Number, Percent, Value
from notifications.domain.preferences import (
    DEFAULT_DIGEST,
    DEFAULT_PER_HOUR,
    MOST_DIGESTS,
    MOST_RULES,
    ChannelRule,
    Preferences,
    QuietHours,
    read_clock,
)
from notifications.domain.sending import ChannelKind, Urgency
from notifications.domain.templates import Template
from notifications.domain.writing import decimal

MOST_VALUES: Final = 64
LONGEST_TEXT: Final = 4000
LARGEST_ACCOUNT: Final = 2**32 - 1

_ID: Final = re.compile(r"[A-Za-z0-9.:_-]{1,128}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_TRACE: Final = re.compile(r"[0-9a-f]{32}|")

CHANNELS: Final[Mapping[int, ChannelKind]] = {
    int(number): ChannelKind(name.removeprefix("CHANNEL_").lower())
    for name, number in pb.Channel.items()
    if number
}
NUMBERS: Final[Mapping[ChannelKind, int]] = {kind: number for number, kind in CHANNELS.items()}


class Malformed(ValueError):  # noqa: N818 - a verdict on a message
    """A message that says something wrong: its field, and what to do about it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def moment(stamp: Timestamp) -> datetime:
    """Return the time of a stamp, UTC; `Malformed` if it is none. Nanoseconds are cut off."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed("time", "give a time between the years 1 and 9999") from error


def stamp(told: datetime | None) -> Timestamp | None:
    """Return the stamp of a time, or None."""
    if told is None:
        return None
    made = Timestamp()
    made.FromDatetime(told)
    return made


def notice(message: notice_pb.Notice) -> Notice:
    """Return a notice; `Malformed` names the first field that is wrong."""
    _check_form(message)
    cause = _time(message.cause_time, "cause_time")
    expire = (
        _time(message.expire_time, "expire_time") if message.HasField("expire_time") else cause + DEFAULT_LIFE
    )
    title = LocalText(message.card.title.zh, message.card.title.en)
    return Notice(
        notice_id=message.notice_id,
        account_id=message.account_id,
        kind=message.kind,
        urgency=Urgency(message.urgency or Urgency.NORMAL),
        cause_time=cause,
        expire_time=expire,
        supersede_key=message.supersede_key,
        values=values(message.values),
        card=Card(int(message.card.kind), message.card.id, title),
        trace_id=message.trace_id,
        withdrawn=message.withdrawn,
    )


def _check_form(message: notice_pb.Notice) -> None:
    if not _ID.fullmatch(message.notice_id):
        raise Malformed("notice_id", "give 1 to 128 of A-Z, a-z, 0-9, '.', ':', '-', '_'")
    if not 1 <= message.account_id <= LARGEST_ACCOUNT:
        raise Malformed("account_id", "give the account that should hear it")
    if not _KIND.fullmatch(message.kind):
        raise Malformed("kind", "give a group and a name, e.g. positions.concentration")
    if message.urgency not in notice_pb.Urgency.values():
        raise Malformed("urgency", "give URGENCY_LOW, _NORMAL, _HIGH or _CRITICAL")
    if not message.HasField("cause_time"):
        raise Malformed("cause_time", "say when it happened")
    if len(message.supersede_key) > 256 or "\x00" in message.supersede_key:
        raise Malformed("supersede_key", "give at most 256 characters")
    if not _TRACE.fullmatch(message.trace_id):
        raise Malformed("trace_id", "give 32 hexadecimal digits, or nothing")
    if message.card.kind not in notice_pb.CardKind.values():
        raise Malformed("card.kind", "give a CardKind")
    if len(message.card.id) > 128 or "\x00" in message.card.id:
        raise Malformed("card.id", "give at most 128 characters")


def values(messages: Sequence[notice_pb.Value]) -> dict[str, Value]:
    """Return values by name; `Malformed` if one is wrong."""
    if len(messages) > MOST_VALUES:
        raise Malformed("values", f"give at most {MOST_VALUES}")
    found: dict[str, Value] = {}
    for at, message in enumerate(messages):
        if not _NAME.fullmatch(message.name) or message.name in found:
            raise Malformed(f"values[{at}].name", "give small letters, digits and _, each name once")
        found[message.name] = _value(message, f"values[{at}]")
    return found


def _value(message: notice_pb.Value, field: str) -> Value:
    match message.WhichOneof("value"):
        case "text":
            return _text(message.text, field)
        case "local_text":
            return LocalText(_text(message.local_text.zh, field), _text(message.local_text.en, field))
        case "number":
            return Number(_decimal(message.number, field))
        case "percent":
            return Percent(_decimal(message.percent, field))
        case "money":
            return _money(message, field)
        case "time":
            return _time(message.time, field)
    raise Malformed(field, "holds no value")


def _money(message: notice_pb.Value, field: str) -> Money:
    if not _CURRENCY.fullmatch(message.money.currency_code):
        raise Malformed(f"{field}.money.currency_code", "give three letters, e.g. CNY")
    return Money(message.money.currency_code, _decimal(message.money.amount, field))


def _text(text: str, field: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise Malformed(field, f"give at most {LONGEST_TEXT} characters")
    return text.replace("\x00", "")


def _decimal(text: str, field: str) -> Decimal:
    number = decimal(text)
    if number is None:
        raise Malformed(field, "give a decimal such as 12.5, of at most 24 digits before the point")
    return number


def _time(message: Timestamp, field: str) -> datetime:
    try:
        told = moment(message)
    except Malformed as error:
        raise Malformed(field, error.why) from error
    if not 1970 <= told.year <= 9000:
        raise Malformed(field, "give a time between the years 1970 and 9000")
    return told


def preferences(message: pb.Preferences) -> Preferences:
    """Return preferences with the house's defaults for what is not set; `Malformed` for what cannot be read."""
    # Counted before any is read: a request may hold millions.
    if len(message.rules) > MOST_RULES:
        raise Malformed("rules", f"give at most {MOST_RULES}")
    if len(message.digest_times) > MOST_DIGESTS:
        raise Malformed("digest_times", f"give at most {MOST_DIGESTS} times")
    return Preferences(
        language=message.language or "zh-CN",
        time_zone=message.time_zone or "Asia/Shanghai",
        quiet_hours=_quiet(message.quiet_hours) if message.HasField("quiet_hours") else None,
        rules=tuple(_rule(rule, at) for at, rule in enumerate(message.rules)),
        digest_times=tuple(
            dict.fromkeys(_clock(text, f"digest_times[{at}]") for at, text in enumerate(message.digest_times))
        )
        or (DEFAULT_DIGEST,),
        hourly_limit=message.hourly_limit or DEFAULT_PER_HOUR,
        morning_digest=message.morning_digest,
    )


def preferences_message(wanted: Preferences) -> pb.Preferences:
    """Return preferences as a message."""
    message = pb.Preferences(
        language=wanted.language,
        time_zone=wanted.time_zone,
        digest_times=[f"{clock:%H:%M}" for clock in wanted.digest_times],
        hourly_limit=wanted.hourly_limit,
        morning_digest=wanted.morning_digest,
        rules=[
            pb.ChannelRule(
                kind=rule.kind,
                channels=[NUMBERS[channel] for channel in rule.channels],  # type: ignore[misc]
                all_at_once=rule.all_at_once,
                least_urgency=int(rule.least_urgency),  # type: ignore[arg-type]
                muted=rule.muted,
            )
            for rule in wanted.rules
        ],
    )
    quiet = wanted.quiet_hours
    if quiet is not None:
        message.quiet_hours.begin, message.quiet_hours.end = f"{quiet.begin:%H:%M}", f"{quiet.end:%H:%M}"
        message.quiet_hours.critical_bypasses = quiet.critical_bypasses
    return message


def channel(number: int, field: str) -> ChannelKind:
    """Return a channel; `Malformed` if it is not known."""
    kind = CHANNELS.get(number)
    if kind is None:
        names = ", ".join(name for name, value in pb.Channel.items() if value)
        raise Malformed(field, f"give one of {names}")
    return kind


def template(message: pb.Template) -> Template:
    """Return a template; `Malformed` for a channel that is not known."""
    return Template(
        kind=message.kind,
        language=message.language,
        channel=channel(message.channel, "channel") if message.channel else None,
        version=message.version,
        title=message.title,
        body=message.body,
        provider_template=message.provider_template,
        fields=dict(message.fields),
    )


def template_message(said: Template) -> pb.Template:
    """Return a template as a message."""
    return pb.Template(
        kind=said.kind,
        language=said.language,
        channel=NUMBERS[said.channel] if said.channel else 0,  # type: ignore[arg-type]
        version=said.version,
        title=said.title,
        body=said.body,
        provider_template=said.provider_template,
        fields=said.fields,
    )


def _quiet(message: pb.QuietHours) -> QuietHours:
    return QuietHours(
        _clock(message.begin, "quiet_hours.begin"),
        _clock(message.end, "quiet_hours.end"),
        message.critical_bypasses,
    )


def _rule(message: pb.ChannelRule, at: int) -> ChannelRule:
    if len(message.channels) > len(CHANNELS):
        raise Malformed(f"rules[{at}].channels", f"give at most {len(CHANNELS)}")
    if message.least_urgency not in notice_pb.Urgency.values():
        raise Malformed(f"rules[{at}].least_urgency", "give URGENCY_LOW, _NORMAL, _HIGH or _CRITICAL")
    return ChannelRule(
        kind=message.kind,
        channels=tuple(channel(number, f"rules[{at}].channels") for number in message.channels),
        all_at_once=message.all_at_once,
        least_urgency=Urgency(message.least_urgency or Urgency.LOW),
        muted=message.muted,
    )


def _clock(text: str, field: str) -> time:
    clock = read_clock(text)
    if clock is None:
        raise Malformed(field, 'give a time of the day as "HH:MM", e.g. "08:30"')
    return clock
