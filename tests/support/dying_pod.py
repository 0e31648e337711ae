"""A pod that is killed between the provider's yes and the record of it: `dying_pod.py URL FOLDER KIND IDEMPOTENT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from engine_works import Scripted, Works
from notifications.domain.sending import ChannelKind, Message
from smartex_store import Database


async def main(url: str, folder: Path, kind: str, idempotent: bool) -> None:
    """Send one message and die."""

    async def die(message: Message) -> None:
        with (folder / "sent.txt").open("a") as file:
            file.write(f"{message.delivery_id}\n")
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)

    async with Database.connect(url, max_size=6) as database:
        works = Works(database, folder, Scripted(ChannelKind(kind), idempotent=idempotent, on_send=die))
        await works.engine.start()
        await asyncio.sleep(30)


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "True"))
