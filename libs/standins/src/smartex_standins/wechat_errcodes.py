"""How WeChat and WeCom say no: HTTP 200 and an errcode."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

ERRMSG: Final[Mapping[int, str]] = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40008: "invalid message type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40037: "invalid template_id",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40125: "invalid appsecret",
    41001: "access_token missing",
    42001: "access_token expired",
    43004: "require subscribe",
    43101: "user refuse to accept the msg",
    44004: "empty content",
    45002: "content size out of limit",
    45009: "reach max api daily quota limit",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    47001: "data format error",
    47003: "argument invalid!",
    81013: "user & party & tag all invalid",
    93000: "invalid webhook url",
}

Call: TypeAlias = Callable[[Request], Awaitable[dict[str, Any]]]


class Errcode(Exception):  # noqa: N818 - WeChat's own word
    """The API does not do what was asked."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = f"{ERRMSG[code]} {detail}".strip()


def answered(call: Call) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers with what the call returns, or with its errcode."""

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse({"errcode": 0, "errmsg": "ok", **await call(request)})
        except Errcode as error:
            return JSONResponse({"errcode": error.code, "errmsg": error.message})

    return answer


async def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request; Errcode 47001."""
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Errcode(47001) from error
    if not isinstance(value, dict):
        raise Errcode(47001)
    return value
