"""Decimals and micros."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching.money import from_micros, tick_value, to_micros


@given(st.integers(-4 * 10**18, 4 * 10**18))
def test_every_amount_survives(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert Decimal(from_micros(micros)) * 1_000_000 == micros


@pytest.mark.parametrize(
    ("text", "micros"), [("1", 1_000_000), ("-0.5", -500_000), ("0.000001", 1), ("12.340000", 12_340_000)]
)
def test_known_amounts(text: str, micros: int) -> None:
    assert to_micros(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1e3",
        "+1",
        "1.",
        ".5",
        "0.0000001",
        "1,000",
        "NaN",
        "inf",
        "9" * 20,
        "1\n",
        "١",
        "--1",
        "1.2.3",
    ],
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        to_micros(text)


def test_shown_with_two_places_at_least() -> None:
    assert from_micros(1_234_500_000) == "1234.50"
    assert from_micros(-1) == "-0.000001"
    assert from_micros(0) == "0.00"


@pytest.mark.parametrize(
    ("tick", "lot", "value"), [("0.01", "1", 10_000), ("0.0001", "0.01", 1), ("1", "1000", 10**9)]
)
def test_tick_values(tick: str, lot: str, value: int) -> None:
    assert tick_value(tick, lot) == value


@pytest.mark.parametrize(
    ("tick", "lot"),
    [("0.001", "0.0001"), ("0", "1"), ("-1", "1"), ("1", ""), ("0.0000015", "1"), ("1e-2", "1")],
)
def test_tick_values_that_are_none(tick: str, lot: str) -> None:
    with pytest.raises(ValueError, match=r"write|must be"):
        tick_value(tick, lot)
