"""smartex risk …"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.prompt import Prompt
from rich.text import Text
from smartex.positions.v1 import position_service_pb2 as service
from smartex.positions.v1 import risk_pb2 as pb

from smartex_client.errors import InvalidInput
from smartex_client.market import Market
from smartex_client.words import word

from .output import facts, table
from .reading import Whose, gain, money, percent, text_of
from .session import Session, session_of

app = typer.Typer(no_args_is_help=True, help="What an account may lose, and what it said that it can bear.")

_LIMITS = tuple(field.name for field in pb.Limits.DESCRIPTOR.fields)


@app.command()
def report(
    context: typer.Context,
    account_id: Whose = 0,
    html: Annotated[Path | None, typer.Option(help="also write a page with plots to this file")] = None,
    shock: Annotated[
        list[str] | None,
        typer.Option(help="a scenario of your own: market=-0.1, Banks=-0.2 or 609018.SH=-0.3; repeated"),
    ] = None,
) -> None:
    """Show value at risk, stress tests and how long it takes to leave."""
    session = session_of(context)
    shocks = [pair(each) for each in shock or []]

    async def work(market: Market) -> service.GetRiskReportResponse:
        scenarios = [await _scenario(market, shocks)] if shocks else []
        return await market.positions.risk(account_id, scenarios=scenarios, html=html is not None)

    found: service.GetRiskReportResponse = session.run(work)
    if html is not None:
        session.write(html, found.html.encode(), "html")
    if session.as_json:
        session.say(found.report)
        return
    session.console.print(*_report(session, found.report), sep="\n")
    if html is not None:
        session.console.print(f"→ {html}")


@app.command()
def profile(context: typer.Context, account_id: Whose = 0) -> None:
    """Show the stated risk level (C1 to C5) beside what the behaviour shows."""
    session = session_of(context)

    async def work(market: Market) -> pb.RiskProfile:
        return await market.positions.profile(account_id)

    _print_profile(session, session.run(work))


@app.command()
def questionnaire(
    context: typer.Context,
    answer: Annotated[
        list[str] | None, typer.Option(help="question=choice, for all questions; asked for if left out")
    ] = None,
) -> None:
    """Answer the questions about risk; your level C1 to C5 comes of it."""
    session = session_of(context)

    async def ask(market: Market) -> pb.Questionnaire:
        return await market.positions.questionnaire()

    questions: pb.Questionnaire = session.run(ask)
    if session.as_json and not answer:
        session.say(questions)
        return
    answers = dict(pair(each) for each in answer) if answer else _asked(session, questions)

    async def work(market: Market) -> pb.RiskProfile:
        return await market.positions.answer_questionnaire(questions.version, answers)

    _print_profile(session, session.run(work))


@app.command()
def limits(
    context: typer.Context,
    account_id: Whose = 0,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help=f"name=value, 0 is off, `default` the house's; {', '.join(_LIMITS)}"),
    ] = None,
) -> None:
    """Show the thresholds of the alerts, and change them with --set."""
    session = session_of(context)
    changes = [pair(each) for each in change or []]

    async def work(market: Market) -> Any:
        found = await market.positions.limits(account_id)
        if not changes:
            return found
        return await market.positions.set_limits(_changed(found.own, changes), account_id)

    found = session.run(work)
    if session.as_json:
        session.say({"own": found.own, "effective": found.effective})
        return
    heads = [session.word(head) for head in ("limit", "own", "in force")]
    rows = [
        (_named(session, name), _value(found.own, name), _value(found.effective, name)) for name in _LIMITS
    ]
    session.console.print(table(heads, rows, right=(1, 2)))


def pair(text: str) -> tuple[str, str]:
    """The sides of `name=value`. BadParameter if it is none."""
    name, found, value = text.partition("=")
    if not found or not name.strip() or not value.strip():
        raise typer.BadParameter(f"{text!r} is not name=value")
    return name.strip(), value.strip()


def _changed(own: pb.Limits, changes: list[tuple[str, str]]) -> pb.Limits:
    new = pb.Limits()
    new.CopyFrom(own)
    for name, value in changes:
        if name not in _LIMITS:
            raise InvalidInput(f"{name!r} is none of {', '.join(_LIMITS)}", field="set")
        if value == "default":
            new.ClearField(name)  # type: ignore[arg-type]
        else:
            setattr(new, name, _float(value))
    return new


def _float(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise InvalidInput(f"{text!r} is no number such as 0.25 or 25%", field="value") from None


async def _scenario(market: Market, shocks: list[tuple[str, str]]) -> pb.Scenario:
    scenario = pb.Scenario()
    scenario.name.en = scenario.name.zh = ", ".join(f"{name} {value}" for name, value in shocks)
    instruments = await market.instruments()
    symbols = {each.symbol.upper(): each.instrument_id for each in instruments}
    industries = {each.industry.upper(): each.industry for each in instruments if each.industry}
    for name, value in shocks:
        wanted = name.upper()
        if wanted == "MARKET":
            scenario.market = _float(value)
        elif wanted in symbols:
            scenario.instruments[symbols[wanted]] = _float(value)
        elif wanted in industries:
            scenario.industries[industries[wanted]] = _float(value)
        else:
            known = ", ".join(sorted(industries.values())) or "none"
            raise InvalidInput(f"{name!r} is no symbol and no industry (there are: {known})", field="shock")
    return scenario


def _asked(session: Session, questions: pb.Questionnaire) -> dict[str, str]:
    answers = {}
    for question in questions.questions:
        session.console.print(Text(f"\n{text_of(session, question.text)}", style="bold"))
        for number, choice in enumerate(question.choices, 1):
            session.console.print(f"  {number}  {text_of(session, choice.text)}")
        known = [str(number) for number in range(1, len(question.choices) + 1)]
        try:
            picked = int(Prompt.ask("", choices=known, show_choices=False, console=session.console))
        except EOFError:
            session.fail(
                InvalidInput("nobody answers: give --answer question=choice for each", field="answer")
            )
        answers[question.key] = question.choices[picked - 1].key
    return answers


def _report(session: Session, report: pb.RiskReport) -> list[Any]:
    say = session.word
    pairs = [
        (say("equity"), f"{money(report.equity)} {report.base_currency_code}"),
        (say("volatility"), percent(report.volatility)),
        (say("beta"), f"{report.beta.value:.2f} ({report.beta.low:.2f} … {report.beta.high:.2f})"),
        (say("drawdown"), f"{percent(report.drawdown_now)} ({percent(report.drawdown_worst)})"),
    ]
    tails = [
        (
            say(word(pb.RiskMethod, each.method)),
            each.horizon_days,
            percent(each.level),
            money(each.value_at_risk),
            money(each.expected_shortfall),
        )
        for each in report.tail_risks
    ]
    parts: list[Any] = [facts(pairs)]
    parts.append(table([say(h) for h in ("method", "days", "level", "VaR", "ES")], tails, right=(1, 2, 3, 4)))
    if report.components:
        rows = [(each.symbol, money(each.value_at_risk), percent(each.share)) for each in report.components]
        parts.append(table([say(head) for head in ("symbol", "part of VaR", "share")], rows, right=(1, 2)))
    stresses = [
        (text_of(session, each.scenario.name), gain(session, each.change), percent(each.change_share))
        for each in report.stresses
    ]
    parts.append(table([say(head) for head in ("scenario", "change", "share")], stresses, right=(1, 2)))
    if report.liquidity:
        rows = [(each.symbol, f"{each.days_to_leave:.2f}", money(each.cost)) for each in report.liquidity]
        parts.append(table([say(head) for head in ("symbol", "days to leave", "cost")], rows, right=(1, 2)))
    parts += [Text(f"! {text_of(session, caveat)}", style="yellow") for caveat in report.caveats]
    return parts


def _print_profile(session: Session, profile: pb.RiskProfile) -> None:
    if session.as_json:
        session.say(profile)
        return
    stated = f"C{profile.stated_level}" if profile.stated_level else "—"
    known = profile.stated_level and profile.revealed_level
    pairs = [
        (session.word("stated"), stated),
        (session.word("revealed"), f"{profile.revealed_level:.1f}" if profile.revealed_level else "—"),
        (session.word("distance"), f"{profile.distance:+.1f}" if known else "—"),
        *((session.word(each.key), f"{each.value:.3g} → {each.level:.1f}") for each in profile.signs),
        (session.word("unsuitable"), ", ".join(each.name for each in profile.unsuitable) or "—"),
        ("", text_of(session, profile.verdict)),
    ]
    session.console.print(facts(pairs))


def _named(session: Session, name: str) -> str:
    """A limit as --set takes it, and what it is called."""
    called = session.word(name)
    return name if called == name else f"{name} {called}"


def _value(limits: pb.Limits, name: str) -> str:
    return f"{getattr(limits, name):g}" if limits.HasField(name) else "—"  # type: ignore[arg-type]
