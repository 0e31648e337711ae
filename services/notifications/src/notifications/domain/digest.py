"""Digests: what may wait is gathered and sent as one message at the reader's times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from notifications.domain.notice import OWN_DIGESTS
from notifications.domain.preferences import Preferences
from notifications.domain.quiet import next_time
from notifications.domain.sending import Urgency

MOST_LISTED = 20
_TITLES = {"zh-CN": "{count} 条新消息", "en": "{count} new messages"}
_MORE = {"zh-CN": "另有 {count} 条，请在收件箱中查看", "en": "and {count} more in your inbox"}


def gathered(kind: str, urgency: Urgency) -> bool:
    """Return whether a message waits for a digest."""
    return urgency is Urgency.LOW and kind not in OWN_DIGESTS


def next_digest(preferences: Preferences, now: datetime) -> datetime:
    """Return when the reader's next digest is sent."""
    return next_time(now, preferences.digest_times, preferences.zone)


def digest_text(titles: Sequence[str], language: str) -> tuple[str, str]:
    """Return title and body of one message that lists others, the first ones first."""
    lines = [f"· {title}" for title in titles[:MOST_LISTED]]
    if len(titles) > MOST_LISTED:
        lines.append(_MORE[language].format(count=len(titles) - MOST_LISTED))
    return _TITLES[language].format(count=len(titles)), "\n".join(lines)
