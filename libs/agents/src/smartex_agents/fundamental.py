"""What an instrument is "really" worth: a seeded random walk that comes back to its anchor, with jumps. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Mood:
    """How a value moves."""

    spread: float = 0.015
    """Standard deviation around the anchor in the long run, as a share of it."""
    return_seconds: float = 1800.0
    """Time in which a distance from the anchor falls to about a third."""
    jumps_per_second: float = 1 / 240
    """How often news comes."""
    jump: float = 0.003
    """Standard deviation of a jump, as a share of the value."""


class Fundamental:
    """The value of one instrument over time, in ticks."""

    def __init__(self, rng: np.random.Generator, anchor: float, start: float, mood: Mood) -> None:
        self._rng = rng
        self._anchor = anchor
        self._mood = mood
        self._distance = math.log(start / anchor)
        self._sigma = mood.spread * math.sqrt(2 / mood.return_seconds)

    @property
    def value(self) -> float:
        """The value now."""
        return self._anchor * math.exp(self._distance)

    def step(self, seconds: float) -> float:
        """Let time pass; the new value. Exact for any length of step, jumps aside."""
        mood = self._mood
        keeps = math.exp(-seconds / mood.return_seconds)
        noise = self._sigma * math.sqrt(mood.return_seconds / 2 * (1 - keeps * keeps))
        self._distance = self._distance * keeps + noise * self._rng.standard_normal()
        if self._rng.random() < 1 - math.exp(-mood.jumps_per_second * seconds):
            self._distance += mood.jump * self._rng.standard_normal()
        return self.value
