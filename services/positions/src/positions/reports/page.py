"""From a report's figures to the page: what each table and plot shows, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isinf
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from positions import wording
from positions.domain.risk.report import HISTORICAL, RiskReport
from positions.reports import plots
from positions.texts import Text, text

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
)
_WORDS = "report."


def render(
    report: RiskReport, names: Mapping[int, Text], scenario_names: Sequence[Text], language: str
) -> str:
    """The page. `names` are the instruments', `scenario_names` those of the report's stress tests, in order."""
    writer = _Writer(report, names, scenario_names, language)
    return _ENVIRONMENT.get_template("report.html.j2").render(
        language=language,
        word=writer.word,
        report=report,
        tones=writer.tones,
        figures=writer.figures(),
        plots=writer.plots(),
        tables=writer.tables(),
        caveats=[wording.caveat(one).language(language) for one in report.caveats],
        account=report.portfolio.account_id,
        made=_time(report.portfolio.time_ns),
    )


class _Writer:
    """Writes parts of one report in one language."""

    def __init__(
        self, report: RiskReport, names: Mapping[int, Text], scenario_names: Sequence[Text], language: str
    ) -> None:
        self.report = report
        self.language = language
        self.tones = plots.colours(language)
        self._names = [
            names.get(one.instrument_id, Text(one.symbol, one.symbol)).language(language)
            for one in report.portfolio.positions
        ]
        self._scenarios = [name.language(language) for name in scenario_names]

    def word(self, key: str) -> str:
        """A label."""
        return text(_WORDS + key).language(self.language)

    def figures(self) -> list[tuple[str, str]]:
        """The cards at the top."""
        report = self.report
        value, low, high = report.beta
        return [
            (self.word("equity"), f"{report.portfolio.equity:,.2f} {report.portfolio.currency}"),
            (self.word("volatility"), _share(report.volatility)),
            (self.word("beta"), f"{value:.2f} ({low:.2f} – {high:.2f})"),
            (self.word("drawdown"), f"{_share(report.drawdown_now)} / {_share(report.drawdown_worst)}"),
            (self.word("history"), str(report.days)),
        ]

    def plots(self) -> list[tuple[str, Any]]:
        """Titles and drawings; a plot without data is left out."""
        report, equity = self.report, self.report.portfolio.equity
        drawn: list[tuple[str, str]] = []
        if len(report.portfolio.growth) > 1:
            days = [datetime.fromtimestamp(ns / 1e9, UTC) for ns in report.portfolio.growth_ns]
            labels = self.word("growth"), self.word("drawdown_short")
            drawn.append(("equity_curve", plots.curve(days, report.portfolio.growth, labels, self.tones)))
        if equity > 0 and self._names:
            shares = [one.value / equity for one in report.portfolio.positions]
            drawn.append(("weights", plots.weights(self._names, shares)))
            drawn += self._risk_plots(equity)
        return [(self.word(key), markupsafe.Markup(svg)) for key, svg in drawn]

    def _risk_plots(self, equity: float) -> list[tuple[str, str]]:
        report, found = self.report, []
        total = float(report.components.sum())
        if total > 0:
            shares = list(report.components / total)
            found.append(("components", plots.components(self._names, shares, self.tones)))
        if len(report.daily_gains) > 1:
            lines = [
                (f"{self.word('value_at_risk')} {tail.risk.level:.0%}", tail.risk.var / equity)
                for tail in report.tails
                if tail.method == HISTORICAL and tail.risk.horizon_days == 1
            ]
            found.append(("histogram", plots.histogram(list(report.daily_gains / equity), lines, self.tones)))
        if self._scenarios:
            changes = [one.change / equity for one in report.stresses]
            found.append(("stress", plots.stresses(self._scenarios, changes, self.tones)))
        return found

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Title, heads and rows of each table that has rows."""
        found = [
            (
                "tail_risk",
                ["method", "horizon", "level", "value_at_risk", "expected_shortfall"],
                self._tails(),
            ),
            ("stress", ["scenario", "change", "change_share"], self._stresses()),
            ("liquidity", ["instrument", "days_to_leave", "leaving_cost"], self._liquidity()),
            (
                "backtests",
                ["method", "level", "days", "violations", "kupiec", "christoffersen"],
                self._backtests(),
            ),
        ]
        return [
            (self.word(key), [self.word(head) for head in heads], rows) for key, heads, rows in found if rows
        ]

    def _tails(self) -> list[list[str]]:
        return [
            [
                self.word(tail.method),
                str(tail.risk.horizon_days),
                f"{tail.risk.level:.0%}",
                f"{tail.risk.var:,.2f}",
                f"{tail.risk.es:,.2f}",
            ]
            for tail in self.report.tails
        ]

    def _stresses(self) -> list[list[str]]:
        equity = self.report.portfolio.equity
        return [
            [name, f"{one.change:,.2f}", _share(one.change / equity) if equity > 0 else "–"]
            for name, one in zip(self._scenarios, self.report.stresses, strict=True)
        ]

    def _liquidity(self) -> list[list[str]]:
        rows = zip(self._names, self.report.days_to_leave, self.report.cost_to_leave, strict=True)
        return [
            [
                name,
                self.word("never") if isinf(days) else f"{days:.2f}",
                "–" if isinf(cost) else f"{cost:,.2f}",
            ]
            for name, days, cost in rows
        ]

    def _backtests(self) -> list[list[str]]:
        return [
            [
                self.word(one.method),
                f"{one.test.level:.0%}",
                str(one.test.days),
                str(one.test.violations),
                f"{one.test.coverage.p_value:.3f}",
                f"{one.test.conditional_coverage.p_value:.3f}",
            ]
            for one in self.report.backtests
        ]


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
