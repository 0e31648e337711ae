"""Which figures have crossed their thresholds, for any number of accounts at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from positions.domain.alerts.kinds import BASE, CLEAR_AT, CLEAR_DISTANCE, FALLS, RISE_AT, Severity

READING = np.dtype(
    [
        ("account_id", "i8"),
        ("kind", "i8"),  # a number of `kinds`
        ("subject", "i8"),  # instrument id, number of an industry, or 0 for the whole account
        ("value", "f8"),  # the figure; NaN where it is not known
        ("threshold", "f8"),  # NaN where the alert is off
    ]
)
"""A figure of an account beside its threshold."""

DECIMALS = 9
"""Decimals of a figure that count against a threshold."""

Readings = NDArray[np.void]
Flags = NDArray[np.bool_]


def readings(
    account_id: Any, kind: int, subject: Any, value: Any, thresholds: NDArray[np.float64]
) -> Readings:
    """Rows of one kind. `thresholds` are as `Limits` has them: 0 (of a distance: negative) is off."""
    value, thresholds = rounded(value), rounded(thresholds)
    rows = np.zeros(len(value), READING)
    rows["account_id"], rows["kind"], rows["subject"], rows["value"] = account_id, kind, subject, value
    off = thresholds < 0 if FALLS[kind] else thresholds <= 0
    rows["threshold"] = np.where(off, np.nan, thresholds)
    return rows


def rounded(figures: Any) -> Any:
    """Figures without the dust of floating point: a fall from 10.00 to 9.00 is 10 %, not a little less."""
    return np.round(figures, DECIMALS)


def crossed(rows: Readings) -> Flags:
    """Where an alert is to be raised."""
    falls, value, threshold = FALLS[rows["kind"]], rows["value"], rows["threshold"]
    with np.errstate(invalid="ignore"):
        return np.where(falls, value <= threshold, value >= threshold)


def cleared(rows: Readings) -> Flags:
    """Where a standing alert is over: back beyond the band, or switched off. An unknown figure clears nothing."""
    falls, value, threshold = FALLS[rows["kind"]], rows["value"], rows["threshold"]
    with np.errstate(invalid="ignore"):
        back = np.where(
            falls, value > rounded(threshold + CLEAR_DISTANCE), value < rounded(threshold * CLEAR_AT)
        )
    return np.asarray(back | np.isnan(threshold))


def severity(rows: Readings) -> NDArray[np.int64]:
    """How bad a crossed figure is: its kind's base, and one more at each multiple of `RISE_AT`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(FALLS[rows["kind"]], 1.0, rows["value"] / rows["threshold"])
    steps = sum((ratio >= at).astype(np.int64) for at in RISE_AT)
    return np.asarray(np.minimum(BASE[rows["kind"]] + steps, Severity.CRITICAL))


def keys(account_id: Any, kind: Any, subject: Any) -> NDArray[np.int64]:
    """One number for (account, kind, subject): 32, 4 and 20 bits."""
    return np.asarray(
        np.asarray(account_id, np.int64) << 24
        | np.asarray(kind, np.int64) << 20
        | np.asarray(subject, np.int64)
    )
