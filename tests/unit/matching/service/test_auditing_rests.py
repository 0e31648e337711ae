"""How often the auditor runs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from matching import auditor
from matching.checkpoints import Checkpoint
from prometheus_client import REGISTRY

AUDIT_SECONDS = 10.0
EVERY = 5_000_000


class Clock:
    """Time that passes while somebody sleeps, until there has been enough of it."""

    now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > 1_000:
            raise asyncio.CancelledError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(auditor, "asyncio", SimpleNamespace(sleep=clock.sleep))
    monkeypatch.setattr(auditor, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def auditing(clock: Clock, events_a_second: float) -> auditor.Auditing:
    """Of a market that never rests."""
    newest = lambda published: SimpleNamespace(sequence=int(1 + clock.now * events_a_second))  # noqa: E731
    return auditor.Auditing(
        *cast(Any, (None, None, SimpleNamespace(published=0), SimpleNamespace(newest=newest), EVERY))
    )


async def audits(clock: Clock, auditing: auditor.Auditing, *, succeed: bool = True) -> list[int]:
    """The sequences up to which it audits until there has been enough."""
    audited: list[int] = []

    async def audit(checkpoint: Any) -> bool:
        clock.now += AUDIT_SECONDS
        audited.append(checkpoint.sequence)
        return succeed

    auditing._audit = audit  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await auditing._run()
    return audited


async def test_an_audit_is_followed_by_a_rest_that_outweighs_it(clock: Clock) -> None:
    audited = await audits(clock, auditing(clock, EVERY))
    assert 0.15 < len(audited) * AUDIT_SECONDS / clock.now < 0.25
    assert audited == sorted(set(audited))
    assert REGISTRY.get_sample_value("matching_snapshot_position_events") == audited[-1]


async def test_a_rest_ends_before_a_start_would_have_too_much_to_replay(clock: Clock) -> None:
    audited = await audits(clock, auditing(clock, 5 * EVERY))
    most = (auditor._REST_EVENTS + 5 * (AUDIT_SECONDS + auditor._LOOK_SECONDS)) * EVERY
    assert max(np.diff([0, *audited])) <= most
    assert len(audited) * AUDIT_SECONDS / clock.now > 0.5


async def test_after_one_that_failed_there_is_a_rest_too(clock: Clock) -> None:
    audited = await audits(clock, auditing(clock, EVERY / 100), succeed=False)
    assert len(audited) > 1
    assert len(audited) * AUDIT_SECONDS / clock.now < 0.25


async def test_where_no_process_is_to_be_had_there_is_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*arguments: Any, **options: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", none)
    task = auditor.Audit("", 0, "", 3, {}, 0, "")
    auditing = auditor.Auditing(task, *cast(Any, (None, None, None, EVERY)))
    assert not await auditing._audit(Checkpoint(7))


async def test_a_pod_that_the_auditor_contradicts_halts_and_lets_another_publish() -> None:
    halted: list[str] = []
    sequencer = SimpleNamespace(halt=halted.append)
    publisher = SimpleNamespace(halt=lambda: halted.append("the publisher"))
    task = auditor.Audit("", 0, "", 3, {}, 0, "")
    auditing = auditor.Auditing(task, *cast(Any, (sequencer, publisher, None, EVERY)))

    async def disagrees(checkpoint: Checkpoint) -> int:
        return auditor.DISAGREES

    auditing._process_of = disagrees  # type: ignore[method-assign]
    assert not await auditing._audit(Checkpoint(7))
    assert len(halted) == 2
    assert halted[0] == "the publisher"
    assert "offset 7" in halted[1]
