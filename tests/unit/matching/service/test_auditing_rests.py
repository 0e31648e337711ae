"""How often the auditor runs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from matching import auditor

AUDIT_SECONDS = 10.0


async def test_an_audit_is_followed_by_a_rest_that_outweighs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now, audited = 0.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > 1_000:
            raise asyncio.CancelledError

    async def audit(checkpoint: Any) -> None:
        nonlocal now
        now += AUDIT_SECONDS
        audited.append(checkpoint.sequence)

    monkeypatch.setattr(auditor, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(auditor, "time", SimpleNamespace(monotonic=lambda: now))
    # A market that never rests: each look finds enough events for another audit.
    checkpoints = SimpleNamespace(newest=lambda published: SimpleNamespace(sequence=int(1 + now * 1e6)))
    publisher = SimpleNamespace(published=0)
    auditing = auditor.Auditing(*cast(Any, (None, None, publisher, checkpoints, 5_000)))
    monkeypatch.setattr(auditing, "_audit", audit)
    with pytest.raises(asyncio.CancelledError):
        await auditing._run()
    assert 0.15 < len(audited) * AUDIT_SECONDS / now < 0.25
    assert audited == sorted(set(audited))
