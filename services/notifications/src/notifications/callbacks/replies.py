"""Who answers what a reader writes to the official account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

TextHandler: TypeAlias = Callable[[int, str, str], Awaitable[str]]
"""Takes account, text and the key of the message; returns the reply, or an empty text if it is not meant.

It has 4 seconds. It may be asked the same again, with the same key, if the answer is lost, and must then have no
second effect.
"""

NOT_LINKED: Final = "请先在应用中绑定微信。Please link WeChat in the app first."
NOT_UNDERSTOOD: Final = "收到。请在应用中查看详情。Received; please see the app for more."
LINKED: Final = "绑定成功，今后的提醒会发送到这里。Linked: your alerts will come here."
LINK_EXPIRED: Final = "二维码已失效，请在应用中重新获取。This code no longer works: get a new one in the app."
TOO_MANY_ADDRESSES: Final = (
    "绑定失败：接收方式过多，请先在应用中删除一个。Not linked: remove one of your addresses in the app first."
)


class Replies:
    """The handlers of texts, asked in the order in which they were added."""

    def __init__(self) -> None:
        self._handlers: list[TextHandler] = []

    def add(self, handler: TextHandler) -> None:
        """Add a handler; to be said before the service starts."""
        self._handlers.append(handler)

    async def on_text(self, account_id: int, text: str, key: str) -> str:
        """Return the reply of the first handler that has one."""
        for handler in self._handlers:
            reply = await handler(account_id, text, key)
            if reply:
                return reply
        return NOT_UNDERSTOOD
