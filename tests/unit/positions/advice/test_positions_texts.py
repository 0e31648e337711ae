"""Both catalogues say the same, and everything that is told has words."""

import string

import pytest
from positions import texts, wording
from positions.domain.advice.habits import ADVISED
from positions.domain.alerts import ALL
from positions.domain.habits import MINIMUMS
from positions.domain.outcomes import HORIZON_DAYS
from positions.domain.profile import BREAKPOINTS
from positions.domain.questionnaire import QUESTIONS
from positions.texts import Text, text

ENGLISH, CHINESE = texts.catalogues()["en"], texts.catalogues()["zh-CN"]


def fields(sentence: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(sentence) if name}


def test_the_same_keys_with_the_same_values() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    assert {key for key in ENGLISH if fields(ENGLISH[key]) != fields(CHINESE[key])} == set()


def test_chinese_is_chinese() -> None:
    assert [
        key for key, words in CHINESE.items() if not any("\u4e00" <= one <= "\u9fff" for one in words)
    ] == []


def test_everything_has_words() -> None:
    keys = [f"alert.{kind.name}.{part}" for kind in ALL for part in ("text", "action")]
    kinds = [*HORIZON_DAYS, *(f"habit_{habit}" for habit in ADVISED)]
    keys += [f"advice.{kind}.{part}" for kind in kinds for part in ("title", "reason", "helped")]
    keys += [
        f"habit.{key}.{part}"
        for key in MINIMUMS
        for part in ("name", "definition", "unit", "harmful", "fine")
    ]
    keys += [f"question.{q.key}.{part}" for q in QUESTIONS for part in ("text", *q.choices)]
    keys += [f"sign.{key}" for key in BREAKPOINTS]
    assert [key for key in keys if not texts.has(key)] == []


def test_values_are_written_in_the_reader_s_language() -> None:
    told = text(
        "alert.concentration.text",
        {"subject": Text("星澜银行", "Xinglan Bank"), "value": 0.625, "threshold": 0.4},
    )
    assert told.en == "Xinglan Bank makes up 62.5% of your equity (limit 40.0%)."
    assert told.zh == "星澜银行占您权益的62.5%（限额40.0%）。"
    assert told.language("zh-CN") == told.zh
    assert text("advice.cost", {"cost_share": 0.021, "cost_money": 1234.5}).en.endswith(
        "2.1% a year, 1,234.50."
    )


FACTS = {
    "symbol": "687018.SH",
    "name_zh": "明澈半导体",
    "name_en": "Mingche Semiconductor",
    "weight": 1.0,
    "after": 0.3564,
    "loss": 0.125,
    "money": 123.0,
    "limit": 0.4,
    "sold": 9_999_999.99,
    "product_risk": 5,
}


@pytest.mark.parametrize("kind", [*HORIZON_DAYS, *(f"habit_{habit}" for habit in ADVISED)])
def test_advice_is_said_whole_in_a_field_of_wechat(kind: str) -> None:
    assert len(wording.brief(kind, FACTS).zh) <= 20
    if not kind.startswith("habit_"):
        assert len(wording.brief(kind, FACTS).en) <= 20


def test_beside_it_stands_what_it_is_about() -> None:
    assert wording.brief("reduce_concentration", FACTS).zh == "减持：占比100.0%→35.6%"
    assert wording.what(FACTS) == Text("明澈半导体 687018.SH", "687018.SH")
    assert wording.what({"industry": "Banks"}).zh == "银行"
    assert wording.what({"symbols": "S1, S2"}).en == "S1, S2"
    assert wording.what({"alert": "leverage"}) == Text("您的投资组合", "Your portfolio")


def test_a_missing_value_is_a_bug() -> None:
    with pytest.raises(KeyError):
        text("alert.concentration.text", {"value": 0.1})
    with pytest.raises(KeyError):
        text("no.such.key")


def test_sentences_are_joined_as_the_language_does() -> None:
    assert texts.joined([Text("一。", "One."), Text("二。", "Two.")]) == Text("一。二。", "One. Two.")
