"""ListTemplates, PutTemplate and PreviewTemplate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import FailedPrecondition, principal

from notifications import contract, templates
from notifications.api.validation import reading, refuse
from notifications.contract import NUMBERS
from notifications.domain.notice import Value
from notifications.domain.preferences import LANGUAGES, Preferences
from notifications.domain.sending import ChannelKind, Limits
from notifications.domain.templates import Template, problems, render, sample
from notifications.store.templates import TemplateStore
from notifications.templatebook import TemplateBook

_INVALID = "TEMPLATE_INVALID"


class TemplatesApi:
    """How things are said. `limits` are those of the channels that have credentials."""

    scopes: ClassVar[Mapping[str, str]] = {
        "ListTemplates": "operate",
        "PutTemplate": "operate",
        "PreviewTemplate": "operate",
    }

    def __init__(
        self,
        store: TemplateStore,
        book: TemplateBook,
        limits: Mapping[ChannelKind, Limits],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._book = book
        self._limits = {ChannelKind.INBOX: Limits(), **limits}
        self._clock = clock

    async def ListTemplates(  # noqa: N802
        self, request: pb.ListTemplatesRequest, context: object
    ) -> pb.ListTemplatesResponse:
        """The newest version of each; version 0 is the house's own."""
        await self._book.reload()
        found = [one for one in self._book.all() if request.kind in ("", one.kind)]
        return pb.ListTemplatesResponse(templates=[contract.template_message(one) for one in found])

    async def PutTemplate(self, request: pb.PutTemplateRequest, context: object) -> pb.PutTemplateResponse:  # noqa: N802
        """Make a new version."""
        template = _checked(request.template, "template")
        put = await self._store.put(template, principal(context).subject, self._clock())
        if put is None:
            raise FailedPrecondition(
                "another version came between: read it and try again",
                reason="VERSION_CONFLICT",
                metadata={"version": template.version},
            )
        await self._book.reload()
        return pb.PutTemplateResponse(template=contract.template_message(put))

    async def PreviewTemplate(  # noqa: N802
        self, request: pb.PreviewTemplateRequest, context: object
    ) -> pb.PreviewTemplateResponse:
        """What a reader would see on every channel that has credentials; what is not given is made up."""
        _check_place(request.kind, request.language, "")
        with reading():
            given = contract.values(request.values)
        draft = None
        if request.HasField("draft"):
            draft = _checked(_filled(request), "draft")
        names = templates.kinds()[request.kind]
        values = {name: given.get(name, sample("time" if name.endswith("_time") else name)) for name in names}
        return pb.PreviewTemplateResponse(
            previews=[
                self._preview(request.kind, request.language, draft, channel, values)
                for channel in self._limits
                if draft is None or draft.channel in (None, channel)
            ]
        )

    def _preview(
        self,
        kind: str,
        language: str,
        draft: Template | None,
        channel: ChannelKind,
        values: Mapping[str, Value],
    ) -> pb.Preview:
        general = self._book.find(kind, language)
        template = self._book.find(kind, language, channel)
        if draft is not None:
            template = (
                draft.over(general)
                if draft.channel is not None
                else replace(template, title=draft.title, body=draft.body)
            )
        said = render(template, values, Preferences().zone, self._limits[channel])
        return pb.Preview(
            channel=NUMBERS[channel],  # type: ignore[arg-type]
            title=said.title,
            body=said.body,
            fields=said.fields,
            cuts=said.cuts,
        )


def _filled(request: pb.PreviewTemplateRequest) -> pb.Template:
    """The draft, which may leave out what the request says of it."""
    draft = pb.Template()
    draft.CopyFrom(request.draft)
    draft.kind = draft.kind or request.kind
    draft.language = draft.language or request.language
    return draft


def _checked(message: pb.Template, where: str) -> Template:
    _check_place(message.kind, message.language, f"{where}.")
    with reading(f"{where}.", _INVALID):
        template = contract.template(message)
    wrong = [(f"{where}.{field}", why) for field, why in problems(template, templates.kinds()[template.kind])]
    if template.channel is ChannelKind.INBOX:
        wrong.append((f"{where}.channel", "the inbox shows the template of all channels: leave channel out"))
    if template.version < 0:
        wrong.append((f"{where}.version", "give the version that it replaces, or 0"))
    if wrong:
        raise refuse(wrong, _INVALID)
    return template


def _check_place(kind: str, language: str, prefix: str) -> None:
    if kind not in templates.kinds():
        raise refuse([(f"{prefix}kind", f"give one of {', '.join(sorted(templates.kinds()))}")], _INVALID)
    if language not in LANGUAGES:
        raise refuse([(f"{prefix}language", f"give one of {', '.join(LANGUAGES)}")], _INVALID)
