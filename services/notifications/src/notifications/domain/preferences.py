"""What an investor wants to hear, where and when."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from notifications.domain.sending import ChannelKind, Urgency

LANGUAGES: Final = ("zh-CN", "en")
MOST_RULES: Final = 100
MOST_DIGESTS: Final = 12
MOST_PER_HOUR: Final = 1000
DEFAULT_PER_HOUR: Final = 60
DEFAULT_DIGEST: Final = time(8, 30)

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_PATTERN: Final = re.compile(r"\*|[a-z][a-z0-9_]{0,63}\.(\*|[a-z][a-z0-9_]{0,63})")


@dataclass(frozen=True)
class QuietHours:
    """A time of the day; `end` before `begin` passes midnight."""

    begin: time
    end: time
    critical_bypasses: bool = True


@dataclass(frozen=True)
class ChannelRule:
    """Where messages of a kind, of a group (`positions.*`) or of all kinds (`*`) go."""

    kind: str
    channels: tuple[ChannelKind, ...] = ()
    """In order of preference. Empty: the inbox only."""
    all_at_once: bool = False
    least_urgency: Urgency = Urgency.LOW
    muted: bool = False


HOUSE_RULE: Final = ChannelRule(
    "*",
    (
        ChannelKind.WECHAT,
        ChannelKind.FCM,
        ChannelKind.APNS,
        ChannelKind.WEBPUSH,
        ChannelKind.WECOM_APP,
        ChannelKind.WECOM_ROBOT,
        ChannelKind.APPRISE,
        ChannelKind.WEBHOOK,
        ChannelKind.EMAIL,
        ChannelKind.SMS,
    ),
)
"""What holds where an investor has no rule: the first channel that has an address; what costs comes last."""


@dataclass(frozen=True)
class Preferences:
    """All that an investor wants."""

    language: str = "zh-CN"
    time_zone: str = "Asia/Shanghai"
    quiet_hours: QuietHours | None = None
    rules: tuple[ChannelRule, ...] = ()
    digest_times: tuple[time, ...] = (DEFAULT_DIGEST,)
    hourly_limit: int = DEFAULT_PER_HOUR
    morning_digest: bool = True

    @property
    def zone(self) -> ZoneInfo:
        """The reader's time zone."""
        return ZoneInfo(self.time_zone)

    def rule(self, kind: str) -> ChannelRule:
        """Return the closest rule: the kind's own, its group's, that for all, the house's."""
        by_kind = {rule.kind: rule for rule in self.rules}
        group = f"{kind.partition('.')[0]}.*"
        return by_kind.get(kind) or by_kind.get(group) or by_kind.get("*") or HOUSE_RULE


def read_clock(text: str) -> time | None:
    """Return the time of the day in `HH:MM`, or None if it is none."""
    found = _CLOCK.fullmatch(text)
    return time(int(found[1]), int(found[2])) if found else None


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names of all time zones."""
    return frozenset(zoneinfo.available_timezones())


def problems(preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Yield each field that is wrong, and what to do about it."""
    if preferences.language not in LANGUAGES:
        yield "language", f"give one of {', '.join(LANGUAGES)}"
    if preferences.time_zone not in zone_names():
        yield "time_zone", "give the name of a time zone, e.g. Asia/Shanghai"
    quiet = preferences.quiet_hours
    if quiet is not None and quiet.begin == quiet.end:
        yield "quiet_hours", "begin and end are the same; leave quiet_hours out, or give two times"
    if not 1 <= len(preferences.digest_times) <= MOST_DIGESTS:
        yield "digest_times", f"give at most {MOST_DIGESTS} times"
    if not 1 <= preferences.hourly_limit <= MOST_PER_HOUR:
        yield "hourly_limit", f"give 1 to {MOST_PER_HOUR}, or 0 for {DEFAULT_PER_HOUR}"
    yield from _rule_problems(preferences.rules)


def _rule_problems(rules: Sequence[ChannelRule]) -> Iterator[tuple[str, str]]:
    if len(rules) > MOST_RULES:
        yield "rules", f"give at most {MOST_RULES}"
    seen: set[str] = set()
    for at, rule in enumerate(rules):
        if not _PATTERN.fullmatch(rule.kind):
            yield f"rules[{at}].kind", "give a kind (positions.advice), a group (positions.*) or *"
        if rule.kind in seen:
            yield f"rules[{at}].kind", "this kind has a rule already; keep one"
        seen.add(rule.kind)
        if len(set(rule.channels)) < len(rule.channels):
            yield f"rules[{at}].channels", "a channel is named twice"
