import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from smartex_agents.fundamental import Fundamental, Mood


def walk(seed: int, steps: int, mood: Mood, seconds: float = 1.0, start: float = 1_000.0) -> list[float]:
    fundamental = Fundamental(np.random.default_rng(seed), 1_000.0, start, mood)
    return [fundamental.step(seconds) for _ in range(steps)]


@given(st.integers(0, 2**32 - 1))
def test_a_seed_gives_the_same_walk_again(seed: int) -> None:
    assert walk(seed, 50, Mood()) == walk(seed, 50, Mood())


def test_seeds_differ() -> None:
    assert walk(1, 10, Mood()) != walk(2, 10, Mood())


def test_it_begins_where_it_is_told() -> None:
    fundamental = Fundamental(np.random.default_rng(1), 1_000.0, 1_234.0, Mood())
    assert math.isclose(fundamental.value, 1_234.0)


def test_it_comes_back_to_its_anchor() -> None:
    calm = Mood(spread=1e-9, jumps_per_second=0.0)
    assert math.isclose(walk(3, 20_000, calm, start=2_000.0)[-1], 1_000.0, rel_tol=1e-3)


def test_its_spread_in_the_long_run_is_that_of_its_mood() -> None:
    mood = Mood(spread=0.02, return_seconds=100.0, jumps_per_second=0.0)
    distances = np.log(np.array(walk(5, 60_000, mood, seconds=10.0)) / 1_000.0)
    assert abs(distances.std() - 0.02) < 0.002


def test_jumps_come_as_often_as_told() -> None:
    mood = Mood(spread=1e-9, return_seconds=1e9, jumps_per_second=0.1, jump=0.01)
    steps = np.abs(np.diff(np.log(walk(9, 5_000, mood))))
    assert 400 < int((steps > 1e-6).sum()) < 550
