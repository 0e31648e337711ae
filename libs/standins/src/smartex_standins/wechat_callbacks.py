"""Tells the application what happened, as WeChat and WeCom do: signed, encrypted, and again if it does not answer."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx

from .wechat_crypto import CallbackSealer

ATTEMPTS: Final = 3
WAIT_SECONDS: Final = 5.0
"""How long an answer may take."""
PAUSE_SECONDS: Final = 1.0
"""Before it is tried again."""
WORKERS: Final = 8
MAX_WAITING: Final = 100_000
KEPT: Final = 500
MAX_REPLY_BYTES: Final = 64 * 1024


class Callbacks:
    """The callbacks of one account."""

    def __init__(self, sealer: CallbackSealer, url: str) -> None:
        self.url = url
        self._sealer = sealer
        self._client = httpx.AsyncClient(timeout=WAIT_SECONDS, trust_env=False)
        self._waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(MAX_WAITING)
        self._sent: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._workers = [asyncio.create_task(self._work()) for _ in range(WORKERS)]

    async def close(self) -> None:
        """Stop; what waits is not sent."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._client.aclose()

    def later(self, values: Mapping[str, Any]) -> None:
        """Send soon; dropped if too much waits, as a provider drops what it cannot bring."""
        if not self._waiting.full():
            self._waiting.put_nowait(values)

    async def send(self, values: Mapping[str, Any]) -> str | None:
        """Send now; the text of the answer, if there is one, or None if it was not taken."""
        for attempt in range(1, ATTEMPTS + 1):
            status, answer = await self._post(to_xml("xml", values))
            self._sent.append({"values": dict(values), "attempt": attempt, "status": status})
            if status == 200:
                return self._read(answer)
            if attempt < ATTEMPTS:
                await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def verify(self, *, encrypted: bool) -> bool:
        """Ask the address whether it is ours, as a provider does when it is entered."""
        echo, (timestamp, nonce) = secrets.token_hex(8), _stamp()
        shown = self._sealer.encrypt(echo) if encrypted else echo
        name = "msg_signature" if encrypted else "signature"
        parts = (timestamp, nonce, shown) if encrypted else (timestamp, nonce)
        query = {
            name: self._sealer.signature(*parts),
            "timestamp": timestamp,
            "nonce": nonce,
            "echostr": shown,
        }
        try:
            answer = await self._client.get(self.url, params=query)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.status_code == 200 and answer.text == echo

    def sent(self) -> list[dict[str, Any]]:
        """What was sent, newest first."""
        return list(reversed(self._sent))

    async def _work(self) -> None:
        while True:
            await self.send(await self._waiting.get())

    async def _post(self, message: str) -> tuple[int, bytes]:
        timestamp, nonce = _stamp()
        encrypted = self._sealer.encrypt(message)
        query = {
            "msg_signature": self._sealer.signature(timestamp, nonce, encrypted),
            "timestamp": timestamp,
            "nonce": nonce,
            "encrypt_type": "aes",
        }
        body = to_xml("xml", {"Encrypt": encrypted}).encode()
        try:
            answer = await self._client.post(self.url, params=query, content=body)
        except (httpx.HTTPError, httpx.InvalidURL):
            return 0, b""
        return answer.status_code, answer.content

    def _read(self, answer: bytes) -> str:
        if not answer.startswith(b"<") or len(answer) > MAX_REPLY_BYTES:
            return ""
        try:
            envelope = ElementTree.fromstring(answer)
            message = self._sealer.decrypt(envelope.findtext("Encrypt", ""))
            return ElementTree.fromstring(message).findtext("Content", "")
        except (ElementTree.ParseError, ValueError):
            return ""


def _stamp() -> tuple[str, str]:
    return str(int(time.time())), str(secrets.randbelow(10**10))


def to_xml(name: str, value: Any) -> str:
    """Return an element: of a mapping with children, of a list repeated, of anything else with text."""
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(to_xml(key, inner) for key, inner in value.items())}</{name}>"
    if isinstance(value, list):
        return "".join(to_xml(name, inner) for inner in value)
    return f"<{name}>{escape(str(value))}</{name}>"
