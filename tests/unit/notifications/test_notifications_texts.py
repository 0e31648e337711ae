"""Texts: values in the reader's language, cut to what fits, and templates that cannot go wrong."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications import templates
from notifications.channels.wechat.fields import FIELD_LIMITS, first_misfit
from notifications.domain.cutting import cut, cut_bytes
from notifications.domain.notice import LocalText, Money, Number, Percent, Value
from notifications.domain.sending import ChannelKind, Limits
from notifications.domain.templates import Template, names, problems, render, sample
from notifications.domain.writing import decimal, write

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
FAMILY = "👨\u200d👩\u200d👧"  # one character to the reader, five to Python


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [
        (Number(Decimal("1234567.5")), "1,234,567.5", "1,234,567.5"),
        (Percent(Decimal("0.254")), "25.4%", "25.4%"),
        (Percent(Decimal("-0.05")), "-5%", "-5%"),
        (Money("CNY", Decimal("1234.5")), "¥1,234.50", "CN¥1,234.50"),
        (Money("USD", Decimal("-3")), "-US$3.00", "-$3.00"),
        (LocalText("买入", "Buy"), "买入", "Buy"),
        (LocalText("", "Buy"), "Buy", "Buy"),
        # 02:30 UTC is 10:30 in Shanghai.
        (datetime(2026, 3, 2, 2, 30, tzinfo=UTC), "3月2日 10:30", "Mar 2, 10:30"),
        ("600519", "600519", "600519"),
        (None, "–", "–"),
    ],
)
def test_values_are_written_in_the_readers_language(value: Value | None, zh: str, en: str) -> None:
    assert write(value, "zh-CN", SHANGHAI) == zh
    assert write(value, "en", SHANGHAI) == en


def test_times_are_written_in_the_readers_zone_on_both_sides_of_a_change_of_the_clock() -> None:
    # New York is at UTC-5 until 8 March 2026 07:00 UTC, and at UTC-4 from then on.
    assert write(datetime(2026, 3, 8, 6, 59, tzinfo=UTC), "en", NEW_YORK) == "Mar 8, 01:59"
    assert write(datetime(2026, 3, 8, 7, 0, tzinfo=UTC), "en", NEW_YORK) == "Mar 8, 03:00"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, "short"),
        ("贵州茅台集中度提醒", 5, "贵州茅台…"),  # 4 and the ellipsis
        ("profit 12,345.60 today", 13, "profit…"),  # never within the number
        ("12345", 3, "…"),
        (f"a{FAMILY}b", 6, "a…"),  # never within the family
        (f"a{FAMILY}bc", 7, f"a{FAMILY}…"),
        ("e\u0301e\u0301e\u0301", 4, "e\u0301…"),  # nor between a letter and its accent
        ("🇨🇳🇩🇪🇫🇷", 4, "🇨🇳…"),  # nor within a flag, which is two characters
        ("👍🏽👍🏽", 2, "…"),
        ("anything", 0, "anything"),
        ("up 3.5% now", 7, "up…"),  # the sign belongs to the number
        ("1234567\u03018", 8, "…"),  # back from the accent is within the number
    ],
)
def test_texts_are_cut_where_a_reader_would_cut_them(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected


WORDS = st.text(st.sampled_from("ab 你好1234567890.,%-é\u0301\u200d👨👩🇨🇳🏽한"), max_size=60)


@given(WORDS, st.integers(1, 40))
def test_a_cut_text_fits_and_splits_no_number(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short) <= limit
    if short == text:
        return
    kept = short.removesuffix("…")
    assert text.startswith(kept)
    rest = text[len(kept) :]
    assert not (re.search(r"\d$", kept) and re.match(r"\d", rest))
    assert not (rest and kept and unicodedata.combining(rest[0]))


@given(WORDS, st.integers(1, 100))
def test_a_text_cut_to_bytes_fits(text: str, limit: int) -> None:
    assert len(cut_bytes(text, limit).encode()) <= limit


A_TEMPLATE = Template("positions.advice", "en", title="{{ title }}", body="{{ reason }} ({{ value }})")
KNOWN = frozenset({"title", "reason", "value"})


def wrong(template: Template) -> list[str]:
    return [field for field, _ in problems(template, KNOWN)]


def test_a_good_template_has_no_problem() -> None:
    assert wrong(A_TEMPLATE) == []
    assert names(A_TEMPLATE.body) == ["reason", "value"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"body": "{{ nobody }}"}, "body"),
        ({"body": "{% if value %}x{% endif %} {{ value | upper }}"}, "body"),
        ({"body": "{{ value"}, "body"),
        ({"body": "x" * 4001}, "body"),
        ({"title": "a\nb"}, "title"),
        ({"title": "t" * 201}, "title"),
        ({"title": ""}, "title"),
        ({"body": "bell \x07"}, "body"),
        ({"channel": ChannelKind.WECHAT, "fields": {"bad name": "x"}}, "fields"),
        ({"channel": ChannelKind.WECHAT, "fields": {"thing1": "{{ nobody }}"}}, "fields[thing1]"),
        ({"channel": ChannelKind.WECHAT, "fields": {f"thing{n}": "x" for n in range(21)}}, "fields"),
        ({"channel": ChannelKind.WECHAT, "provider_template": "x" * 129}, "provider_template"),
    ],
)
def test_a_wrong_template_is_refused_with_its_field(changes: dict[str, object], field: str) -> None:
    assert field in wrong(replace(A_TEMPLATE, **changes))  # type: ignore[arg-type]


def test_a_value_is_text_and_never_a_template() -> None:
    values: dict[str, Value] = {"title": "{{ reason }}", "reason": "{% evil %}"}
    rendered = render(A_TEMPLATE, values, SHANGHAI)
    assert (rendered.title, rendered.body) == ("{{ reason }}", "{% evil %} (–)")


def test_what_does_not_fit_is_cut_and_told() -> None:
    values: dict[str, Value] = {"title": "t" * 30, "reason": "短", "value": Percent(Decimal("0.5"))}
    rendered = render(A_TEMPLATE, values, SHANGHAI, Limits(title=10))
    assert rendered.title == "t" * 9 + "…"
    assert rendered.cuts == ("title: 30 characters, 10 allowed",)


def test_fields_are_written_by_their_type() -> None:
    said = Template(
        "positions.advice",
        "zh-CN",
        ChannelKind.WECHAT,
        fields={
            "thing1": "{{ title }}",
            "amount2": "{{ money }}",
            "time3": "{{ at }}",
            "character_string4": "{{ symbol }}",
            "number5": "{{ count }}",
        },
    )
    values: dict[str, Value] = {
        "title": LocalText("持仓集中度超过您自己设定的上限请您尽快处理", "Too concentrated"),
        "money": Money("CNY", Decimal("-1234.5")),
        "at": datetime(2026, 3, 2, 2, 30, tzinfo=UTC),
        "symbol": "600519",
        "count": Number(Decimal(12000)),
    }
    fields = render(said, values, SHANGHAI, Limits(fields=FIELD_LIMITS)).fields
    assert fields == {
        "thing1": "持仓集中度超过您自己设定的上限请您尽快…",  # 19 and the ellipsis
        "amount2": "-1234.50元",
        "time3": "2026-03-02 10:30",
        "character_string4": "600519",
        "number5": "12000",
    }


def test_decimals_of_notices() -> None:
    assert decimal("-12.50") == Decimal("-12.50")
    for text in ("", "1e9", "NaN", "1,5", "1" * 25, "0x10"):
        assert decimal(text) is None


HOUSE = templates.house()


def test_every_kind_is_said_in_both_languages() -> None:
    said = {(one.kind, one.language) for one in HOUSE if one.channel is None}
    assert said == {(kind, language) for kind in templates.kinds() for language in ("zh-CN", "en")}


@pytest.mark.parametrize("template", HOUSE, ids=lambda one: f"{one.kind}-{one.language}-{one.channel}")
def test_the_houses_templates_are_right(template: Template) -> None:
    assert list(problems(template, templates.kinds()[template.kind])) == []


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)
VALUES = st.one_of(
    TEXTS,
    st.builds(LocalText, TEXTS, TEXTS),
    st.builds(Percent, st.decimals(-10, 10, places=4)),
)


@given(st.sampled_from([one for one in HOUSE if one.channel is ChannelKind.WECHAT]), st.data())
def test_wechat_takes_every_field_of_the_houses_templates(template: Template, data: st.DataObject) -> None:
    """Names, reasons and titles may be anything; what WeChat would refuse never leaves."""
    values = {name: sample(name) for name in templates.kinds()[template.kind]}
    for name, value in values.items():
        if isinstance(value, str | LocalText):
            values[name] = data.draw(VALUES, label=name)
    fields = render(template, values, SHANGHAI, Limits(fields=FIELD_LIMITS)).fields
    assert first_misfit(fields) == ""
