"""From a notice and what its reader wants to deliveries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.domain.decide import Planned, Target, decide
from notifications.domain.digest import digest_text, gathered
from notifications.domain.fallback import next_channel
from notifications.domain.notice import Notice, State
from notifications.domain.preferences import ChannelRule, Preferences, QuietHours
from notifications.domain.sending import ChannelKind, Urgency
from notifications.domain.supersede import newest, replaced_by

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai
NIGHT = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)  # 02:00 in Shanghai
ALL = frozenset(ChannelKind)
WECHAT = Target("a-wechat", ChannelKind.WECHAT)
PHONE, TABLET = Target("a-phone", ChannelKind.FCM), Target("a-tablet", ChannelKind.FCM)
MAIL = Target("a-mail", ChannelKind.EMAIL)
QUIET = QuietHours(time(22), time(7))


def a_notice(urgency: Urgency = Urgency.NORMAL, now: datetime = NOON, **changes: object) -> Notice:
    notice = Notice("n-1", 7, "positions.concentration", urgency, now, now + timedelta(days=1))
    return replace(notice, **changes)  # type: ignore[arg-type]


def plans(notice: Notice, preferences: Preferences, *targets: Target, now: datetime = NOON) -> list[Planned]:
    return decide(notice, preferences, targets, ALL, now)


def test_without_a_rule_the_first_channel_that_has_an_address_is_tried_and_the_others_follow() -> None:
    (plan,) = plans(a_notice(), Preferences(), MAIL, WECHAT, PHONE)
    assert (plan.channel, plan.state, plan.due_time) == (ChannelKind.WECHAT, State.WAITING, NOON)
    assert plan.fallback == (ChannelKind.FCM, ChannelKind.EMAIL)


def test_every_device_of_a_channel_is_reached() -> None:
    assert [plan.address_id for plan in plans(a_notice(), Preferences(), PHONE, TABLET)] == [
        "a-phone",
        "a-tablet",
    ]


def test_all_at_once_reaches_all_channels_and_falls_back_on_none() -> None:
    rule = ChannelRule("positions.*", (ChannelKind.EMAIL, ChannelKind.WECHAT), all_at_once=True)
    made = plans(a_notice(), Preferences(rules=(rule,)), MAIL, WECHAT, PHONE)
    assert [(plan.channel, plan.fallback) for plan in made] == [
        (ChannelKind.EMAIL, ()),
        (ChannelKind.WECHAT, ()),
    ]


def test_the_closest_rule_wins() -> None:
    rules = (
        ChannelRule("*", (ChannelKind.FCM,)),
        ChannelRule("positions.*", (ChannelKind.EMAIL,)),
        ChannelRule("positions.concentration", (ChannelKind.WECHAT,)),
    )
    kinds = {"positions.concentration": "wechat", "positions.advice": "email", "conversations.message": "fcm"}
    for kind, channel in kinds.items():
        (plan,) = plans(a_notice(kind=kind), Preferences(rules=rules), MAIL, WECHAT, PHONE)
        assert plan.channel == channel


def test_a_muted_kind_is_suppressed_unless_it_is_critical() -> None:
    muted = Preferences(rules=(ChannelRule("positions.*", (ChannelKind.WECHAT,), muted=True),))
    (plan,) = plans(a_notice(Urgency.HIGH), muted, WECHAT)
    assert (plan.state, plan.reason) == (State.SUPPRESSED, "MUTED by the rule for positions.*")
    (plan,) = plans(a_notice(Urgency.CRITICAL), muted, WECHAT)
    assert plan.state is State.WAITING


def test_what_is_less_urgent_than_the_rule_asks_waits_in_the_inbox() -> None:
    rule = ChannelRule("*", (ChannelKind.WECHAT,), least_urgency=Urgency.HIGH)
    (plan,) = plans(a_notice(Urgency.NORMAL), Preferences(rules=(rule,)), WECHAT)
    assert (plan.state, plan.reason) == (State.SUPPRESSED, "LESS_URGENT than HIGH")


def test_a_rule_for_the_inbox_alone_sends_nothing() -> None:
    rule = ChannelRule("*", ())
    assert plans(a_notice(Urgency.HIGH), Preferences(rules=(rule,)), WECHAT) == []


def test_a_channel_without_credentials_says_so_and_the_next_one_is_used() -> None:
    made = decide(a_notice(), Preferences(), [WECHAT, MAIL], frozenset({ChannelKind.EMAIL}), NOON)
    assert [(plan.channel, plan.state, plan.reason) for plan in made] == [
        (ChannelKind.WECHAT, State.SUPPRESSED, "NO_CREDENTIALS"),
        (ChannelKind.EMAIL, State.WAITING, ""),
    ]


def test_without_an_address_one_row_says_so() -> None:
    (plan,) = plans(a_notice(), Preferences())
    assert (plan.state, plan.reason, plan.address_id) == (State.SUPPRESSED, "NO_ADDRESS", "")


@pytest.mark.parametrize("urgency", [Urgency.NORMAL, Urgency.HIGH])
def test_at_night_a_message_waits_for_the_morning(urgency: Urgency) -> None:
    (plan,) = plans(a_notice(urgency, NIGHT), Preferences(quiet_hours=QUIET), WECHAT, now=NIGHT)
    # 07:00 in Shanghai is 23:00 UTC of the day before.
    assert (plan.due_time, plan.reason) == (
        datetime(2026, 3, 2, 23, 0, tzinfo=UTC),
        "QUIET_HOURS until 07:00",
    )


def test_what_is_critical_wakes_if_the_reader_lets_it() -> None:
    (plan,) = plans(a_notice(Urgency.CRITICAL, NIGHT), Preferences(quiet_hours=QUIET), WECHAT, now=NIGHT)
    assert plan.due_time == NIGHT
    asleep = Preferences(quiet_hours=replace(QUIET, critical_bypasses=False))
    (plan,) = plans(a_notice(Urgency.CRITICAL, NIGHT), asleep, WECHAT, now=NIGHT)
    assert plan.due_time > NIGHT


def test_low_urgency_waits_for_the_digest() -> None:
    (plan,) = plans(a_notice(Urgency.LOW), Preferences(), WECHAT)
    # 08:30 of the next day in Shanghai is 00:30 UTC.
    assert (plan.due_time, plan.gathered) == (datetime(2026, 3, 3, 0, 30, tzinfo=UTC), True)
    assert plan.reason == "DIGEST at 08:30"


def test_a_digest_within_the_quiet_hours_waits_for_their_end() -> None:
    early = Preferences(quiet_hours=QUIET, digest_times=(time(6),))
    (plan,) = plans(a_notice(Urgency.LOW), early, WECHAT)
    assert plan.due_time == datetime(2026, 3, 2, 23, 0, tzinfo=UTC)


def test_the_morning_digest_of_the_portfolio_is_no_part_of_another_digest() -> None:
    digest = a_notice(Urgency.LOW, kind="positions.digest")
    (plan,) = plans(digest, Preferences(), WECHAT)
    assert (plan.due_time, plan.gathered) == (NOON, False)
    (plan,) = plans(digest, Preferences(morning_digest=False), WECHAT)
    assert (plan.state, plan.reason) == (State.SUPPRESSED, "NO_MORNING_DIGEST")


def test_what_came_too_late_or_would_be_sent_too_late_is_not_sent() -> None:
    (plan,) = plans(a_notice(expire_time=NOON), Preferences(), WECHAT)
    assert plan.state is State.EXPIRED
    brief = a_notice(Urgency.NORMAL, NIGHT, expire_time=NIGHT + timedelta(hours=1))
    (plan,) = plans(brief, Preferences(quiet_hours=QUIET), WECHAT, now=NIGHT)
    assert (plan.state, plan.reason) == (
        State.EXPIRED,
        "EXPIRED before it may be sent: QUIET_HOURS until 07:00",
    )


def test_of_two_notices_of_one_key_the_newer_one_is_sent_whatever_the_order() -> None:
    older = a_notice(supersede_key="k", notice_id="n-1")
    newer = a_notice(supersede_key="k", notice_id="n-2", cause_time=NOON + timedelta(seconds=1))
    for order in ([older, newer], [newer, older]):
        found = newest(order, {})
        assert replaced_by(older, found) == "SUPERSEDED by n-2"
        assert replaced_by(newer, found) == ""
    over = replace(newer, withdrawn=True)
    assert replaced_by(older, newest([over], newest([older], {}))) == "WITHDRAWN by n-2"


def test_the_next_channel_is_the_first_that_can_be_used_and_has_an_address() -> None:
    addresses = {ChannelKind.EMAIL: [MAIL], ChannelKind.FCM: [PHONE]}
    order = (ChannelKind.WECHAT, ChannelKind.FCM, ChannelKind.EMAIL)
    found = next_channel(order, addresses, frozenset({ChannelKind.EMAIL, ChannelKind.WECHAT}))
    assert found is not None
    assert (found.channel, found.targets, found.fallback) == (
        ChannelKind.EMAIL,
        (MAIL,),
        (),
    )
    assert next_channel(order, {}, ALL) is None


def test_a_digest_lists_what_it_gathers() -> None:
    title, body = digest_text([f"t{n}" for n in range(22)], "en")
    assert title == "22 new messages"
    assert body.splitlines()[0] == "· t0"
    assert body.splitlines()[-1] == "and 2 more in your inbox"
    assert len(body.splitlines()) == 21


TARGETS = st.lists(
    st.builds(Target, st.sampled_from(["a", "b", "c"]), st.sampled_from(sorted(ALL))), max_size=6, unique=True
)
RULES = st.builds(
    ChannelRule,
    st.just("*"),
    st.lists(st.sampled_from(sorted(ALL)), unique=True, max_size=5).map(tuple),
    st.booleans(),
    st.sampled_from(Urgency),
    st.booleans(),
)
NOWS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(
    st.sampled_from(Urgency),
    NOWS,
    st.integers(0, 3000),
    RULES,
    st.booleans(),
    TARGETS,
    st.frozensets(st.sampled_from(sorted(ALL))),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York"]),
)
def test_whatever_is_wanted_nothing_is_sent_twice_late_or_without_credentials(
    urgency: Urgency,
    now: datetime,
    life: int,
    rule: ChannelRule,
    quiet: bool,
    targets: list[Target],
    configured: frozenset[ChannelKind],
    zone: str,
) -> None:
    notice = a_notice(urgency, now, expire_time=now + timedelta(minutes=life))
    wants = Preferences(time_zone=zone, quiet_hours=QUIET if quiet else None, rules=(rule,))
    made = decide(notice, wants, targets, configured, now)
    places = [(plan.channel, plan.address_id) for plan in made]
    assert len(places) == len(set(places))
    for plan in made:
        if plan.state is not State.WAITING:
            assert plan.reason
            continue
        assert now <= plan.due_time < notice.expire_time
        assert plan.channel in configured
        assert Target(plan.address_id, plan.channel) in targets
        assert gathered(notice.kind, urgency) == plan.gathered
