"""Start all stand-ins on one port, and stop them."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .app import build_app
from .connections import serve_connections
from .people import People
from .providers import write_providers
from .standin import Place, Standin


@dataclass(frozen=True)
class Serving:
    """Running stand-ins."""

    url: str
    """Of the phone page."""
    providers_file: Path


@contextlib.asynccontextmanager
async def serve(data: Path, port: int, callbacks: str, standins: Sequence[Standin]) -> AsyncIterator[Serving]:
    """Serve on 127.0.0.1 until the block ends; port 0 picks a free one. OSError if it is taken.

    `callbacks` is the URL below which the notifications service takes callbacks, by stand-in's name.
    """
    listening = _listen(port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    folder = data / "standins"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed, people = _seed(folder), People()
    app = build_app(standins, people)
    async with contextlib.AsyncExitStack() as started:
        started.callback(listening.close)
        for standin in standins:
            place = Place(f"{url}/{standin.name}", f"{callbacks}/{standin.name}", folder, seed)
            started.push_async_callback(standin.stop)
            await standin.start(place, people)
        write_providers(folder / "providers.toml", standins)
        await started.enter_async_context(serve_connections(app, listening))
        yield Serving(url, folder / "providers.toml")


def _listen(port: int) -> socket.socket:
    # Named, or asyncio does not see that it is TCP, and each answer waits 40 ms for the client's ACK.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(100)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _seed(folder: Path) -> bytes:
    """Return the folder's seed of credentials; made at the first start."""
    path = folder / "seed"
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return bytes.fromhex(path.read_text())
