"""Alerts: raised at the threshold, cleared below the band, one for each cause, worse with time and size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from positions.domain.alerts import (
    ALL,
    CONCENTRATION,
    LOSS_TODAY,
    PRICE_LIMIT,
    STOP_LOSS,
    Change,
    Severity,
    Standing,
    StandingAlerts,
    Transition,
    alert_id,
    readings,
)
from positions.domain.alerts.kinds import CLEAR_AT, CLEAR_DISTANCE
from positions_accounts import PATIENT

MINUTE = 60 * 10**9


def judge(
    alerts: StandingAlerts,
    value: float,
    threshold: float = 0.4,
    *,
    kind: int = CONCENTRATION,
    now: int = 0,
    seq: int = 1,
) -> list[Transition]:
    rows = readings(np.array([7]), kind, np.array([3]), np.array([value]), np.array([threshold]))
    found = alerts.judge(rows, np.array([7]), [kind], now, seq)
    alerts.apply(found)
    return found


def changes(found: list[Transition]) -> list[Change]:
    return [one.change for one in found]


def test_a_life() -> None:
    alerts = StandingAlerts()
    assert judge(alerts, 0.39) == []
    (raised,) = judge(alerts, 0.40, seq=12, now=5)
    assert (raised.change, raised.alert.severity) == (Change.RAISED, Severity.WARNING)
    assert raised.alert.alert_id == alert_id(7, CONCENTRATION, 3, 12)
    assert judge(alerts, 0.41) == []  # a move of less than 5 % of 0.4
    assert changes(judge(alerts, 0.45)) == [Change.MOVED]
    (worse,) = judge(alerts, 0.50)  # 1.25 × 0.4
    assert (worse.change, worse.alert.severity, worse.alert.worst) == (
        Change.ESCALATED,
        Severity.CRITICAL,
        0.5,
    )
    (calmer,) = judge(alerts, 0.37)  # below the threshold, above 0.9 of it: it stands, as bad as it was
    assert (calmer.change, calmer.alert.severity, calmer.alert.worst) == (
        Change.MOVED,
        Severity.CRITICAL,
        0.5,
    )
    (over,) = judge(alerts, 0.35)
    assert (over.change, over.alert.value) == (Change.CLEARED, 0.35)
    assert len(alerts) == 0


def test_severity_at_once() -> None:
    (raised,) = judge(StandingAlerts(), 0.62)
    assert raised.alert.severity == Severity.CRITICAL  # 1.55 times the threshold; never above critical
    (loss,) = judge(StandingAlerts(), 0.05, 0.05, kind=LOSS_TODAY)
    assert loss.alert.severity == Severity.CRITICAL  # it wakes from the start


def test_a_holding_that_is_gone_clears() -> None:
    alerts = StandingAlerts()
    judge(alerts, 0.5)
    nothing = readings(np.zeros(0, int), CONCENTRATION, np.zeros(0, int), np.zeros(0), np.zeros(0))
    assert alerts.judge(nothing, np.array([8]), [CONCENTRATION], 0, 2) == []  # another account was looked at
    assert alerts.judge(nothing, np.array([7]), [STOP_LOSS], 0, 2) == []  # another kind
    found = alerts.judge(nothing, np.array([7]), [CONCENTRATION], 0, 2)
    assert [(one.change, one.alert.value) for one in found] == [(Change.CLEARED, 0.0)]


def test_unknown_figures_change_nothing_and_off_is_off() -> None:
    alerts = StandingAlerts()
    assert judge(alerts, np.nan) == []
    assert judge(alerts, 0.9, threshold=0.0) == []
    judge(alerts, 0.5)
    assert judge(alerts, np.nan) == []
    assert changes(judge(alerts, 0.5, threshold=0.0)) == [Change.CLEARED]  # switched off while it stood


def test_distances_alert_when_they_are_small() -> None:
    alerts = StandingAlerts()
    assert judge(alerts, 0.001, 0.0, kind=PRICE_LIMIT) == []
    assert changes(judge(alerts, 0.0, 0.0, kind=PRICE_LIMIT)) == [Change.RAISED]
    assert changes(judge(alerts, CLEAR_DISTANCE, 0.0, kind=PRICE_LIMIT)) == [Change.MOVED]
    assert changes(judge(alerts, CLEAR_DISTANCE + 0.001, 0.0, kind=PRICE_LIMIT)) == [Change.CLEARED]
    assert judge(alerts, 0.0, -1.0, kind=PRICE_LIMIT) == []  # off


def test_time_escalates_what_nobody_saw() -> None:
    alerts = StandingAlerts()
    (raised,) = judge(alerts, 0.41, now=0)
    assert alerts.overdue(30 * MINUTE - 1, 30 * MINUTE) == []
    (risen,) = alerts.overdue(30 * MINUTE, 30 * MINUTE)
    assert risen.alert.severity == Severity.CRITICAL
    alerts.acknowledge([raised.alert.alert_id])
    assert alerts.overdue(90 * MINUTE, 30 * MINUTE) == []
    assert alerts.get(raised.alert.key).acknowledged  # type: ignore[union-attr]


def test_what_was_not_made_durable_is_found_again() -> None:
    alerts = StandingAlerts()
    rows = readings(np.array([7]), CONCENTRATION, np.array([3]), np.array([0.5]), np.array([0.4]))
    first = alerts.judge(rows, np.array([7]), [CONCENTRATION], 9, 12)
    again = alerts.judge(rows, np.array([7]), [CONCENTRATION], 9, 12)
    assert first == again  # the same id too: nothing was applied


@PATIENT
@given(
    st.floats(0.01, 1.0).map(lambda threshold: round(threshold, 6)),
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=60),
)
def test_no_flapping_within_the_band(threshold: float, places: list[float]) -> None:
    """However a figure moves between the clearing point and the threshold, nothing is raised or cleared."""
    alerts = StandingAlerts()
    judge(alerts, threshold, threshold)
    for place in places:
        value = threshold * (CLEAR_AT + (1 - CLEAR_AT) * place)
        assert not {Change.RAISED, Change.CLEARED} & set(changes(judge(alerts, value, threshold)))


@PATIENT
@given(st.lists(st.floats(0, 2), min_size=1, max_size=80))
def test_raised_and_cleared_take_turns(values: list[float]) -> None:
    alerts = StandingAlerts()
    turns = []
    severity = 0
    for at, value in enumerate(values):
        for one in judge(alerts, value, seq=at + 1):
            if one.change in (Change.RAISED, Change.CLEARED):
                turns.append(one.change)
                severity = 0
            assert one.alert.severity >= severity  # it never falls while it stands
            severity = one.alert.severity if one.change is not Change.CLEARED else 0
    assert turns == [Change.RAISED, Change.CLEARED] * (len(turns) // 2) + [Change.RAISED] * (len(turns) % 2)


@settings(PATIENT, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_many_accounts_agree_with_one_by_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    together, alone = StandingAlerts(), {account: StandingAlerts() for account in range(1, 9)}
    accounts = np.arange(1, 9)
    for step in range(6):
        values = draw.uniform(0, 0.8, 8)
        thresholds = np.full(8, 0.4)
        rows = readings(accounts, CONCENTRATION, np.full(8, 3), values, thresholds)
        found = together.judge(rows, accounts, [CONCENTRATION], step, step + 1)
        together.apply(found)
        singly = []
        for account in alone:
            one = rows[rows["account_id"] == account]
            singly += alone[account].judge(one, np.array([account]), [CONCENTRATION], step, step + 1)
            alone[account].apply(singly[-1:] if singly and singly[-1].alert.account_id == account else [])
        assert sorted(found, key=order) == sorted(singly, key=order)


def order(one: Transition) -> tuple[int, str]:
    return one.alert.account_id, one.change.value


def test_ids_tell_causes_apart() -> None:
    ids = {alert_id(a, k, s, q) for a in (1, 2) for k in range(len(ALL)) for s in (0, 1) for q in (1, 2)}
    assert len(ids) == 2 * len(ALL) * 2 * 2


def test_standing_alerts_are_kept_by_key() -> None:
    one = Standing("al-1", 7, CONCENTRATION, 3, Severity.INFO, 0.5, 0.4, 0.5, 0, 0, 1)
    alerts = StandingAlerts([one])
    assert alerts.get(one.key) == one
    assert alerts.get(one.key + 1) is None


def test_readings_of_a_kind_share_it() -> None:
    rows = readings(np.array([1, 2]), LOSS_TODAY, 0, np.array([0.1, 0.2]), np.array([0.0, 0.05]))
    assert rows["threshold"].tolist() == pytest.approx([np.nan, 0.05], nan_ok=True)


def test_what_was_not_told_is_told_once_with_what_was_found_meanwhile() -> None:
    alerts = StandingAlerts()
    judge(alerts, 0.45, now=5)
    judge(alerts, 0.12, threshold=0.1, kind=STOP_LOSS, now=5)
    # What is found with it counts: one is over.
    rows = readings(np.array([7]), STOP_LOSS, np.array([3]), np.array([0.02]), np.array([0.1]))
    found = alerts.judge(rows, np.array([7]), [STOP_LOSS], 9, 2)
    (late,) = alerts.untold(found, 9)
    assert (late.change, late.alert.kind, late.since_ns) == (Change.TOLD, CONCENTRATION, 5)
    assert (late.alert.told, late.alert.raise_ns, late.alert.risen_ns) == (Severity.WARNING, 5, 9)
    alerts.apply([*found, late])
    assert alerts.untold([], 10) == []
    judge(alerts, 0.55, now=11)  # worse, and again nobody was told
    assert [one.alert.told for one in alerts.untold([], 12)] == [Severity.CRITICAL]
