"""The projector's process: `python -m matching.history.following`; see `process`."""

from __future__ import annotations

import asyncio
import json
import sys

import structlog
from smartex_bus import open_bus, service_settings
from smartex_chassis.logging import configure
from smartex_store import Database

from matching.beside import give_way
from matching.history.process import LINE_BYTES, STANDS, Task
from matching.history.projector import Projector
from matching.history.settings import HistorySettings

_log = structlog.get_logger("matching.history")

_TELL_SECONDS = 1.0
_NICENESS = 5  # from when it is loaded: the first queries after a start wait for that


async def follow(reader: asyncio.StreamReader) -> None:
    """Write the history that the first line of the input tells of, until the input ends."""
    task = Task(**json.loads(await reader.readline()))
    async with (
        Database.connect(task.database_url, name=f"history-{task.holder}", max_size=2) as database,
        await open_bus(service_settings("matching", task)) as bus,
    ):
        settings = HistorySettings(**task.settings)
        projector = Projector(database, bus, task.shard, task.holder, settings)
        await projector.start()
        telling = asyncio.create_task(_tell(projector))
        try:
            await reader.read()
        finally:
            telling.cancel()
            await projector.stop()


async def _tell(projector: Projector) -> None:
    told = -1
    while True:
        if projector.sequence != told:  # it begins anew after a rebuild
            told = projector.sequence
            _log.info(STANDS, sequence=told)
        await asyncio.sleep(_TELL_SECONDS)


async def _main() -> None:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await follow(reader)


if __name__ == "__main__":
    configure(service="matching-history", level="info", form="json", stream=sys.stdout)
    give_way(_NICENESS)
    asyncio.run(_main())
