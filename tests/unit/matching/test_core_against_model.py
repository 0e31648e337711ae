"""The production core and the reference model on the same random flows, event for event and state for state.

The quick form runs a few seeds of each profile. `SMARTEX_FLOW_SECONDS=600 pytest <this file> -k long` goes on
with fresh seeds for so long. A failure says the seed and the first event that differs, and shows the frames
that are needed for it.
"""

import io
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from matching.domain import Core
from reference.bridge import EVENT_NAMES, event_rows
from reference.flows import Flow, Frame
from reference.model import Model
from reference.profiles import PROFILES, Profile
from reference.records import Settings
from reference.twin import Twin, core_settings, describe, first_difference, shrink
from reference.words import EventKind, Kind, Reason

pytestmark = pytest.mark.once

SEEDS = (1, 2, 3)
COMMANDS = int(os.environ.get("SMARTEX_FLOW_COMMANDS", "10000"))
INTERPRETED_COMMANDS = 500
LONG_COMMANDS = 40_000
FRAMES_BETWEEN_STATES = 40
SHRINK_SECONDS = 20.0
INDEX = EVENT_NAMES.index("command_index")
LONG_SECONDS = float(os.environ.get("SMARTEX_FLOW_SECONDS", "0"))

each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)


def run_flow(profile: Profile, seed: int, commands: int) -> Counter[str]:
    """Hold core and model against each other on one flow; returns how often each kind and reason occurred."""
    flow = Flow(seed, profile)
    twin = Twin(profile.settings, flow.model)
    frames: list[Frame] = []
    seen: Counter[str] = Counter()
    for frame, events in flow.frames(commands):
        frames.append(frame)
        found = twin.apply(frame, events)
        if not found and len(frames) % FRAMES_BETWEEN_STATES == 0:
            found = twin.compare_state()
        if found:
            pytest.fail(report(profile, seed, frames, found), pytrace=False)
        seen.update(EventKind(event.kind).name for event in events)
        seen.update(Reason(event.reason).name for event in events if event.reason)
    found = twin.compare_state()
    if found:
        pytest.fail(report(profile, seed, frames, found), pytrace=False)
    return seen


def report(profile: Profile, seed: int, frames: Sequence[Frame], found: str) -> str:
    """What differs, and the fewest frames that show a difference."""
    settings = profile.settings
    lines = [f"seed {seed}, {profile.name}, frame {len(frames) - 1}: {found}"]
    needed = shrink(frames, lambda some: bool(first_difference(settings, some)), SHRINK_SECONDS)
    lines += ["", "shrunk to:", describe(needed), first_difference(settings, needed), f"with {settings}"]
    return "\n".join(lines)


@cache
def quick_flow(profile: Profile, seed: int) -> Counter[str]:
    return run_flow(profile, seed, COMMANDS)


@each_profile
@pytest.mark.parametrize("seed", SEEDS)
def test_core_and_model_agree(profile: Profile, seed: int) -> None:
    seen = quick_flow(profile, seed)
    assert seen["TRADE"] > COMMANDS // 100


def test_flows_bring_about_every_kind_and_every_reason() -> None:
    seen: Counter[str] = Counter()
    for profile in PROFILES:
        for seed in SEEDS:
            seen += quick_flow(profile, seed)
    missing = {word.name for words in (EventKind, Reason) for word in words} - set(seen)
    assert not missing


def test_interpreted_core_agrees_too() -> None:
    """The same source without compilation; a process of its own, since that is decided at import."""
    choice = "test_core_and_model_agree and 1- and (small or common or levels)"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", __file__, "-k", choice],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "SMARTEX_FLOW_COMMANDS": str(INTERPRETED_COMMANDS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.timeout(LONG_SECONDS * 1.5 + 300)
def test_core_and_model_agree_for_long() -> None:
    end = time.monotonic() + LONG_SECONDS
    # Fresh seeds only where time was given to search; they are printed.
    first = Random().randrange(10**9) if LONG_SECONDS else 100
    commands = 0
    for seed in range(first, first + 10**6):
        for profile in PROFILES:
            run_flow(profile, seed, LONG_COMMANDS)
            commands += LONG_COMMANDS
            if time.monotonic() > end:
                print(f"{commands} commands agree, seeds {first} to {seed}")
                return


@each_profile
def test_core_goes_on_from_its_snapshot(profile: Profile) -> None:
    """A core that is saved and loaded now and then stays equal to the model and to one that is not."""
    flow = Flow(11, profile)
    twin = Twin(profile.settings, flow.model)
    untouched = Core(core_settings(profile.settings))
    for number, (frame, events) in enumerate(flow.frames(4_000)):
        assert twin.apply(frame, events) == ""
        Twin.apply_to(untouched, frame)
        if number % 97 == 5:
            twin.core = reloaded(twin.core, profile.settings)
            assert twin.compare_state() == ""
            assert twin.core.state_hash() == untouched.state_hash()


def reloaded(core: Core, settings: Settings) -> Core:
    file = io.BytesIO()
    core.save(file)
    file.seek(0)
    return Core.load(file, core_settings(settings))


@each_profile
def test_borders_of_frames_do_not_matter(profile: Profile) -> None:
    """The same commands at the same times in frames of one give the same events, but for the index."""
    whole, split = (Core(core_settings(profile.settings)) for _ in range(2))
    for frame, _ in Flow(12, profile).frames(3_000):
        together = Twin.apply_to(whole, frame)
        singly = []
        if frame.definitions:
            singly += Twin.apply_to(split, replace(frame, commands=[]))
        for command in frame.commands:
            singly += Twin.apply_to(split, Frame(frame.time_ns, [command]))
        assert [without_index(row) for row in together] == [without_index(row) for row in singly]
    assert whole.state_hash() == split.state_hash()


def without_index(row: tuple[int, ...]) -> tuple[int, ...]:
    return (*row[:INDEX], *row[INDEX + 1 :])


def test_a_difference_is_found_and_shrunk() -> None:
    """A core that was given other rules than the model is caught, and few commands are left to show it."""
    common = PROFILES[1]
    other = replace(common.settings, max_sessions=1)

    def differs(frames: Sequence[Frame]) -> bool:
        model, core = Model(common.settings), Core(core_settings(other))
        return any(
            event_rows(model.apply(frame.commands, frame.time_ns, frame.definitions))
            != Twin.apply_to(core, frame)
            for frame in frames
        )

    frames = [frame for frame, _ in Flow(5, common).frames(2_000)]
    assert differs(frames)
    needed = shrink(frames, differs, SHRINK_SECONDS)
    assert [command.kind for frame in needed for command in frame.commands] == [Kind.SESSION_OPEN] * 2
