import numpy as np
import pytest
from hypothesis import strategies as st
from smartex_agents import demo_instruments
from smartex_agents.rules import Rules


def _make(bands: list[tuple[int, int]], lowest: int, width: int, board: int) -> Rules:
    return Rules(1, "X", tuple(bands), lowest, lowest + width, board, 1_000_000)


_steps = st.lists(st.sampled_from([1, 2, 5, 7, 10, 100]), min_size=1, max_size=4)


@pytest.fixture
def any_rules() -> st.SearchStrategy[Rules]:
    """Rules with any tick bands and limits, around prices of 1 to 3,000 ticks."""

    def with_bands(steps: list[int]) -> st.SearchStrategy[Rules]:
        starts = st.lists(
            st.integers(2, 2_000), min_size=len(steps) - 1, max_size=len(steps) - 1, unique=True
        ).map(lambda found: [0, *sorted(found)])
        bands = starts.map(lambda found: list(zip(found, steps, strict=True)))
        return st.builds(
            _make, bands, st.integers(1, 1_500), st.integers(0, 1_500), st.sampled_from([1, 100])
        )

    return _steps.flatmap(with_bands)


@pytest.fixture
def demo_rules() -> list[Rules]:
    return [Rules.of(instrument) for instrument in demo_instruments()]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
