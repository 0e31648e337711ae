"""The standing alerts and what readings do to them: raise, move, escalate, clear. At most one stands for each
account, kind and subject."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from positions.domain.alerts.crossing import Readings, cleared, crossed, keys, severity
from positions.domain.alerts.kinds import ALL, FALLS, Severity

MOVE = 0.05
"""A standing alert's figure is told again once it has moved by this part of its threshold."""


LEAST_SCALE = 0.01
"""Least threshold that moves are measured by: a threshold of zero has no parts."""


class Change(Enum):
    """What happened to an alert."""

    RAISED = "raised"
    MOVED = "moved"
    ESCALATED = "escalated"
    CLEARED = "cleared"
    TOLD = "told"
    """It was raised or got worse unseen, while the book was behind the market, and is told now."""


@dataclass(frozen=True)
class Standing:
    """An alert that stands. Times in nanoseconds; `risen_ns` is when its severity last rose, or when that was told if
    it was told late. The trace is given to it from outside, once it is raised."""

    alert_id: str
    account_id: int
    kind: int
    subject: int
    severity: Severity
    value: float
    threshold: float
    worst: float
    raise_ns: int
    risen_ns: int
    sequence: int
    acknowledged: bool = False
    trace_id: str = ""
    told: Severity = Severity.NONE
    """The worst that the investor was told of it."""

    @property
    def key(self) -> int:
        """Its place among the standing."""
        return int(keys(self.account_id, self.kind, self.subject))


@dataclass(frozen=True)
class Transition:
    """A change and the alert after it. `since_ns`: when that was, if it is told late; else 0."""

    change: Change
    alert: Standing
    since_ns: int = 0


def alert_id(account_id: int, kind: int, subject: int, sequence: int) -> str:
    """The same for the same cause, so that telling it again has no effect."""
    text = f"{account_id}/{ALL[kind].name}/{subject}/{sequence}"
    return f"al-{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


class StandingAlerts:
    """All standing alerts. `judge` and `overdue` compute; `apply` takes over what was made durable."""

    def __init__(self, standing: Iterable[Standing] = ()) -> None:
        self._standing = {alert.key: alert for alert in standing}

    def __len__(self) -> int:
        return len(self._standing)

    def get(self, key: int) -> Standing | None:
        """The alert of a key, if one stands."""
        return self._standing.get(key)

    def judge(
        self, rows: Readings, accounts: NDArray[np.int64], kinds: Sequence[int], now_ns: int, sequence: int
    ) -> list[Transition]:
        """What the readings change.

        `accounts` and `kinds` say what was looked at: an alert of theirs without a reading is over, for its
        holding is gone. Rows with a figure that is not known change nothing.
        """
        over, back, bad = crossed(rows), cleared(rows), severity(rows)
        row_keys = keys(rows["account_id"], rows["kind"], rows["subject"])
        watched = self._watched(accounts, kinds)
        found = []
        for at in np.flatnonzero(over | np.isin(row_keys, watched)):
            alert = self._standing.get(int(row_keys[at]))
            if alert is None:
                found.append(Transition(Change.RAISED, _raised(rows[at], int(bad[at]), now_ns, sequence)))
            elif back[at]:
                found.append(Transition(Change.CLEARED, _with_value(alert, rows[at])))
            elif not np.isnan(rows["value"][at]):
                found += _moved(alert, rows[at], int(bad[at]) if over[at] else 0, now_ns)
        gone = np.setdiff1d(watched, row_keys)
        return found + [
            Transition(Change.CLEARED, replace(self._standing[int(key)], value=0.0)) for key in gone
        ]

    def overdue(self, now_ns: int, patience_ns: int) -> list[Transition]:
        """Escalate what has stood so long without being acknowledged."""
        return [
            Transition(Change.ESCALATED, _risen(alert, alert.severity + 1, now_ns))
            for alert in self._standing.values()
            if not alert.acknowledged
            and alert.severity < Severity.CRITICAL
            and now_ns - alert.risen_ns >= patience_ns
        ]

    def untold(self, found: Iterable[Transition], now_ns: int) -> list[Transition]:
        """Tell what stands, or got worse, and was not told, once what was `found` is applied. Patience begins now."""
        after = StandingAlerts(self._standing.values())
        after.apply(found)
        return [
            Transition(Change.TOLD, replace(alert, told=alert.severity, risen_ns=now_ns), alert.risen_ns)
            for alert in after._standing.values()
            if alert.told < alert.severity
        ]

    def apply(self, transitions: Iterable[Transition]) -> None:
        """Take transitions over, once they are durable."""
        for transition in transitions:
            if transition.change is Change.CLEARED:
                self._standing.pop(transition.alert.key, None)
            else:
                self._standing[transition.alert.key] = transition.alert

    def acknowledge(self, alert_ids: Collection[str]) -> None:
        """Note that alerts were seen: time alone does not escalate them any more."""
        for key, alert in self._standing.items():
            if alert.alert_id in alert_ids:
                self._standing[key] = replace(alert, acknowledged=True)

    def accounts(self) -> NDArray[np.int64]:
        """Accounts for which something stands."""
        return self._keys() >> 24

    def _keys(self) -> NDArray[np.int64]:
        return np.fromiter(self._standing, np.int64, len(self._standing))

    def _watched(self, accounts: NDArray[np.int64], kinds: Sequence[int]) -> NDArray[np.int64]:
        all_keys = self._keys()
        mine = np.isin(all_keys >> 24, accounts) & np.isin(all_keys >> 20 & 15, kinds)
        return all_keys[mine]


def _raised(row: np.void, bad: int, now_ns: int, sequence: int) -> Standing:
    account, kind, subject = int(row["account_id"]), int(row["kind"]), int(row["subject"])
    value = float(row["value"])
    return Standing(
        alert_id(account, kind, subject, sequence),
        account,
        kind,
        subject,
        Severity(bad),
        value,
        float(row["threshold"]),
        value,
        now_ns,
        now_ns,
        sequence,
    )


def _with_value(alert: Standing, row: np.void) -> Standing:
    value = float(row["value"])
    worst = min(alert.worst, value) if FALLS[alert.kind] else max(alert.worst, value)
    return replace(alert, value=value, worst=worst)


def _moved(alert: Standing, row: np.void, bad: int, now_ns: int) -> list[Transition]:
    """Nothing, unless it got worse by a step or moved visibly. Severity never falls while it stands."""
    after = replace(_with_value(alert, row), threshold=float(row["threshold"]))
    if bad > alert.severity:
        return [Transition(Change.ESCALATED, _risen(after, bad, now_ns))]
    visible = abs(after.value - alert.value) >= MOVE * max(abs(after.threshold), LEAST_SCALE)
    if visible or after.threshold != alert.threshold:
        return [Transition(Change.MOVED, after)]
    return []


def _risen(alert: Standing, bad: int, now_ns: int) -> Standing:
    return replace(alert, severity=Severity(bad), risen_ns=now_ns)
