"""What follows an attempt, and when a channel rests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.domain.breaker import CLOSED, HALF_OPEN, OPEN, Breaker, BreakerRule, counts
from notifications.domain.checks import Candidate, hold
from notifications.domain.notice import State
from notifications.domain.preferences import ChannelRule, Preferences, QuietHours
from notifications.domain.rate import Pace, wait_until
from notifications.domain.retry import (
    RULES,
    RetryRule,
    Tried,
    backoff,
    judge,
    rule_of,
    too_late_to_repeat,
)
from notifications.domain.sending import AddressGone, ChannelKind, Failed, Outcome, Refused, Sent, Urgency

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
HOUSE = Preferences()
TRIED = Tried(
    channel=ChannelKind.APNS,
    urgency=Urgency.NORMAL,
    attempt=1,
    first_time=NOW,
    expire_time=NOW + timedelta(days=1),
    idempotent=False,
    maybe_before=False,
    has_fallback=False,
)
CUT = Failed("CONNECTION_LOST", maybe_sent=True)


def test_what_was_sent_is_sent() -> None:
    assert judge(TRIED, Sent("p-1"), NOW, 1.0).state is State.SENT


def test_a_gone_address_is_removed_and_another_channel_tried() -> None:
    verdict = judge(TRIED, AddressGone("UNREGISTERED"), NOW, 1.0)
    assert verdict.state is State.DEAD
    assert verdict.remove_address
    assert verdict.fall_back
    assert verdict.reason == "ADDRESS_GONE UNREGISTERED"


def test_what_is_refused_for_good_is_not_tried_again() -> None:
    verdict = judge(TRIED, Refused("TOO_LONG"), NOW, 1.0)
    assert (verdict.state, verdict.fall_back, verdict.remove_address) == (State.DEAD, True, False)


@pytest.mark.parametrize(
    ("attempt", "random", "wait"),
    [
        (1, 1.0, 1.0),  # 1 s × 2⁰
        (4, 1.0, 8.0),  # 1 s × 2³
        (4, 0.25, 2.0),  # a quarter of it
        (20, 1.0, 300.0),  # no longer than five minutes
        (3, 0.0, 0.0),
    ],
)
def test_the_wait_doubles_up_to_its_cap_and_is_a_random_part_of_it(
    attempt: int, random: float, wait: float
) -> None:
    assert backoff(RetryRule(), attempt, random) == timedelta(seconds=wait)


def test_a_provider_that_names_a_time_is_not_asked_before() -> None:
    verdict = judge(TRIED, Failed("RATE_LIMITED 429", retry_after=timedelta(seconds=90)), NOW, 1.0)
    assert (verdict.state, verdict.due_time) == (State.WAITING, NOW + timedelta(seconds=90))


def test_the_one_repeat_of_what_was_cut_is_not_spent_at_once() -> None:
    # The jitter is 0; APNs' first wait is the house's, a second.
    verdict = judge(replace(TRIED, urgency=Urgency.HIGH), CUT, NOW, 0.0)
    assert (verdict.state, verdict.due_time) == (State.WAITING, NOW + timedelta(seconds=1))


def test_after_the_last_attempt_it_is_given_up() -> None:
    last = replace(TRIED, attempt=rule_of(ChannelKind.APNS).attempts)
    assert judge(last, Failed("UNAVAILABLE 503"), NOW, 1.0).reason == "GIVEN_UP UNAVAILABLE 503"


def test_what_presses_and_has_another_channel_goes_there_sooner() -> None:
    urgent = replace(TRIED, urgency=Urgency.HIGH, has_fallback=True, attempt=3)
    verdict = judge(urgent, Failed("UNAVAILABLE 503"), NOW, 1.0)
    assert (verdict.state, verdict.fall_back) == (State.DEAD, True)


def test_a_retry_after_its_time_is_not_made() -> None:
    brief = replace(TRIED, expire_time=NOW + timedelta(seconds=5))
    verdict = judge(brief, Failed("RATE_LIMITED", retry_after=timedelta(seconds=5)), NOW, 1.0)
    assert verdict.state is State.DEAD


def test_what_was_replaced_meanwhile_is_not_tried_again() -> None:
    verdict = judge(replace(TRIED, replaced_by="SUPERSEDED by n-2"), Failed("UNAVAILABLE"), NOW, 1.0)
    assert (verdict.state, verdict.reason) == (State.SUPERSEDED, "SUPERSEDED by n-2")


@pytest.mark.parametrize(
    ("urgency", "idempotent", "maybe_before", "state"),
    [
        (Urgency.NORMAL, False, False, State.DEAD),  # it may have been read
        (Urgency.HIGH, False, False, State.WAITING),  # the worst is one duplicate
        (Urgency.CRITICAL, False, False, State.WAITING),
        (Urgency.CRITICAL, False, True, State.DEAD),  # never a second duplicate
        (Urgency.LOW, True, False, State.WAITING),  # the provider drops the repeat
        (Urgency.LOW, True, True, State.WAITING),
    ],
)
def test_what_may_have_been_sent(
    urgency: Urgency, idempotent: bool, maybe_before: bool, state: State
) -> None:
    tried = replace(TRIED, urgency=urgency, idempotent=idempotent, maybe_before=maybe_before)
    assert judge(tried, CUT, NOW, 1.0).state is state


def test_a_provider_that_forgets_repeats_is_relied_on_only_that_long() -> None:
    wechat = replace(TRIED, channel=ChannelKind.WECHAT, idempotent=True)
    kept = RULES[ChannelKind.WECHAT].repeats_dropped_for
    assert kept is not None
    assert judge(wechat, CUT, NOW + kept - timedelta(seconds=1), 1.0).state is State.WAITING
    assert judge(wechat, CUT, NOW + kept, 1.0).state is State.DEAD


OUTCOMES = st.one_of(
    st.just(Sent()),
    st.just(AddressGone("GONE")),
    st.just(Refused("NO")),
    st.builds(
        Failed,
        st.just("BUSY"),
        st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
        st.booleans(),
    ),
)


@given(
    st.lists(OUTCOMES, max_size=30),
    st.sampled_from(sorted(set(ChannelKind) - {ChannelKind.INBOX})),
    st.sampled_from(Urgency),
    st.booleans(),
    st.floats(0, 1),
)
def test_a_reader_of_a_channel_without_idempotency_sees_at_most_one_duplicate(
    outcomes: list[Outcome], channel: ChannelKind, urgency: Urgency, fallback: bool, random: float
) -> None:
    """A failure that says `maybe_sent` may have been a message; so may a success. Nothing goes out after expiry."""
    expire = NOW + timedelta(hours=6)
    now, shown, maybe = NOW, 0, False
    for attempt, outcome in enumerate(outcomes, start=1):
        assert now < expire
        shown += isinstance(outcome, Sent) or (isinstance(outcome, Failed) and outcome.maybe_sent)
        tried = Tried(channel, urgency, attempt, NOW, expire, False, maybe, fallback)
        verdict = judge(tried, outcome, now, random)
        maybe = maybe or (isinstance(outcome, Failed) and outcome.maybe_sent)
        if verdict.state is not State.WAITING:
            break
        assert verdict.due_time is not None
        now = verdict.due_time
    assert shown <= (2 if urgency >= Urgency.HIGH else 1)


def test_a_channel_rests_after_failures_in_a_row_and_is_tried_with_one_message() -> None:
    breaker, now = Breaker(BreakerRule(failures=3, rest=timedelta(seconds=10))), NOW
    for _ in range(3):
        assert breaker.room(now, 50) == 50
        breaker.began(now)
        breaker.ended(Failed("DOWN"), now)
    assert (breaker.state(now), breaker.room(now, 50)) == (OPEN, 0)
    now += timedelta(seconds=10)
    assert (breaker.state(now), breaker.room(now, 50)) == (HALF_OPEN, 1)
    breaker.began(now)
    assert breaker.room(now, 50) == 0
    breaker.ended(Failed("DOWN"), now)
    # The second rest is twice as long.
    assert breaker.state(now + timedelta(seconds=19)) == OPEN
    now += timedelta(seconds=20)
    breaker.began(now)
    breaker.ended(Sent(), now)
    assert (breaker.state(now), breaker.room(now, 50)) == (CLOSED, 50)


def test_a_success_or_a_refusal_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(BreakerRule(failures=2))
    for outcome in (Failed("DOWN"), Refused("BAD"), Failed("DOWN"), Sent(), Failed("DOWN")):
        breaker.began(NOW)
        breaker.ended(outcome, NOW)
    assert breaker.state(NOW) == CLOSED


def test_a_readers_own_server_says_nothing_of_the_others() -> None:
    assert not counts(ChannelKind.WEBHOOK, Failed("DOWN"))
    assert counts(ChannelKind.FCM, Failed("DOWN"))


def test_the_hourly_limit_is_over_when_the_first_message_is_an_hour_old() -> None:
    first = NOW - timedelta(minutes=50)
    full = Pace(60, first)
    assert wait_until(full, Urgency.HIGH, 60) == NOW + timedelta(minutes=10)
    assert wait_until(full, Urgency.CRITICAL, 60) is None
    assert wait_until(Pace(59, first), Urgency.HIGH, 60) is None


CANDIDATE = Candidate("positions.advice", Urgency.NORMAL, NOW + timedelta(hours=3))


def test_the_last_look_before_sending() -> None:
    assert hold(CANDIDATE, HOUSE, Pace(), NOW) is None
    found = hold(replace(CANDIDATE, expire_time=NOW), HOUSE, Pace(), NOW)
    assert found is not None
    assert found.state is State.EXPIRED
    found = hold(replace(CANDIDATE, replaced_by="SUPERSEDED by n"), HOUSE, Pace(), NOW)
    assert found is not None
    assert found.state is State.SUPERSEDED
    found = hold(replace(CANDIDATE, address_usable=False), HOUSE, Pace(), NOW)
    assert found is not None
    assert found.state is State.SUPPRESSED
    muted = Preferences(rules=(ChannelRule("*", muted=True),))
    found = hold(CANDIDATE, muted, Pace(), NOW)
    assert found is not None
    assert found.state is State.SUPPRESSED


def test_quiet_hours_and_the_hourly_limit_hold_a_message_back() -> None:
    # 12:00 in Shanghai; quiet until 13:00, and the hour of the first message ends at 12:10.
    lunch = Preferences(quiet_hours=QuietHours(time(11), time(13)))
    full = Pace(60, NOW - timedelta(minutes=50))
    found = hold(CANDIDATE, lunch, full, NOW)
    assert found is not None
    assert (found.state, found.due_time) == (State.WAITING, NOW + timedelta(hours=1))
    found = hold(CANDIDATE, HOUSE, full, NOW)
    assert found is not None
    assert found.due_time == NOW + timedelta(minutes=10)
    code = replace(CANDIDATE, direct=True)
    assert hold(code, lunch, full, NOW) is None


@pytest.mark.parametrize(
    ("changes", "late"),
    [
        ({}, False),
        ({"maybe_before": True}, True),
        ({"maybe_before": True, "idempotent": True}, False),
        ({"maybe_before": True, "idempotent": True, "first_time": NOW - timedelta(minutes=10)}, True),
        ({"maybe_before": True, "urgency": Urgency.HIGH}, False),
        # It was listed in a digest, which went out under another id.
        ({"maybe_before": True, "idempotent": True, "attempt": 1}, True),
    ],
)
def test_a_repeat_that_waited_too_long_is_not_made(changes: dict[str, Any], late: bool) -> None:
    waiting = replace(TRIED, channel=ChannelKind.WECHAT, urgency=Urgency.NORMAL, attempt=2)
    assert too_late_to_repeat(replace(waiting, **changes), NOW) is late
