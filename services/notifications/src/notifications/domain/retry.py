"""What follows an attempt: sent, tried again and when, or given up.

Backoff is exponential with full jitter: a random part of the whole wait
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from notifications.domain.notice import State
from notifications.domain.sending import (
    AddressGone,
    ChannelKind,
    Failed,
    Outcome,
    Refused,
    Sent,
    Urgency,
)

URGENT_ATTEMPTS: Final = 3
"""Attempts of what is urgent, where there is another channel to go to."""


@dataclass(frozen=True)
class RetryRule:
    """How a channel is tried again."""

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=5)
    attempts: int = 8
    repeats_dropped_for: timedelta | None = None
    """For how long an idempotent provider drops repeats of a delivery. None: for ever."""


RULES: Final[Mapping[ChannelKind, RetryRule]] = {
    # WeChat keeps `client_msg_id` for 10 minutes, WeCom compares contents for 4 hours.
    ChannelKind.WECHAT: RetryRule(repeats_dropped_for=timedelta(minutes=10)),
    ChannelKind.WECOM_APP: RetryRule(repeats_dropped_for=timedelta(hours=4)),
    # 20 messages a minute and robot: a quick retry only uses up the next minute.
    ChannelKind.WECOM_ROBOT: RetryRule(first=timedelta(seconds=10)),
    # Google asks for 10 s at least after a 5xx or a timeout.
    ChannelKind.FCM: RetryRule(first=timedelta(seconds=10), longest=timedelta(minutes=10)),
    # Greylisting: a server that says 4xx wants to be asked again minutes later.
    ChannelKind.EMAIL: RetryRule(first=timedelta(seconds=30), longest=timedelta(minutes=30)),
    # Each attempt may be billed.
    ChannelKind.SMS: RetryRule(first=timedelta(seconds=5), attempts=4),
    # Standard Webhooks asks for retries over hours.
    ChannelKind.WEBHOOK: RetryRule(first=timedelta(seconds=5), longest=timedelta(hours=2), attempts=10),
}
HOUSE_RULE: Final = RetryRule()


@dataclass(frozen=True)
class Tried:
    """A delivery after an attempt."""

    channel: ChannelKind
    urgency: Urgency
    attempt: int
    """Number of the attempt, from 1."""
    first_time: datetime
    """When the first attempt began."""
    expire_time: datetime
    idempotent: bool
    maybe_before: bool
    """Whether an earlier attempt may have been sent."""
    has_fallback: bool
    replaced_by: str = ""
    """Why it is not to be sent any more, if it is not."""


@dataclass(frozen=True)
class Verdict:
    """Where a delivery stands after an attempt, and what else is to be done."""

    state: State
    reason: str
    due_time: datetime | None = None
    remove_address: bool = False
    fall_back: bool = False


def rule_of(channel: ChannelKind) -> RetryRule:
    """Return a channel's rule."""
    return RULES.get(channel, HOUSE_RULE)


def backoff(rule: RetryRule, attempt: int, random: float) -> timedelta:
    """Return the wait after an attempt, from 1; `random` is from 0 to 1."""
    return min(rule.longest, rule.first * (1 << min(attempt - 1, 30))) * random


def judge(tried: Tried, outcome: Outcome, now: datetime, random: float) -> Verdict:
    """Return what follows. `random`, from 0 to 1, is the jitter."""
    match outcome:
        case Sent():
            return Verdict(State.SENT, "")
        case AddressGone(reason):
            return Verdict(State.DEAD, f"ADDRESS_GONE {reason}", remove_address=True, fall_back=True)
        case Refused(reason):
            return Verdict(State.DEAD, f"REFUSED {reason}", fall_back=True)
    return _after_failure(tried, outcome, now, random)


def _after_failure(tried: Tried, failed: Failed, now: datetime, random: float) -> Verdict:
    if tried.replaced_by:
        return Verdict(State.SUPERSEDED, tried.replaced_by)
    if failed.maybe_sent and not may_repeat(tried, now):
        # What presses goes to another channel; what does not may have been read already.
        return Verdict(State.DEAD, f"MAYBE_SENT {failed.reason}", fall_back=tried.urgency >= Urgency.HIGH)
    rule = rule_of(tried.channel)
    if tried.attempt >= _most_attempts(tried, rule):
        return Verdict(State.DEAD, f"GIVEN_UP {failed.reason}", fall_back=True)
    wait = backoff(rule, tried.attempt, random)
    if failed.maybe_sent:
        # There may be only this one repeat: it must not be spent on the connection that is just dying.
        wait = max(wait, rule.first)
    due = now + max(wait, failed.retry_after or timedelta(0))
    if due >= tried.expire_time:
        return Verdict(State.DEAD, f"NO_TIME_LEFT {failed.reason}", fall_back=True)
    return Verdict(State.WAITING, f"RETRY after {failed.reason}", due)


def may_repeat(tried: Tried, now: datetime) -> bool:
    """Return whether an attempt that may have been sent may be made again.

    A provider that drops repeats: as long as it does. Any other: once, and only for what presses (HIGH,
    CRITICAL), so that the worst that a reader sees is one message twice.
    """
    if _drops_repeats(tried, now):
        return True
    return tried.urgency >= Urgency.HIGH and not tried.maybe_before


def too_late_to_repeat(tried: Tried, now: datetime) -> bool:
    """Return whether the next attempt would show a reader twice what may have been sent and does not press.

    A repeat that was allowed may have waited since, for quiet hours or a provider, until its provider drops it no
    more. A first attempt that may have been sent before was listed in a digest: nobody knows it by its own id.
    """
    if not tried.maybe_before or tried.urgency >= Urgency.HIGH:
        return False
    return tried.attempt == 1 or not _drops_repeats(tried, now)


def _drops_repeats(tried: Tried, now: datetime) -> bool:
    kept = rule_of(tried.channel).repeats_dropped_for
    return tried.idempotent and (kept is None or now - tried.first_time < kept)


def _most_attempts(tried: Tried, rule: RetryRule) -> int:
    urgent = tried.urgency >= Urgency.HIGH and tried.has_fallback
    return min(rule.attempts, URGENT_ATTEMPTS) if urgent else rule.attempts
