"""Figures in words: what the domain found, as texts in both languages."""

from __future__ import annotations

from collections.abc import Mapping

from positions.domain.habits import Habit
from positions.domain.profile import Profile, Sign
from positions.domain.risk.report import Caveat
from positions.domain.risk.scenarios import Scenario
from positions.texts import Text, has, joined, text


def industry(name: str) -> Text:
    """An industry; one that the catalogues do not know is called as the instrument calls it."""
    return text(f"industry.{name}") if has(f"industry.{name}") else Text(name, name)


def alert(kind: str, subject: Text, value: float, threshold: float) -> Text:
    """What an alert says."""
    return text(f"alert.{kind}.text", {"subject": subject, "value": value, "threshold": threshold})


def action(kind: str, subject: Text) -> Text:
    """What to do about an alert, one line."""
    return text(f"alert.{kind}.action", {"subject": subject})


def title(kind: str, facts: Mapping[str, object]) -> Text:
    """What advice says in one line."""
    return text(f"advice.{kind}.title", written(facts))


def brief(kind: str, facts: Mapping[str, object]) -> Text:
    """The same in at most 20 characters, which is what a field of a card in WeChat takes; beside it stands `what`."""
    return text(f"advice.{kind}.brief", facts) if has(f"advice.{kind}.brief") else title(kind, facts)


def what(facts: Mapping[str, object]) -> Text:
    """What advice is about."""
    if "symbol" in facts:
        return Text(f"{facts['name_zh']} {facts['symbol']}", str(facts["symbol"]))
    if "industry" in facts:
        return industry(str(facts["industry"]))
    if "symbols" in facts:
        return Text(str(facts["symbols"]), str(facts["symbols"]))
    return text("advice.whole.what")


def reason(kind: str, facts: Mapping[str, object]) -> Text:
    """Why: the evidence, and of a habit what it costs and how it compares."""
    values = written(facts)
    told = [text(f"advice.{kind}.reason", values)]
    if kind.startswith("habit_"):
        told += [text("advice.cost", values)] if facts.get("cost_share") is not None else []
        told += [text("advice.peers", values)] if facts.get("percentile") is not None else []
    return joined(told)


def written(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts as sentences take them: names and industries in both languages."""
    values = dict(facts)
    if "name_en" in facts:
        values["name"] = Text(str(facts["name_zh"]), str(facts["name_en"]))
    if "industry" in facts:
        values["industry"] = industry(str(facts["industry"]))
    if "alert" in facts:
        values["alert"] = text(f"alert_name.{facts['alert']}")
    return values


def caveats(keys: list[str]) -> Text:
    """What advice does not know."""
    return joined([text(f"caveat.{key}") for key in keys])


def caveat(one: Caveat) -> Text:
    """What keeps a risk report from being trusted."""
    return text(f"risk_caveat.{one.key}", one.values)


def scenario(one: Scenario) -> Text:
    """Name of a scenario of the house."""
    return text(f"scenario.{one.key}", {"industry": industry(one.industry)})


def verdict(profile: Profile) -> Text:
    """The profile in a sentence."""
    values = {
        "stated": profile.stated_level,
        "revealed": profile.revealed_level,
        "count": len(profile.unsuitable),
    }
    return text(f"profile.verdict.{profile.verdict}", values)


def sign(one: Sign) -> Text:
    """What a sign of behaviour says."""
    return text(f"sign.{one.key}", {"value": one.value})


def habit(one: Habit, *, harmful: bool) -> Text:
    """What was found of a habit."""
    if one.estimate is None:
        return text("habit.unknown", {"sample": one.sample, "minimum": one.minimum})
    key = "harmful" if harmful else "fine"
    return text(f"habit.{one.key}.{key}", {"value": one.estimate.value})
