"""Readings from the live book: worked figures, and only accounts that need it are looked at closely."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from positions.domain.alerts import ALL, CONCENTRATION, PRICE_LIMIT, STOP_LOSS, StandingAlerts
from positions.domain.alerts.measure import LIVE, Places, Thresholds, holdings, read, worth_a_look
from positions.domain.book import Book
from positions.domain.limits import HOUSE, Limits
from positions_accounts import PATIENT
from positions_books import cash, event, fold, freshness, new_book, rules, shares, trade

NOWHERE = Places(np.array([1, 2]), np.full(65_536, np.nan))


@pytest.fixture
def book() -> Book:
    """Account 7: 40,000 in cash, 6,000 shares of 1 (Banks) and 1,000 of 2 (Steel) at 10.00: 110,000 in all."""
    made = new_book(rules(1), rules(2, "Steel"))
    fold(made, cash(7, 40_000), shares(7, 1, 6000), shares(7, 2, 1000), cash(8, 90_000), shares(8, 2, 1000))
    return made


def readings_of(book: Book, places: Places = NOWHERE, own: dict[int, Limits] | None = None) -> Any:
    at = np.arange(book.accounts)
    figures = book.figures(at, freshness())
    table = Thresholds(HOUSE, own or {}).of(figures["account_id"])
    return read(book.tables, at, figures, table, freshness(), places)


def value(rows: Any, account: int, kind: int, subject: int = 0) -> float:
    chosen = (rows["account_id"] == account) & (rows["kind"] == kind) & (rows["subject"] == subject)
    (found,) = rows["value"][chosen]
    return float(found)


def test_worked_readings(book: Book) -> None:
    rows = readings_of(book)
    assert value(rows, 7, CONCENTRATION, 1) == pytest.approx(60_000 / 110_000)
    assert value(rows, 7, CONCENTRATION, 2) == pytest.approx(10_000 / 110_000)
    names = {kind.name: at for at, kind in enumerate(ALL)}
    assert value(rows, 7, names["industry_concentration"], 1) == pytest.approx(60_000 / 110_000)
    assert value(rows, 7, names["industry_concentration"], 2) == pytest.approx(10_000 / 110_000)
    assert value(rows, 7, names["leverage"]) == pytest.approx(70_000 / 110_000)
    assert value(rows, 8, CONCENTRATION, 2) == pytest.approx(0.1)


def test_a_fall_is_a_loss_of_the_day_a_drawdown_and_a_stop(book: Book) -> None:
    # The day begins at 110,000 and 100,000. Instrument 2 falls from 10.00 to 8.00 by a trade of one share from 8 to 7.
    fold(book, event(19, available=2))
    fold(book, trade(7, 8, 2, 800, 1))
    rows, names = readings_of(book), {kind.name: at for at, kind in enumerate(ALL)}
    # 7: 1,001 shares at 8.00 where 1,000 were at 10.00: −2,000 of 110,000.
    assert value(rows, 7, names["loss_today"]) == pytest.approx(2_000 / 110_000)
    assert value(rows, 7, names["drawdown"]) == pytest.approx(2_000 / 110_000)
    # It cost 10,000 + 8; it is worth 8,008.
    assert value(rows, 7, STOP_LOSS, 2) == pytest.approx(1 - 8_008 / 10_008)
    assert value(rows, 7, STOP_LOSS, 1) == 0.0


def test_distance_to_the_limit_is_of_what_is_held(book: Book) -> None:
    distances = np.full(65_536, np.nan)
    distances[2] = 0.0
    rows = readings_of(book, Places(np.array([1, 2]), distances))
    assert value(rows, 7, PRICE_LIMIT, 2) == 0.0
    assert np.isnan(value(rows, 7, PRICE_LIMIT, 1))


def test_own_limits_hold_for_their_account_only(book: Book) -> None:
    table = Thresholds(HOUSE, {8: Limits(concentration=0.05)}).of(np.array([7, 8, 9]))
    assert table[:, CONCENTRATION].tolist() == [HOUSE.concentration, 0.05, HOUSE.concentration]
    assert table[1, STOP_LOSS] == HOUSE.stop_loss
    figures = book.figures(np.array([0, 1]), freshness())
    assert worth_a_look(figures, Thresholds(HOUSE, {}).of(figures["account_id"])).tolist() == [True, False]
    assert worth_a_look(figures, table[:2]).tolist() == [True, True]


def test_an_account_without_anything_reads_nothing() -> None:
    book = new_book(rules(1))
    fold(book, cash(7, 0))
    assert len(holdings(book.tables, np.array([0]), freshness())) == 0
    rows = readings_of(book)
    assert not (rows["value"] >= rows["threshold"]).any()


@given(st.integers(0, 2**32 - 1))
@settings(PATIENT, max_examples=25)
def test_a_close_look_is_needed_wherever_it_would_raise_something(seed: int) -> None:
    """The quick look at whole accounts passes over nobody whom the close look at holdings would raise an alert for."""
    draw = np.random.default_rng(seed)
    book = new_book(rules(1), rules(2, "Steel"), rules(3, "Steel"))
    events = [cash(account, float(draw.integers(0, 100_000))) for account in range(1, 9)]
    events += [
        shares(int(draw.integers(1, 9)), int(draw.integers(1, 4)), int(draw.integers(1, 9000)))
        for _ in range(16)
    ]
    fold(book, *events)
    fold(book, *(event(18, instrument_id=n, price_ticks=int(draw.integers(700, 1300))) for n in (1, 2, 3)))
    at = np.arange(book.accounts)
    figures = book.figures(at, freshness())
    table = Thresholds(HOUSE, {}).of(figures["account_id"])
    rows = read(book.tables, at, figures, table, freshness(), NOWHERE)
    raised = StandingAlerts().judge(rows, figures["account_id"], LIVE, 0, 1)
    quick = set(figures["account_id"][worth_a_look(figures, table)].tolist())
    assert {one.alert.account_id for one in raised} == quick
