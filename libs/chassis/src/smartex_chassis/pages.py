"""Page tokens: where a list goes on, bound to the list and its filters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence

from smartex_chassis.errors import InvalidInput

DEFAULT_PAGE = 100
LARGEST_PAGE = 1000
_BODY = struct.Struct(">qq")
_CHECK_BYTES = 12
_DOMAIN = b"smartex page 1"
_ANY = range(-(2**63), 2**63)


def page_size(asked: int) -> int:
    """Rows of a page. InvalidInput unless 0 to 1000."""
    if not 0 <= asked <= LARGEST_PAGE:
        raise InvalidInput(
            f"page_size is {asked}: give 1 to {LARGEST_PAGE}, or 0 for {DEFAULT_PAGE}", field="page_size"
        )
    return asked or DEFAULT_PAGE


def make_token(scope: Sequence[object], first: int, second: int = 0) -> str:
    """A token for the rows after the key (first, second) of the list that `scope` describes."""
    body = _BODY.pack(first, second)
    return _text(body + _check(scope, body))


def read_token(scope: Sequence[object], token: str, *, seconds: range = _ANY) -> tuple[int, int] | None:
    """The key in a token; None for an empty one. InvalidInput if it was changed or made for another list.

    Anyone can make a token up: `seconds` are the values that the second part of a key can have.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    body = raw[: _BODY.size]
    # The check keeps a token with its list; it is no secret, for rights never come from a token.
    if _text(raw) != token or len(body) != _BODY.size or raw[_BODY.size :] != _check(scope, body):
        raise _not_of_this_list()
    first, second = _BODY.unpack(body)
    if second not in seconds:
        raise _not_of_this_list()
    return first, second


def _not_of_this_list() -> InvalidInput:
    return InvalidInput(
        "page_token is not of this list: send next_page_token unchanged, with the same filters",
        field="page_token",
    )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _check(scope: Sequence[object], body: bytes) -> bytes:
    text = _DOMAIN + repr(tuple(scope)).encode() + body
    return hashlib.blake2b(text, digest_size=_CHECK_BYTES).digest()
