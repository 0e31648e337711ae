"""VaR of one day, forecast out of sample on five years of 88 US stocks, against what came.

The table that `-s` prints is the record of where the 95 % band of Kupiec holds and where not; README.md of the
library quotes it.
"""

import csv
from collections.abc import Callable

import numpy as np
import outside_data
import pandas as pd
import pytest
from smartex_quant import backtests, returns
from smartex_quant.arrays import FloatArray
from smartex_quant.var import Historical, Parametric
from threadpoolctl import threadpool_limits

DATA = outside_data.DATA / "us_daily"
LEVELS = (0.95, 0.99)
Market = tuple[FloatArray, list[str]]
Portfolios = dict[str, FloatArray]
ByLevel = dict[float, list[backtests.Backtest]]
Results = dict[str, ByLevel]
Make = Callable[[FloatArray], backtests.Model]

METHODS: dict[str, Make] = {"filtered": Historical, "student": Parametric}
BASELINES: dict[str, Make] = {
    "plain": lambda rows: Historical(rows, "none"),
    "constant normal": lambda rows: Parametric(rows, "constant", "normal"),
}

pytestmark = outside_data.needs(DATA, "the daily bars of github.com/yumoxu/stocknet-dataset as Parquet")


@pytest.fixture(scope="module")
def market() -> Market:
    """Complete daily returns and the sector of each column."""
    bars = pd.read_parquet(DATA / "us_daily_2012_2017.parquet")
    closes = bars.pivot(index="date", columns="symbol", values="adj_close")
    with (DATA / "sectors.csv").open() as lines:
        sector = {row["symbol"].removeprefix("$"): row["sector"] for row in csv.DictReader(lines)}
    sectors = [sector[symbol] for symbol in closes.columns]
    return returns.complete(closes.to_numpy(), sectors).values, sectors


@pytest.fixture(scope="module")
def portfolios(market: Market) -> Portfolios:
    """A million in each: equal weights, each sector, five stocks drawn at random, and five against five."""
    _, sectors = market
    made = {"all": np.full(len(sectors), 1 / len(sectors))}
    for name in sorted(set(sectors)):
        members = np.array(sectors) == name
        made[name] = members / members.sum()
    generator = np.random.default_rng(20120904)
    for number in range(7):
        picked = generator.choice(len(sectors), 10, replace=False)
        weights = np.zeros(len(sectors))
        weights[picked[:5]] = 0.2
        if number >= 5:
            weights[picked[5:]] = -0.2
        made[f"{'five' if number < 5 else 'five against five'} {number}"] = weights
    return {name: 1e6 * weights for name, weights in made.items()}


def backtest(rows: FloatArray, portfolios: Portfolios, model: Make) -> ByLevel:
    with threadpool_limits(1):  # the matrices are small; more threads only wait for each other
        found = backtests.rolling(rows, np.array(list(portfolios.values())), model, levels=LEVELS)
    return {
        level: [backtests.evaluate(found.violations[:, i, j], level) for i in range(len(portfolios))]
        for j, level in enumerate(LEVELS)
    }


@pytest.fixture(scope="module")
def results(market: Market, portfolios: Portfolios) -> Results:
    rows, _ = market
    found = {name: backtest(rows, portfolios, model) for name, model in (METHODS | BASELINES).items()}
    print_table(portfolios, found)
    return found


def print_table(portfolios: Portfolios, results: Results) -> None:
    for level in LEVELS:
        first = next(iter(results.values()))[level][0]
        print(f"\nVaR {level:.0%}, {first.days} days, {first.expected:.1f} expected, band {first.band}")
        print(
            f"{'violations (* outside the band, ! clustered)':46}"
            + "".join(f"{name:>17}" for name in results)
        )
        for row, name in enumerate(portfolios):
            print(f"{name:46}" + "".join(f"{mark(found[level][row]):>17}" for found in results.values()))


def mark(test: backtests.Backtest) -> str:
    clustered = "!" if test.independence.p_value < 0.05 else ""
    return f"{test.violations}{'' if test.in_band else '*'}{clustered}"


def outside(results: Results, portfolios: Portfolios, method: str, level: float) -> set[str]:
    tests = zip(portfolios, results[method][level], strict=True)
    return {name for name, test in tests if not test.in_band}


@pytest.mark.parametrize("level", LEVELS)
def test_filtered_simulation_stays_within_the_band_of_kupiec(
    results: Results, portfolios: Portfolios, level: float
) -> None:
    assert outside(results, portfolios, "filtered", level) == set()


def test_parametric_stays_within_the_band_of_kupiec_at_95(results: Results, portfolios: Portfolios) -> None:
    assert outside(results, portfolios, "student", 0.95) == set()


def test_parametric_at_99_leaves_the_band_of_kupiec_only_where_said(
    results: Results, portfolios: Portfolios
) -> None:
    assert outside(results, portfolios, "student", 0.99) == {"Technology"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", LEVELS)
def test_violations_of_all_portfolios_together_are_near_what_the_level_says(
    results: Results, method: str, level: float
) -> None:
    tests = results[method][level]
    share = sum(test.violations for test in tests) / sum(test.days for test in tests)
    assert 0.75 <= share / (1 - level) <= 1.5


def test_the_methods_react_to_volatility_and_the_naive_ones_do_not(results: Results) -> None:
    def clustered(method: str) -> int:
        return sum(test.independence.p_value < 0.05 for test in results[method][0.95])

    assert max(clustered(method) for method in METHODS) < min(clustered(method) for method in BASELINES)


@pytest.mark.parametrize("model", [*METHODS.values(), BASELINES["plain"]], ids=[*METHODS, "plain"])
def test_on_shuffled_days_every_method_passes(market: Market, portfolios: Portfolios, model: Make) -> None:
    """The control: without clusters of volatility there is nothing to miss, so a failure would be the test's own."""
    rows, _ = market
    shuffled = np.random.default_rng(1).permutation(rows)
    some = dict(list(portfolios.items())[:4])
    for level, tests in backtest(shuffled, some, model).items():
        assert all(test.in_band for test in tests), level
        assert all(test.independence.p_value > 0.01 for test in tests), level
