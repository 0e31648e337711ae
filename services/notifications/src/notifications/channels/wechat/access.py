"""Calls with an access token in the query, as WeChat and WeCom have them."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from urllib.parse import quote

from notifications.channels.delivery import Clock
from notifications.channels.http import Answer, HttpCaller, failure
from notifications.channels.http_token import Token, TokenCache
from notifications.domain.sending import AddressGone, Failed, Outcome, Refused, Sent

ErrcodeTable: TypeAlias = Mapping[int, Outcome]
"""What an errcode means."""


@dataclass(frozen=True)
class Reply:
    """A readable answer: `errcode` 0 is success."""

    errcode: int
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a value as text; ids come as numbers or as texts."""
        return str(self.values.get(name, ""))


def read_reply(answer: Answer | Failed | Refused) -> Reply | Failed | Refused:
    """Return what the body says; the status says only whether there is one."""
    if isinstance(answer, Failed | Refused):
        return answer
    if not answer.ok:
        return failure(answer)
    values = answer.json()
    errcode = values.get("errcode", 0)
    if not values or not isinstance(errcode, int):
        return Failed("ANSWER_UNREADABLE", maybe_sent=True)
    return Reply(errcode, values)


def meaning(errcode: int, table: ErrcodeTable) -> Failed | Refused | AddressGone | Sent:
    """Return what an errcode other than 0 means; one that the table lacks is a refusal that names it."""
    return table.get(errcode) or Refused(f"REFUSED {errcode}")


def read_token(answer: Answer | Failed | Refused, table: ErrcodeTable) -> Token | Failed | Refused:
    """Return the token of an answer."""
    reply = read_reply(answer)
    if not isinstance(reply, Reply):
        return reply
    if reply.errcode:
        told = meaning(reply.errcode, table)
        return told if isinstance(told, Failed) else Failed(f"TOKEN_REFUSED {reply.errcode}")
    value, life = reply.values.get("access_token"), reply.values.get("expires_in")
    if not isinstance(value, str) or not isinstance(life, int) or not value or life <= 0:
        return Failed("TOKEN_UNREADABLE")
    return Token(value, timedelta(seconds=life))


class TokenApi:
    """Posts JSON with the account's token; renews the token once if it is not believed."""

    def __init__(
        self,
        caller: HttpCaller,
        base_url: str,
        fetch_token: Callable[[], Awaitable[Token | Failed | Refused]],
        clock: Clock,
        *,
        token_errcodes: frozenset[int],
    ) -> None:
        quiet_urls()
        self._caller, self._base_url = caller, base_url.rstrip("/")
        self._tokens = TokenCache(fetch_token, clock)
        self._token_errcodes = token_errcodes

    async def call(self, path: str, body: Mapping[str, object]) -> Reply | Failed | Refused:
        """Post once, or twice if the token was refused: nothing was taken then."""
        token = await self._tokens.get()
        reply = await self._post(path, token, body)
        if isinstance(token, str) and self._disbelieved(reply):
            token = await self._tokens.get(refused=token)
            reply = await self._post(path, token, body)
        if isinstance(reply, Reply) and self._disbelieved(reply):
            return Failed(f"TOKEN_REFUSED {reply.errcode}")
        return reply

    def _disbelieved(self, reply: Reply | Failed | Refused) -> bool:
        return isinstance(reply, Reply) and reply.errcode in self._token_errcodes

    async def _post(
        self, path: str, token: str | Failed, body: Mapping[str, object]
    ) -> Reply | Failed | Refused:
        if isinstance(token, Failed):
            return token
        url = f"{self._base_url}{path}?access_token={quote(token, safe='')}"
        return read_reply(await post_json(self._caller, url, body))


def quiet_urls() -> None:
    """Keep URLs out of the log: tokens and keys stand in their queries, and httpx logs each at INFO."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


async def post_json(caller: HttpCaller, url: str, body: Mapping[str, object]) -> Answer | Failed | Refused:
    """Post JSON in UTF-8; WeCom refuses characters that are escaped."""
    content = json.dumps(body, ensure_ascii=False).encode()
    return await caller.post(url, headers={"content-type": "application/json"}, content=content)
