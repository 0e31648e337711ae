"""A member of a consumer group that does what its standard input says; answers one line for each command.

take     the next batch: ``topic partition offset,offset,…``
commit   commit the batch: ``ok`` or the name of the error
"""

from __future__ import annotations

import asyncio
import sys

import structlog
from smartex_bus import BusError, GroupBatch, open_bus


async def main(url: str, group: str, topic: str, lease: float) -> None:
    loop = asyncio.get_running_loop()
    batch: GroupBatch | None = None
    async with (
        await open_bus(url) as bus,
        bus.consume(group, [topic], lease=lease, max_records=5) as consumer,
    ):
        while command := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            if command == "take":
                batch = await anext(consumer)
                offsets = ",".join(str(record.offset) for record in batch.records)
                print(batch.topic, batch.partition, offsets, flush=True)
            elif batch is not None:
                try:
                    await consumer.commit({(batch.topic, batch.partition): batch.next_offset})
                    print("ok", flush=True)
                except BusError as error:
                    print(type(error).__name__, flush=True)


if __name__ == "__main__":
    # Standard output is for the answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
