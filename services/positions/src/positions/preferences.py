"""What investors stated: answers to the questionnaire, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smartex_store import Database

from positions.domain import questionnaire

_ANSWER = """
    INSERT INTO positions.answers (account_id, request_id, version, level, answers, time_ns)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
_NEWEST = """
    SELECT level, time_ns FROM positions.answers WHERE account_id = $1 ORDER BY time_ns DESC LIMIT 1
"""


@dataclass(frozen=True)
class Stated:
    """A class, when it was stated and when it must be renewed."""

    level: int
    answer_ns: int
    expire_ns: int

    def level_at(self, now_ns: int) -> int:
        """The class, 0 once it has expired: old answers say nothing of today."""
        return self.level if now_ns < self.expire_ns else 0


NOT_STATED = Stated(0, 0, 0)


class Preferences:
    """The table of answers. They hold for `valid_ns`."""

    def __init__(self, database: Database, valid_ns: int) -> None:
        self._database = database
        self._valid_ns = valid_ns

    async def answer(self, account_id: int, request_id: int, answers: Mapping[str, str], now_ns: int) -> None:
        """Write answers; the same request again changes nothing."""
        level = questionnaire.level(answers)
        await self._database.execute(
            _ANSWER, account_id, request_id, questionnaire.VERSION, level, dict(answers), now_ns
        )

    async def stated(self, account_id: int) -> Stated:
        """The newest class that an account stated."""
        row = await self._database.fetchrow(_NEWEST, account_id)
        if row is None:
            return NOT_STATED
        return Stated(row["level"], row["time_ns"], row["time_ns"] + self._valid_ns)
