"""A real PostgreSQL that lives and dies with the program."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import asyncpg
import structlog

from .cluster import DATABASE, Cluster
from .errors import ServerStartFailed, StoreError
from .folder import DataFolder
from .retry import typed

_log = structlog.get_logger("smartex.store")
_T = TypeVar("_T")

_BACKOFF_FIRST = 0.1  # seconds
_BACKOFF_LAST = 5.0
_GIVE_UP_AFTER = 8  # failed starts in a row


class EmbeddedPostgres:
    """The server of one data folder.

        async with EmbeddedPostgres(Path("data")) as server:
            async with Database.connect(server.url) as db: ...

    One instance per folder. Nothing acknowledged is lost by a kill of this program or of the server; the
    server never outlives this program by more than its shutdown. With `supervise` (default) a server that
    crashed is started again, and pools reconnect by themselves: the URL stays the same.

    data_dir        made if missing; may lie under a folder which only root can enter
    settings        PostgreSQL settings that override `cluster.DEFAULTS`
    port            also listen on 127.0.0.1 at this port; else the Unix socket is the only way in
    start_timeout   seconds for a start, which includes crash recovery
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        supervise: bool = True,
        start_timeout: float = 60.0,
    ) -> None:
        self._folder = DataFolder(data_dir)
        self._settings = dict(settings or {})
        self._port = port
        self._supervise = supervise
        self._start_timeout = start_timeout
        self._cluster: Cluster | None = None
        self._changing = asyncio.Lock()
        self._supervisor: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        supervise: bool = True,
        start_timeout: float = 60.0,
    ) -> Self:
        """Start the server of the folder; the caller must `stop()` it.

        Raises DataFolderError if the folder cannot be used and ServerError if the server does not come up.
        """
        server = cls(data_dir, settings=settings, port=port, supervise=supervise, start_timeout=start_timeout)
        await server._open()
        return server

    @property
    def url(self) -> str:
        """The DSN for asyncpg and psql. It holds the password: do not log it."""
        return self._running().url

    @property
    def version(self) -> str:
        """The version of PostgreSQL, such as "18.4"."""
        return self._running().version

    @property
    def pid(self) -> int | None:
        """The process of the server, or None while it is down."""
        return self._running().pid

    async def stop(self) -> None:
        """Stop the server and free the folder. Harmless if it is stopped."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        async with self._changing:
            await _finish(self._close)

    async def restart(self) -> None:
        """Stop the server, if it runs, and start it again at the same URL. Sessions are cut."""
        async with self._changing:
            await _finish(self._bounce)

    async def watch(self) -> None:
        """Wait until the server is stopped; raises StoreError if it crashed and could not be brought back."""
        if self._supervisor is None:
            raise ServerStartFailed("the server is not supervised: start it with supervise=True")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._supervisor)
        if self._supervisor is not None and not self._supervisor.done():
            raise asyncio.CancelledError  # it was us who were cancelled

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _running(self) -> Cluster:
        if self._cluster is None:
            raise ServerStartFailed("the embedded server is not running: start it first")
        return self._cluster

    async def _open(self) -> None:
        try:
            await _finish(self._bring_up)
            await _ensure_database(self.url)
        except BaseException:
            await _finish(self._close)
            raise
        _log.info("postgres_started", version=self.version, pid=self.pid, folder=str(self._folder.root))
        if self._supervise:
            self._supervisor = asyncio.create_task(self._keep_up(), name="postgres-supervisor")

    def _bring_up(self) -> None:
        self._folder.claim()
        self._cluster = Cluster(self._folder, self._settings, self._port)
        self._cluster.start(self._start_timeout)

    def _bounce(self) -> None:
        cluster = self._running()
        cluster.stop()
        cluster.start(self._start_timeout)

    def _close(self) -> None:
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster.remove_runtime()
            self._cluster = None
        self._folder.release()

    async def _keep_up(self) -> None:
        while True:
            await self._ended()
            async with self._changing:
                if self._is_down():
                    _log.warning("postgres_crashed", log=self._running().log_tail())
                    await self._revive()

    async def _revive(self) -> None:
        delay = _BACKOFF_FIRST
        for attempt in range(1, _GIVE_UP_AFTER + 1):
            try:
                await _finish(self._bounce)
            except StoreError as error:
                _log.error("postgres_restart_failed", attempt=attempt, error=str(error))
                if attempt == _GIVE_UP_AFTER:
                    raise
                await asyncio.sleep(delay)
                delay = min(delay * 2, _BACKOFF_LAST)
            else:
                _log.info("postgres_restarted", pid=self.pid, attempt=attempt)
                return

    def _is_down(self) -> bool:
        guardian = self._running().guardian
        return guardian is None or guardian.poll() is not None

    async def _ended(self) -> None:
        """Return when the present server process has ended, whoever ended it."""
        guardian = self._running().guardian
        if guardian is None:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wait() -> None:
            guardian.wait()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(ended.set)

        # A daemon: it must not keep a program alive that leaves without stop().
        threading.Thread(target=wait, name="postgres-wait", daemon=True).start()
        await ended.wait()


async def _finish(work: Callable[[], _T]) -> _T:
    """Run blocking work off the loop. It cannot be broken off: if cancelled, we leave when it is done."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _ensure_database(url: str) -> None:
    try:
        with typed():
            connection = await asyncpg.connect(url)
            await connection.close()
    except asyncpg.InvalidCatalogNameError:
        await _create_database(url)
    except asyncpg.InvalidPasswordError as error:
        raise ServerStartFailed(
            "the password in postgres.password is not that of the cluster: restore the file from a backup"
        ) from error


async def _create_database(url: str) -> None:
    with typed():
        connection = await asyncpg.connect(url, database="postgres")
        try:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
