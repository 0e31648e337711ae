"""Advice on habits: only what is beyond doubt, with its interval and what it costs, in words."""

import pytest
from positions import wording
from positions.domain.advice import habit_advice
from positions.domain.advice.habits import ADVISED, better, harmful
from positions.domain.habits import Habit, Harm
from positions.domain.habits.habit import Estimate


def habit(key: str, low: float, value: float, high: float, **changes: object) -> Habit:
    fields: dict[str, object] = {
        "key": key,
        "unit": "share",
        "harm": Harm.ABOVE,
        "neutral": None if key == "turnover" else 0.0,
        "sample": 120,
        "minimum": 20,
        "estimate": Estimate(value, low, high),
        "parts": {},
        "percentile": 91.0,
    }
    return Habit(**(fields | changes))  # type: ignore[arg-type]


TURNOVER = habit("turnover", 9.0, 12.0, 15.0, parts={"cost": Estimate(0.021, 0.015, 0.027)})


def test_only_what_is_beyond_doubt_is_said() -> None:
    surely = habit("disposition", 0.05, 0.2, 0.35)
    perhaps = habit("chasing", -0.02, 0.1, 0.2)
    unknown = habit("panic", 0, 0, 0, estimate=None)
    told = list(habit_advice([surely, perhaps, unknown, TURNOVER], 200_000))
    assert [one.kind for one in told] == ["habit_disposition", "habit_turnover"]
    assert all(one.orders == () and one.what_if == () for one in told)
    # 2.1 % of 200,000 a year.
    assert told[0].facts["cost_money"] == pytest.approx(4_200)


def test_cheap_trading_is_nobody_s_business() -> None:
    cheap = habit("turnover", 9.0, 12.0, 15.0, parts={"cost": Estimate(0.012, 0.008, 0.016)})
    assert not harmful(cheap)
    assert harmful(TURNOVER)
    assert list(habit_advice([cheap], 1.0)) == []


@pytest.mark.parametrize("key", ADVISED)
def test_every_kind_has_words_with_its_evidence(key: str) -> None:
    source = TURNOVER if key == "turnover" else habit(key, 1.05, 1.2, 1.35)
    (draft,) = habit_advice([source], 1_000.0)
    reason = wording.reason(draft.kind, draft.facts)
    assert "95%" in reason.en
    assert "120" in reason.en
    assert "91%" in reason.en
    assert "91%" in reason.zh
    assert wording.title(draft.kind, draft.facts).zh
    assert len(reason.en) < 500  # read in a minute


def test_what_it_costs_is_left_out_where_it_is_not_known() -> None:
    (draft,) = habit_advice([habit("chasing", 0.05, 0.1, 0.2, percentile=None)], 1_000.0)
    reason = wording.reason(draft.kind, draft.facts)
    assert "costs" not in reason.en
    assert "accounts" not in reason.en


def test_better_is_away_from_harm() -> None:
    assert better(0.2, 0.1, Harm.ABOVE, 0.0)
    assert not better(0.1, 0.2, Harm.ABOVE, 0.0)
    assert better(0.3, 0.5, Harm.BELOW, None)
    assert not better(-0.1, 0.0, Harm.ABOVE, 0.0)  # it was no habit: neutral is not better than that
