"""Readers who have seen more than this pod: it may be behind, or the market never came that far."""

from __future__ import annotations

import asyncio

from smartex_bus import Bus, BusError
from smartex_chassis import OutOfRange, Unavailable

from matching.frames import COMMANDS_TOPIC
from matching.replica import Replica

_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.005


class Reaching:
    """Lets a reader who comes from another pod wait until this one has seen as much."""

    def __init__(self, bus: Bus, shard: int, replica: Replica) -> None:
        self._bus = bus
        self._shard = shard
        self._replica = replica

    async def reach(self, sequence: int) -> None:
        """Wait until this pod has seen `sequence`.

        OutOfRange, reason RESUME_AHEAD, if the whole log does not lead there. Unavailable, reason POD_BEHIND, if
        that is not known, or the pod is not there, within some seconds.
        """
        if self._replica.core.sequence >= sequence:
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                # Whatever anybody has seen lies before the end that the log has by now.
                _, end = await self._bus.offsets(COMMANDS_TOPIC, self._shard)
                while self._replica.core.sequence < sequence:
                    if self._replica.next_offset >= end:
                        raise _ahead(self._replica.core.sequence)
                    await asyncio.sleep(_PAUSE_SECONDS)
        except (BusError, TimeoutError):
            raise Unavailable(
                f"this pod has not seen sequence {sequence} yet; try another one, or again",
                reason="POD_BEHIND",
            ) from None


def _ahead(sequence: int) -> OutOfRange:
    """The refusal of a reader who has seen more than there is; `sequence` is the market's last one."""
    return OutOfRange(
        f"resume_sequence is ahead of the market, which is at {sequence}: the venue was restored from an older "
        "backup, or the number is wrong; ask what there is now, and begin with resume_sequence 0",
        reason="RESUME_AHEAD",
        metadata={"sequence": sequence},
    )
