"""The rules of conversations: answers in WeChat, the states of proposals, finding words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.domain.talk import (
    Answer,
    Caller,
    Party,
    ProposalState,
    fold,
    grams,
    has_controls,
    printable,
    query_words,
    read_answer,
    state_at,
)

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("同意31", Answer(True, 31)),
        ("同意 31。", Answer(True, 31)),
        ("同意３１", Answer(True, 31)),  # full-width digits
        ("OK 7", Answer(True, 7)),
        ("Y", Answer(True, 0)),
        ("同意", Answer(True, 0)),
        ("拒绝31", Answer(False, 31)),
        ("不同意 31", Answer(False, 31)),
        ("no", Answer(False, 0)),
        ("同意31号", None),  # says more than an answer
        ("我不太同意", None),
        ("ok but sell less", None),
        ("31", None),
        ("", None),
    ],
)
def test_only_a_plain_answer_counts_as_one(text: str, answer: Answer | None) -> None:
    assert read_answer(text) == answer


@given(st.text(max_size=60))
def test_a_reply_is_an_answer_only_if_it_begins_with_a_word_of_one(text: str) -> None:
    answer = read_answer(text)
    if answer is not None:
        assert 0 <= answer.number < 10**9
        assert fold(text)


@pytest.mark.parametrize(
    ("text", "in_a_line", "in_lines"),
    [
        ("Spread the risk 分散风险 🙂", False, False),
        ("one\n\ttwo", True, False),
        ("\x1b[2Ksell", True, True),  # a terminal would wipe the line
        ("buy\u202elles", True, True),  # turns the direction of writing
        ("a\x00b", True, True),
    ],
)
def test_what_makes_a_text_look_like_another_is_found(text: str, in_a_line: bool, in_lines: bool) -> None:
    assert has_controls(text) is in_a_line
    assert has_controls(text, lines=True) is in_lines
    assert (printable(text) == text) is not in_lines
    assert not has_controls(printable(text), lines=True)


def test_an_open_proposal_ends_by_itself_and_no_other_does() -> None:
    ends = NOW + timedelta(hours=1)
    assert state_at(ProposalState.OPEN, ends, NOW) is ProposalState.OPEN
    assert state_at(ProposalState.OPEN, ends, ends) is ProposalState.EXPIRED
    assert state_at(ProposalState.ACCEPTED, ends, ends) is ProposalState.ACCEPTED


def test_a_caller_is_the_investor_the_trader_or_nobody() -> None:
    assert Caller(1001, None).party(1001, "trader") is Party.INVESTOR
    assert Caller(None, "trader").party(1001, "trader") is Party.TRADER
    assert Caller(1002, "trader").party(1001, "trader") is Party.TRADER
    assert Caller(1002, "other").party(1001, "trader") is None
    assert Caller(None, None).party(1001, "trader") is None


def test_chinese_is_found_by_pairs_of_characters() -> None:
    assert grams("买入银行") == sorted(["买入", "入银", "银行"])
    assert set(grams("银行")) <= set(grams("我想买入银行股"))
    assert not set(grams("钢铁")) <= set(grams("我想买入银行股"))


@given(st.text(max_size=40), st.text(min_size=2, max_size=8), st.text(max_size=40))
def test_whatever_holds_a_word_holds_its_pairs(before: str, word: str, after: str) -> None:
    for each in query_words(word):
        text = f"{before} {each} {after}"
        if each in fold(text):
            assert set(grams(each)) <= set(grams(text))
