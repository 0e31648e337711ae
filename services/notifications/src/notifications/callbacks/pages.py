"""The page behind the link in an e-mail, and the key by which browsers subscribe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from notifications.addressbook import AddressBook
from notifications.callbacks.links import link_fits
from notifications.vault import Vault

_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>退订 · Unsubscribe</title></head>
<body style="font-family:sans-serif;max-width:32em;margin:3em auto;padding:0 1em">{content}</body></html>"""
_ASK = """<p>不再向此邮箱发送消息？</p><p>Stop sending messages to this e-mail address?</p>
<form method="post"><button>退订 · Unsubscribe</button></form>"""
_DONE = "<p>已退订。</p><p>You will get no more messages at this address.</p>"
_WRONG = "<p>链接无效。</p><p>This link is not valid.</p>"
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def unsubscribe(vault: Vault, book: AddressBook) -> Endpoint:
    """Return the endpoint: GET asks, for programs that look at links follow none; POST does it (RFC 8058)."""

    async def answer(request: Request) -> Response:
        address_id = request.path_params["address_id"]
        if not link_fits(vault, address_id, request.path_params["proof"]):
            return _page(_WRONG, 404)
        if request.method != "POST":
            return _page(_ASK)
        # One that is gone already is as the reader wants it.
        await book.unsubscribe(address_id)
        return _page(_DONE)

    return answer


def webpush_key(key: str) -> Endpoint:
    """Return the endpoint that tells `applicationServerKey`; it is public, and read by pages of other hosts."""

    async def answer(request: Request) -> Response:
        if not key:
            return JSONResponse({"error": "NO_CREDENTIALS"}, 404)
        return JSONResponse({"key": key}, headers={"access-control-allow-origin": "*"})

    return answer


def _page(content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(content=content), status, headers=_HEADERS)
