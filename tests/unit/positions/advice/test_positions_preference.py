"""Limits, questionnaire, suitability, profile and outcomes: worked cases and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from positions.domain import limits, outcomes, profile, questionnaire, suitability
from positions.domain.limits import HOUSE, KINDS, LimitError, Limits
from positions.domain.outcomes import Basis
from positions.domain.profile import Behaviour, Held
from positions.domain.questionnaire import QUESTIONS, AnswerError
from positions_accounts import PATIENT

CAREFUL = {question.key: next(iter(question.choices)) for question in QUESTIONS}
BOLD = {question.key: list(question.choices)[-1] for question in QUESTIONS}
answers = st.fixed_dictionaries({q.key: st.sampled_from(list(q.choices)) for q in QUESTIONS})


def test_the_house_fills_what_is_unset() -> None:
    own = Limits(concentration=0.25, leverage=0.0)
    held = limits.effective(own)
    assert (held.concentration, held.leverage, held.drawdown) == (0.25, 0.0, HOUSE.drawdown)


@pytest.mark.parametrize(
    ("own", "field"),
    [
        (Limits(concentration=-0.1), "concentration"),
        (Limits(stop_loss=1.5), "stop_loss"),
        (Limits(drawdown=float("nan")), "drawdown"),
        (Limits(leverage=101), "leverage"),
        (Limits(price_limit_distance=-1.5), "price_limit_distance"),
    ],
)
def test_limits_out_of_range(own: Limits, field: str) -> None:
    with pytest.raises(LimitError) as failure:
        limits.check(own)
    assert failure.value.field == field


@PATIENT
@given(
    st.sampled_from([name for name in KINDS if name != "price_limit_distance"]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_only_tighter_is_tighter(name: str, before: float, after: float) -> None:
    """Zero is off, which lets everything pass; else less is tighter."""
    tighter = before == after or (after != 0 and (before == 0 or after < before))
    change = limits.effective(Limits(**{name: before})), limits.effective(Limits(**{name: after}))
    if tighter:
        limits.check_tightens(*change)
    else:
        with pytest.raises(LimitError):
            limits.check_tightens(*change)


def test_a_larger_distance_warns_earlier() -> None:
    near, far = (
        limits.effective(Limits(price_limit_distance=0.0)),
        limits.effective(Limits(price_limit_distance=0.02)),
    )
    limits.check_tightens(near, far)
    with pytest.raises(LimitError):
        limits.check_tightens(far, near)


def test_classes_by_score() -> None:
    assert questionnaire.level(CAREFUL) == 1
    assert questionnaire.level(BOLD) == 5
    # 0+0+0+0+0+0+0+0 and 3 + 3 are 6 of 100: an average of 0.6, C1. A no to any loss is C1 at any score.
    assert questionnaire.level(BOLD | {"loss_tolerance": "none"}) == 1
    assert questionnaire.level(BOLD | {"knowledge": "none"}) == 2
    middle = {
        "age": "45_to_60",  # 6
        "income": "steady",  # 8
        "share_of_assets": "30_to_50",  # 5
        "debts": "mortgage",  # 7
        "knowledge": "basic",  # 4
        "experience": "2_to_5",  # 5
        "horizon": "1_to_3",  # 4
        "aim": "balanced",  # 6
        "loss_tolerance": "up_to_10",  # 3
        "reaction": "sell_some",  # 3: 51 in all, 5.1 on average
    }
    assert questionnaire.score(middle) == pytest.approx(5.1)
    assert questionnaire.level(middle) == 3


@PATIENT
@given(answers, st.sampled_from(QUESTIONS), st.data())
def test_a_bolder_answer_never_lowers_the_class(
    given_: dict[str, str], question: object, data: st.DataObject
) -> None:
    choices = list(question.choices)  # type: ignore[attr-defined]
    key = question.key  # type: ignore[attr-defined]
    bolder = data.draw(st.sampled_from(choices[choices.index(given_[key]) :]))
    assert questionnaire.level(given_ | {key: bolder}) >= questionnaire.level(given_)


def test_answers_are_whole_and_known() -> None:
    for wrong, field in (
        ({k: v for k, v in BOLD.items() if k != "aim"}, "aim"),
        (BOLD | {"aim": "riches"}, "aim"),
        (BOLD | {"shoe_size": "44"}, "shoe_size"),
    ):
        with pytest.raises(AnswerError) as failure:
            questionnaire.level(wrong)
        assert failure.value.field == field


def test_classes_and_products() -> None:
    assert [suitability.highest_suitable_risk(c) for c in range(6)] == [0, 1, 2, 3, 4, 5]
    assert suitability.may_recommend(1, 1)
    assert not suitability.may_recommend(1, 2)
    assert not suitability.may_recommend(0, 1)  # no answer
    assert not suitability.may_recommend(5, 0)  # no rating
    assert suitability.unsuitable(1, 2)
    assert not suitability.unsuitable(0, 5)
    with pytest.raises(ValueError, match="class"):
        suitability.highest_suitable_risk(6)


def test_revealed_level_by_hand() -> None:
    # volatility 16 % → 3; leverage 0.8, half way from 0.65 to 0.95 → 3.5; largest 30 % → 3;
    # R: (2·300 + 4·100) / 400 = 2.5.
    # 0.4·3 + 0.1·3.5 + 0.2·3 + 0.3·2.5 = 1.2 + 0.35 + 0.6 + 0.75 = 2.9
    holdings = (Held(1, "A", 300, 0.3, 2), Held(2, "B", 100, 0.1, 4))
    found = profile.assess(2, Behaviour(holdings, 0.8, 0.3, 0.16))
    assert found.revealed_level == pytest.approx(2.9)
    assert found.distance == pytest.approx(0.9)
    assert [one.symbol for one in found.unsuitable] == ["B"]
    assert found.verdict == "unsuitable"
    assert profile.assess(4, Behaviour(holdings, 0.8, 0.3, 0.16)).verdict == "calmer"
    assert profile.assess(4, Behaviour(holdings, 1.6, 0.8, 0.4)).verdict == "fits"
    assert profile.assess(0, Behaviour(holdings, 0.8, 0.3, 0.16)).verdict == "unanswered"


def test_little_to_tell() -> None:
    empty = profile.assess(3, Behaviour((), 0.0, 0.0, None))
    assert (empty.revealed_level, empty.distance, empty.verdict) == (0.0, 0.0, "unknown")
    unrated = profile.assess(3, Behaviour((Held(1, "A", 100, 1.0, 0),), 1.0, 1.0, None))
    assert [sign.key for sign in unrated.signs] == ["leverage", "concentration"]


def test_selling_before_a_fall_helps_and_before_a_rise_does_not() -> None:
    # 100 in one share and no cash; the advice sells half at a cost of 0.1. The price falls by 20 %, then stands:
    # without −20 %; with 0.5·(−20 %) − 0.1 % = −10.1 %. Benefit: 50 · 0.2 − 0.1 = 9.9 of 100.
    basis = Basis({1: 100.0}, {1: -50.0}, {1: 10.0}, 0.0, 0.1)
    fell = outcomes.settle("reduce_concentration", basis, {1: [10, 8, 8]})
    assert fell.benefit == pytest.approx(0.099)
    assert fell.helped
    rose = outcomes.settle("reduce_concentration", basis, {1: [10, 11, 12]})
    assert rose.benefit == pytest.approx(-0.101)
    assert not rose.helped  # no drawdown without it, the costs with it
    # A dip that comes back: selling cost money and yet spared a drawdown.
    dip = outcomes.settle("reduce_risk", basis, {1: [10, 7, 10]})
    assert dip.benefit < 0
    assert dip.helped
    assert not outcomes.settle("cut_loss", basis, {1: [10, 7, 10]}).helped
    assert outcomes.settle("cut_loss", basis, {1: [10, 7, 9]}).helped


def test_no_prices_is_no_change_but_costs() -> None:
    settled = outcomes.settle("cut_loss", Basis({1: 100.0}, {1: -50.0}, {1: 10.0}, 0.0, 0.1), {})
    assert (settled.benefit, settled.helped) == (0.0, False)


def test_taken_share() -> None:
    assert outcomes.taken_share(400, 100) == 0.25
    assert outcomes.taken_share(400, 900) == 1.0
    assert outcomes.taken_share(0, 0) == 0.0


def test_hit_rate_is_wilsons() -> None:
    # 8 of 10: (0.8 + 0.19207) / 1.38415 ± 0.30677 · … = 0.4902 to 0.9433 (Brown, Cai and DasGupta 2001, table).
    rate, low, high = outcomes.hit_rate(8, 10)
    assert (rate, low, high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert outcomes.hit_rate(0, 0) == (0.0, 0.0, 1.0)
    assert outcomes.hit_rate(0, 5)[1] == 0.0
