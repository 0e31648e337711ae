"""Templates over the API: versions, refusals, previews, and what readers then see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from notifications_exchange import Exchange, a_notice, serving, settings_of
from refusals import reason, violations
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_standins.fcm import FcmStandin
from smartex_standins.wechat import WechatStandin
from waiting import until

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]
KIND = "positions.concentration"


async def put(exchange: Exchange, **template: Any) -> pb.Template:
    values = {"kind": KIND, "language": "en", "title": "{{ name }} now", "body": "{{ action }}", **template}
    request = pb.PutTemplateRequest(template=pb.Template(**values))
    return (await exchange.stub.PutTemplate(request, metadata=exchange.operator())).template


async def listed(exchange: Exchange, kind: str = KIND) -> list[pb.Template]:
    told = await exchange.stub.ListTemplates(pb.ListTemplatesRequest(kind=kind), metadata=exchange.operator())
    return list(told.templates)


async def test_a_new_version_is_what_readers_see_on_every_pod(
    exchanging: Exchanging, database: str, tmp_path: Path
) -> None:
    async with (
        exchanging(FcmStandin()) as exchange,
        serving(settings_of(database, tmp_path, None, pod="pod-2"), tmp_path) as other,
    ):
        await exchange.add_phone()
        await exchange.prefer()
        assert {one.version for one in await listed(exchange)} == {0}
        assert (await put(other)).version == 1
        assert (await put(other, version=1, title="{{ name }}: look")).version == 2

        async def seen() -> bool:
            return exchange.pod.book.find(KIND, "en").version == 2

        await until(seen, "the template on the other pod")
        await exchange.send(a_notice())
        (message,) = await exchange.phones.shown_within("fcm", 1)
        assert (message["title"], message["body"]) == ("Moutai: look", "Sell some")


async def test_of_two_at_once_one_wins(database: str, tmp_path: Path) -> None:
    async with serving(settings_of(database, tmp_path, None), tmp_path) as exchange:
        results = await asyncio.gather(
            *(put(exchange, title=f"t{n}") for n in range(5)), return_exceptions=True
        )
        lost = [one for one in results if isinstance(one, grpc.aio.AioRpcError)]
        assert len(lost) == 4
        assert {reason(one) for one in lost} == {"VERSION_CONFLICT"}
        assert {one.code() for one in lost} == {grpc.StatusCode.FAILED_PRECONDITION}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "positions.nothing"}, "template.kind"),
    ({"language": "fr"}, "template.language"),
    ({"channel": 99}, "template.channel"),
    ({"channel": pb.CHANNEL_INBOX}, "template.channel"),
    ({"version": -1}, "template.version"),
    ({"title": ""}, "template.title"),
    ({"title": "x" * 201}, "template.title"),
    ({"body": "x" * 4001}, "template.body"),
    ({"body": "{{ password }}"}, "template.body"),
    ({"body": "{% for a in b %}{% endfor %}{{ a.b }}"}, "template.body"),
    ({"channel": pb.CHANNEL_WECHAT, "fields": {"thing1": "{{ password }}"}}, "template.fields[thing1]"),
    ({"channel": pb.CHANNEL_WECHAT, "fields": {"thing-1": "x"}}, "template.fields"),
]


async def test_a_wrong_template_is_refused_with_its_field_and_changes_nothing(
    database: str, tmp_path: Path
) -> None:
    async with serving(settings_of(database, tmp_path, None), tmp_path) as exchange:
        before = await listed(exchange, "")
        for changes, field in WRONG:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await put(exchange, **changes)
            assert reason(refused.value) == "TEMPLATE_INVALID", changes
            assert field in violations(refused.value), changes
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await exchange.stub.ListTemplates(pb.ListTemplatesRequest(), metadata=exchange.investor())
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert await listed(exchange, "") == before


async def test_a_preview_shows_every_channel_and_what_was_cut(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin(), WechatStandin()) as exchange:
        name = notice_pb2.LocalText(zh="一家名字长得连模板消息的二十个字都放不下的公司", en="Moutai")
        request = pb.PreviewTemplateRequest(
            kind=KIND, language="zh-CN", values=[notice_pb2.Value(name="name", local_text=name)]
        )
        told = await exchange.stub.PreviewTemplate(request, metadata=exchange.operator())
        previews = {one.channel: one for one in told.previews}
        assert set(previews) == {pb.CHANNEL_INBOX, pb.CHANNEL_FCM, pb.CHANNEL_WECHAT}
        wechat = previews[pb.CHANNEL_WECHAT]
        assert len(wechat.fields["thing1"]) == 20
        assert wechat.fields["thing1"].endswith("…")
        # 23 characters and the 6 of the template.
        assert list(wechat.cuts) == ["thing1: 29 characters, 20 allowed"]
        assert previews[pb.CHANNEL_INBOX].cuts == []


async def test_a_draft_is_shown_and_not_kept(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        draft = pb.Template(title="Draft {{ value }}", body="{{ cause_time }}")
        request = pb.PreviewTemplateRequest(kind=KIND, language="en", draft=draft)
        told = await exchange.stub.PreviewTemplate(request, metadata=exchange.operator())
        assert [one.title for one in told.previews] == ["Draft 25.4%", "Draft 25.4%"]
        assert told.previews[0].body == "Mar 2, 10:30"
        assert {one.version for one in await listed(exchange)} == {0}
        request.draft.body = "{{ nobody }}"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await exchange.stub.PreviewTemplate(request, metadata=exchange.operator())
        assert violations(refused.value) == ["draft.body"]
