"""The templates in force: the newest version of each, over the house's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from notifications import templates
from notifications.domain.notice import Notice, Value
from notifications.domain.preferences import Preferences
from notifications.domain.sending import ChannelKind, Limits
from notifications.domain.templates import Rendered, Template, render
from notifications.store.templates import TemplateStore

Key: TypeAlias = tuple[str, str, ChannelKind | None]

_CARD_TITLE = "{{ card_title }}"


class TemplateBook:
    """Kept in memory; `reload` after another pod has put one."""

    def __init__(self, store: TemplateStore) -> None:
        self._store = store
        self._templates: dict[Key, Template] = {_key(one): one for one in templates.house()}

    async def reload(self) -> None:
        """Read what was put."""
        found = {_key(one): one for one in templates.house()}
        self._templates = found | {_key(one): one for one in await self._store.newest()}

    def all(self) -> list[Template]:
        """Return the newest version of every template."""
        return sorted(self._templates.values(), key=lambda one: (one.kind, one.language, one.channel or ""))

    def find(self, kind: str, language: str, channel: ChannelKind | None = None) -> Template:
        """Return how a kind is said on a channel. A kind without a template is said by its card's title."""
        general = self._templates.get((kind, language, None))
        general = general or Template(kind, language, title=_CARD_TITLE, body=_CARD_TITLE)
        own = self._templates.get((kind, language, channel)) if channel is not None else None
        return own.over(general) if own is not None else general

    def say(
        self,
        notice: Notice,
        preferences: Preferences,
        channel: ChannelKind | None = None,
        limits: Limits | None = None,
        more: Mapping[str, Value] | None = None,
    ) -> Rendered:
        """Return a notice in its reader's words. `more` are values that the notice does not hold."""
        template = self.find(notice.kind, preferences.language, channel)
        values = {**every_kind(notice.cause_time, notice.expire_time), **notice.values, **(more or {})}
        values["card_title"] = (
            notice.card.title if notice.card.title.en or notice.card.title.zh else notice.kind
        )
        return render(template, values, preferences.zone, limits)


def every_kind(cause: datetime, expire: datetime) -> dict[str, Value]:
    """Return the values that come with every notice (`templates.EVERY_KIND`)."""
    return {"cause_time": cause, "expire_time": expire}


def _key(template: Template) -> Key:
    return template.kind, template.language, template.channel
