"""From a notice, what its reader wants and where they are reached, to deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifications.domain.digest import gathered, next_digest
from notifications.domain.notice import OWN_DIGESTS, Notice, State
from notifications.domain.preferences import HOUSE_RULE, ChannelRule, Preferences
from notifications.domain.quiet import quiet_until
from notifications.domain.sending import ChannelKind, Urgency


@dataclass(frozen=True)
class Target:
    """A verified address."""

    address_id: str
    channel: ChannelKind


@dataclass(frozen=True)
class Planned:
    """A delivery as it was decided. `address_id` is empty if there is no address to name."""

    channel: ChannelKind
    address_id: str
    state: State
    reason: str
    due_time: datetime
    gathered: bool = False
    """It waits for a digest."""
    fallback: tuple[ChannelKind, ...] = ()
    """Where the message goes if this channel cannot bring it."""


@dataclass(frozen=True)
class Timing:
    """When a message may be sent, and what it waits for."""

    due_time: datetime
    reason: str = ""
    gathered: bool = False


Addresses = Mapping[ChannelKind, Sequence[Target]]


def decide(
    notice: Notice,
    preferences: Preferences,
    targets: Iterable[Target],
    configured: frozenset[ChannelKind],
    now: datetime,
) -> list[Planned]:
    """Return a notice's deliveries beside the inbox; those that are not to be sent say why."""
    rule = preferences.rule(notice.kind)
    channels = wanted_channels(rule, notice.urgency)
    addresses = by_channel(targets)
    unwanted = why_unwanted(notice, preferences, rule)
    if unwanted:
        return list(_suppressed(channels, addresses, unwanted, now))
    if notice.expire_time <= now:
        return list(_closed(channels, addresses, State.EXPIRED, "EXPIRED before it came", now))
    usable = [channel for channel in channels if channel in configured and addresses.get(channel)]
    # Whoever asked for a channel that has no credentials learns why nothing comes there.
    dumb = [channel for channel in channels if channel not in configured and addresses.get(channel)]
    plans = list(_suppressed(dumb, addresses, "NO_CREDENTIALS", now))
    if not usable:
        return plans or list(_suppressed(channels[:1], {}, "NO_ADDRESS", now))
    timing = when(notice.kind, notice.urgency, preferences, now)
    return plans + _sendings(notice, rule, usable, addresses, timing)


def wanted_channels(rule: ChannelRule, urgency: Urgency) -> tuple[ChannelKind, ...]:
    """Return the channels of a rule; of a muted one those of the house, for what is critical."""
    if rule.muted and urgency is Urgency.CRITICAL and not rule.channels:
        return HOUSE_RULE.channels
    return tuple(channel for channel in rule.channels if channel is not ChannelKind.INBOX)


def why_unwanted(notice: Notice, preferences: Preferences, rule: ChannelRule) -> str:
    """Return why the reader does not want a notice pushed, or the empty text."""
    if notice.kind in OWN_DIGESTS and not preferences.morning_digest:
        return "NO_MORNING_DIGEST"
    if notice.urgency is Urgency.CRITICAL:
        return ""
    if rule.muted:
        return f"MUTED by the rule for {rule.kind}"
    if notice.urgency < rule.least_urgency:
        return f"LESS_URGENT than {rule.least_urgency.name}"
    return ""


def when(kind: str, urgency: Urgency, preferences: Preferences, now: datetime) -> Timing:
    """Return when a message that came at `now` may be sent."""
    if not gathered(kind, urgency):
        return awake(urgency, preferences, now)
    due = next_digest(preferences, now)
    later = awake(urgency, preferences, due)
    reason = later.reason or f"DIGEST at {_clock(due, preferences)}"
    return Timing(later.due_time, reason, gathered=True)


def awake(urgency: Urgency, preferences: Preferences, now: datetime) -> Timing:
    """Return the first moment from `now` on that is outside the quiet hours, or `now` for what wakes."""
    quiet = preferences.quiet_hours
    if quiet is None or (urgency is Urgency.CRITICAL and quiet.critical_bypasses):
        return Timing(now)
    end = quiet_until(now, quiet, preferences.zone)
    return Timing(now) if end is None else Timing(end, f"QUIET_HOURS until {_clock(end, preferences)}")


def by_channel(targets: Iterable[Target]) -> dict[ChannelKind, list[Target]]:
    """Return the addresses of each channel."""
    found: dict[ChannelKind, list[Target]] = {}
    for target in targets:
        found.setdefault(target.channel, []).append(target)
    return found


def _sendings(
    notice: Notice,
    rule: ChannelRule,
    usable: Sequence[ChannelKind],
    addresses: Addresses,
    timing: Timing,
) -> list[Planned]:
    state, reason = State.WAITING, timing.reason
    if timing.due_time >= notice.expire_time:
        state, reason = State.EXPIRED, f"EXPIRED before it may be sent: {timing.reason}"
    chosen = usable if rule.all_at_once else usable[:1]
    fallback = () if rule.all_at_once else tuple(usable[1:])
    return [
        Planned(channel, target.address_id, state, reason, timing.due_time, timing.gathered, fallback)
        for channel in chosen
        for target in addresses[channel]
    ]


def _suppressed(
    channels: Sequence[ChannelKind], addresses: Addresses, reason: str, now: datetime
) -> Iterator[Planned]:
    return _closed(channels, addresses, State.SUPPRESSED, reason, now)


def _closed(
    channels: Sequence[ChannelKind], addresses: Addresses, state: State, reason: str, now: datetime
) -> Iterator[Planned]:
    """One row for each address; if there is none at all, one for the first channel."""
    reached = [target for channel in channels for target in addresses.get(channel, ())]
    for target in reached:
        yield Planned(target.channel, target.address_id, state, reason, now)
    if not reached and channels:
        yield Planned(channels[0], "", state, reason, now)


def _clock(moment: datetime, preferences: Preferences) -> str:
    return moment.astimezone(preferences.zone).strftime("%H:%M")
