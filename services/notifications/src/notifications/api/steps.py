"""ListSteps: a chain by any id of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex.positions.v1.types_pb2 import Step
from smartex_chassis import principal

from notifications.api.validation import checked_id, is_operator
from notifications.contract import stamp
from notifications.store.steps import Chains


class StepsApi:
    """Chains of the caller's account; for an operator those of any."""

    scopes: ClassVar[Mapping[str, str]] = {"ListSteps": "read"}

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    async def ListSteps(self, request: pb.ListStepsRequest, context: object) -> pb.ListStepsResponse:  # noqa: N802
        """The chain as far as this service knows it; nothing for one that is not the caller's to see."""
        caller, every = principal(context), is_operator(context)
        for trace_id, account_id in await self._chains.find(checked_id(request.id, "id")):
            if every or account_id == caller.account_id:
                rows = await self._chains.steps(trace_id, account_id)
                return pb.ListStepsResponse(
                    trace_id=trace_id,
                    steps=[
                        Step(
                            service="notifications",
                            kind=row["kind"],
                            subject_id=row["subject_id"],
                            time=stamp(row["time"]),
                            detail=row["detail"],
                        )
                        for row in rows
                    ],
                )
        return pb.ListStepsResponse()
