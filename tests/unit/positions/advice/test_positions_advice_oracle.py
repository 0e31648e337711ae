"""Who may answer no advice does not learn which ids exist."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from positions.api.advice import AdviceApi
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import PermissionDenied, Principal
from smartex_chassis.call import Call, set_current

NOTHING: Any = None


class Advice:
    """One piece of advice, of account 1001."""

    async def get(self, advice_id: str) -> dict[str, Any] | None:
        return {"advice_id": advice_id, "account_id": 1001} if advice_id == "real" else None


@pytest.mark.parametrize("advice_id", ["real", "invented"])
async def test_a_token_without_an_account_is_told_the_same_of_every_id(advice_id: str) -> None:
    task = asyncio.current_task()
    assert task is not None
    call = Call("test", task, asyncio.Event())
    call.principal = Principal("x", None, frozenset({"trade", "read"}), 2e9)
    set_current(call)
    store: Any = Advice()
    api = AdviceApi(store, NOTHING, NOTHING)
    with pytest.raises(PermissionDenied):
        await api.AcceptAdvice(pb.AcceptAdviceRequest(advice_id=advice_id), NOTHING)
    with pytest.raises(PermissionDenied):
        await api.DismissAdvice(pb.DismissAdviceRequest(advice_id=advice_id), NOTHING)
