"""ListSteps: a chain by any id of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1 import types_pb2
from smartex_chassis import InvalidInput, principal

from positions.steps import Chains, Step
from positions.supervision import Supervision

LONGEST_ID = 128


class StepsApi:
    """Chains of the caller's account, or of those given to a supervisor."""

    scopes: ClassVar[Mapping[str, str]] = {"ListSteps": "read"}

    def __init__(self, chains: Chains, supervision: Supervision) -> None:
        self._chains = chains
        self._supervision = supervision

    async def ListSteps(self, request: pb.ListStepsRequest, context: object) -> pb.ListStepsResponse:  # noqa: N802
        """The chain as far as this service knows it; nothing for one that is not the caller's to see."""
        if not 1 <= len(request.id) <= LONGEST_ID or "\x00" in request.id:
            raise InvalidInput(f"give the id of a chain, 1 to {LONGEST_ID} characters", field="id")
        caller = principal(context)
        for trace_id, account_id in await self._chains.find(request.id):
            if await self._supervision.may_see(caller, account_id):
                steps = await self._chains.steps(trace_id, account_id)
                return pb.ListStepsResponse(trace_id=trace_id, steps=[_message(step) for step in steps])
        return pb.ListStepsResponse()


def _message(step: Step) -> types_pb2.Step:
    message = types_pb2.Step(
        service="positions", kind=step.kind, subject_id=step.subject_id, detail=step.detail
    )
    message.time.FromNanoseconds(step.time_ns)
    return message
