"""GetLimits and SetLimits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1 import risk_pb2
from smartex_chassis import InvalidInput, PermissionDenied, principal

from positions.alerting.store import LimitStore
from positions.api import told
from positions.domain import limits
from positions.domain.limits import KINDS, LimitError, Limits
from positions.supervision import Supervision


class LimitsApi:
    """An account's thresholds. `changed` is told of each account whose limits were set."""

    scopes: ClassVar[Mapping[str, str]] = {"GetLimits": "read", "SetLimits": "read"}

    def __init__(
        self,
        store: LimitStore,
        supervision: Supervision,
        house: Limits,
        changed: Callable[[int, Limits], None],
    ) -> None:
        self._store = store
        self._supervision = supervision
        self._house = house
        self._changed = changed

    async def GetLimits(self, request: pb.GetLimitsRequest, context: object) -> pb.GetLimitsResponse:  # noqa: N802
        """Own and effective thresholds."""
        account = await self._supervision.account(principal(context), request.account_id)
        own = await self._store.get(account)
        return pb.GetLimitsResponse(own=told.limits(own), effective=told.limits(self._effective(own)))

    async def SetLimits(self, request: pb.SetLimitsRequest, context: object) -> pb.SetLimitsResponse:  # noqa: N802
        """Replace the account's own; a supervisor may only tighten."""
        caller = principal(context)
        account = await self._supervision.account(caller, request.account_id)
        own = _read(request.limits)
        if account != caller.account_id:
            before = self._effective(await self._store.get(account))
            _checked(lambda: limits.check_tightens(before, self._effective(own)))
        elif "trade" not in caller.scopes:
            raise PermissionDenied(
                "this needs the scope `trade`; use a token that has it",
                reason="SCOPE_MISSING",
                metadata={"required": "trade"},
            )
        await self._store.set(account, own)
        self._changed(account, own)
        return pb.SetLimitsResponse(own=told.limits(own), effective=told.limits(self._effective(own)))

    def _effective(self, own: Limits) -> Limits:
        return limits.effective(own, self._house)


def _read(message: risk_pb2.Limits) -> Limits:
    set_fields = {field.name for field, _ in message.ListFields()}
    own = Limits(**{kind: getattr(message, kind) for kind in KINDS if kind in set_fields})
    _checked(lambda: limits.check(own))
    return own


def _checked(check: Callable[[], None]) -> None:
    try:
        check()
    except LimitError as error:
        raise InvalidInput(str(error), field=f"limits.{error.field}") from error
