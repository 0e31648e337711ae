"""Random flows through the reference model alone: it keeps its own books straight, whatever comes."""

import pytest
from reference.flows import Flow
from reference.profiles import PROFILES, Profile


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_model_stays_sound_on_random_flows(profile: Profile) -> None:
    flow = Flow(7, profile)
    for number, _ in enumerate(flow.frames(3_000)):
        if number % 5 == 0:
            flow.model.verify()
    flow.model.verify()


@pytest.mark.parametrize("profile", PROFILES[:2], ids=lambda profile: profile.name)
def test_same_seed_gives_the_same_flow(profile: Profile) -> None:
    first, second = (list(Flow(3, profile).frames(500)) for _ in range(2))
    assert first == second
    assert first != list(Flow(4, profile).frames(500))
