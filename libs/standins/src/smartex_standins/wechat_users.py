"""The users of the account: who follows, who allowed what, who may be written to."""

from __future__ import annotations

import contextlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from .keys import write_private

KEPT_USERS: Final = 100_000
FOREVER: Final = -1

WROTE: Final = (48 * 3600.0, 5)
"""For how long, and how often, the account may write to who wrote."""
CAME: Final = (60.0, 3)
"""The same for who followed or scanned a code."""


@dataclass
class User:
    """One user."""

    openid: str
    follows: bool = False
    blocks: bool = False
    """Refuses messages of the account: they are taken, and the receipt says so."""
    refused: set[str] = field(default_factory=set)
    """Ids of templates that the user switched off."""
    allowed: dict[str, int] = field(default_factory=dict)
    """How many subscription messages of a template the user allows; FOREVER for good."""
    open_until: float = 0.0
    """Until when the account may write."""
    replies_left: int = 0

    def may_write(self, now: float, window: tuple[float, int]) -> None:
        """Open a conversation, or lengthen it."""
        seconds, replies = window
        self.open_until = max(self.open_until, now + seconds)
        self.replies_left = max(self.replies_left, replies)


class Users:
    """The users that the account has met, the latest `KEPT_USERS`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._users: OrderedDict[str, User] = OrderedDict()
        self._file: Path | None = None

    def keep_in(self, file: Path) -> None:
        """Begin with the users that a file holds, and keep them there: a restart ends nobody's following."""
        self._file = file
        with contextlib.suppress(FileNotFoundError):
            for one in json.loads(file.read_text("utf-8")):
                self._users[one["openid"]] = User(**{**one, "refused": set(one["refused"])})

    def save(self) -> None:
        """Write the users down, whole or not at all."""
        if self._file is None:
            return
        users = [{**asdict(user), "refused": sorted(user.refused)} for user in self._users.values()]
        beside = self._file.with_suffix(".new")
        write_private(beside, json.dumps(users))
        beside.replace(self._file)

    def find(self, openid: str) -> User | None:
        """Return the user, if the account ever met them."""
        return self._users.get(openid)

    def meet(self, openid: str) -> User:
        """Return the user, new if need be."""
        user = self._users.setdefault(openid, User(openid))
        if len(self._users) > KEPT_USERS:
            self._users.popitem(last=False)
        return user

    def all(self) -> list[User]:
        """Return all of them."""
        return list(self._users.values())
