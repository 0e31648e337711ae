"""The report's page: whole, in the reader's language, and nothing in it is taken for markup."""

import re
from dataclasses import replace

import pytest
from positions import wording
from positions.domain.risk import Portfolio, RiskReport, make_report
from positions.reports import plots, render
from positions.texts import Text
from positions_risks import portfolio, random_history, risk_of

GROWTH = (1.0, 1.05, 1.02, 1.1, 0.99)
NAMES = {1: Text("星澜银行", "Xinglan Bank"), 2: Text("海湾钢铁", "Haiwan <b>Steel</b>")}


def page(of: Portfolio, language: str) -> tuple[str, RiskReport]:
    report = make_report(of, risk_of(random_history(310)))
    scenarios = [wording.scenario(one.scenario) for one in report.stresses]
    return render(report, NAMES, scenarios, language), report


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ["Risk report", "Market −10%"]), ("zh-CN", ["风险报告", "大盘−10%", "星澜银行"])],
)
def test_a_page_says_all(language: str, words: list[str]) -> None:
    html, report = page(portfolio(50_000, 60_000, growth=GROWTH), language)
    for word in words:
        assert word in html
    assert html.count("<svg") == 5
    for tail in report.tails:
        assert f"{tail.risk.var:,.2f}" in html
    assert f'lang="{language}"' in html


def test_words_of_plots_are_text() -> None:
    """Drawn as paths they would be boxes without the font; as text elements the reader's fonts write them."""
    html, _ = page(portfolio(50_000, 60_000), "zh-CN")
    assert re.search(r"<text[^>]*>[^<]*星澜银行", html)


@pytest.mark.parametrize("name", ["$$", "$\\frac{$", "a$b$c"])
def test_a_name_is_no_formula(name: str) -> None:
    drawn = plots.stresses([name], [-0.1], plots.colours("en"))
    assert re.search(rf"<text[^>]*>{re.escape(name)}<", drawn)


def test_a_page_asks_nobody_for_anything() -> None:
    html, _ = page(portfolio(50_000, 60_000, growth=GROWTH), "en")
    assert not re.search(r"<(script|link|img|iframe)\b|url\(http|@import", html)
    outside = set(re.findall(r'(?:href|src)="(?!#)([^"]*)"', html))
    assert outside == set()


def test_names_are_not_markup() -> None:
    html, _ = page(portfolio(50_000, 60_000), "en")
    assert "<b>Steel</b>" not in html
    assert "&lt;b&gt;Steel" in html


def test_red_is_up_in_china() -> None:
    chinese, english = plots.colours("zh-CN"), plots.colours("en")
    assert (chinese.gain, chinese.loss) == (english.loss, english.gain)


def test_an_empty_account_has_a_page() -> None:
    html, _ = page(replace(portfolio(equity=0.0), positions=[]), "en")
    assert "Too little history to draw." in html


def test_the_same_report_gives_the_same_page() -> None:
    assert page(portfolio(50_000, growth=GROWTH), "en")[0] == page(portfolio(50_000, growth=GROWTH), "en")[0]
