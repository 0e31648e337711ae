import numpy as np
import pytest
from smartex_agents import demo_instruments
from smartex_agents.rules import Rules


@pytest.fixture
def demo_rules() -> list[Rules]:
    return [Rules.of(instrument) for instrument in demo_instruments()]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
