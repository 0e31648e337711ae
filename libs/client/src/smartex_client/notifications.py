"""Inbox, preferences, addresses and deliveries. Answers are the messages of `smartex.notifications.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex.positions.v1.types_pb2 import Step

from .base import PAGE, ServiceFace
from .convert import in_range
from .words import value


class Notifications(ServiceFace):
    """What reaches an investor, and how. Operators also send, replay, and keep the templates."""

    service = "notifications.v1.NotificationService"

    async def inbox(self, *, unread_only: bool = False) -> AsyncIterator[pb.InboxEntry]:
        """What arrived, newest first."""
        request = pb.ListInboxRequest(unread_only=unread_only, page_size=PAGE)
        async for page in self._pages("ListInbox", request, pb.ListInboxResponse):
            for entry in page.entries:
                yield entry

    async def unread(self) -> int:
        """How many entries are unread."""
        request = pb.ListInboxRequest(unread_only=True, page_size=1)
        answer = await self._read("ListInbox", request, pb.ListInboxResponse)
        return answer.unread_count

    async def live_inbox(self, after_position: int = 0) -> AsyncIterator[pb.StreamInboxResponse]:
        """New and changed entries as they come; nothing is missed over a broken connection."""
        seen = in_range(after_position, "after")

        def request() -> pb.StreamInboxRequest:
            return pb.StreamInboxRequest(after_position=seen)

        async for message in self._follow("StreamInbox", request, pb.StreamInboxResponse):
            seen = max(seen, message.entry.position)
            yield message

    async def mark_read(self, notice_ids: Sequence[str] = (), *, up_to_position: int = 0) -> int:
        """Mark entries as read on every device; how many are left unread."""
        request = pb.MarkReadRequest(notice_ids=notice_ids, up_to_position=up_to_position)
        answer = await self._write("MarkRead", request, pb.MarkReadResponse)
        return answer.unread_count

    async def preferences(self) -> pb.Preferences:
        """What the investor wants."""
        answer = await self._read("GetPreferences", pb.GetPreferencesRequest(), pb.GetPreferencesResponse)
        return answer.preferences

    async def set_preferences(self, preferences: pb.Preferences) -> pb.Preferences:
        """Replace all of it."""
        answer = await self._write(
            "SetPreferences", pb.SetPreferencesRequest(preferences=preferences), pb.SetPreferencesResponse
        )
        return answer.preferences

    async def addresses(self) -> Sequence[pb.Address]:
        """Where the investor is reached."""
        answer = await self._read("ListAddresses", pb.ListAddressesRequest(), pb.ListAddressesResponse)
        return answer.addresses

    async def add_address(
        self, channel: str, address: str, *, label: str = "", secrets: Mapping[str, str] | None = None
    ) -> pb.Address:
        """Add a place; unless it is a device, a code is sent there for `verify_address`."""
        request = pb.AddAddressRequest(
            channel=value(pb.Channel, channel, "channel"),  # type: ignore[arg-type]
            value=address,
            label=label,
            secrets=secrets or {},
        )
        answer = await self._write("AddAddress", request, pb.AddAddressResponse)
        return answer.address

    async def verify_address(self, address_id: str, code: str) -> pb.Address:
        """Prove that a place is the investor's by the code that came there."""
        request = pb.VerifyAddressRequest(address_id=address_id, code=code)
        answer = await self._write("VerifyAddress", request, pb.VerifyAddressResponse)
        return answer.address

    async def remove_address(self, address_id: str) -> None:
        """Forget a place."""
        await self._write(
            "RemoveAddress", pb.RemoveAddressRequest(address_id=address_id), pb.RemoveAddressResponse
        )

    async def link_wechat(self) -> pb.LinkWechatResponse:
        """A QR code; who scans it in WeChat is linked to this account."""
        return await self._write("LinkWechat", pb.LinkWechatRequest(), pb.LinkWechatResponse)

    async def deliveries(
        self, account_id: int = 0, *, notice_id: str = "", state: str | None = None
    ) -> AsyncIterator[pb.Delivery]:
        """Deliveries with every attempt, newest first; operators name an account, or none for all."""
        request = pb.ListDeliveriesRequest(
            account_id=in_range(account_id, "account", 32),
            notice_id=notice_id,
            state=value(pb.DeliveryState, state, "state"),  # type: ignore[arg-type]
            page_size=PAGE,
        )
        async for page in self._pages("ListDeliveries", request, pb.ListDeliveriesResponse):
            for delivery in page.deliveries:
                yield delivery

    async def replay(self, delivery_id: str) -> pb.Delivery:
        """Send a dead delivery again (operators)."""
        request = pb.ReplayDeliveryRequest(delivery_id=delivery_id)
        answer = await self._write("ReplayDelivery", request, pb.ReplayDeliveryResponse)
        return answer.delivery

    async def send(self, notice: notice_pb.Notice) -> bool:
        """Send a notice as a service would (operators); False if one with its id had been sent before."""
        request = pb.SendNoticeRequest(notice=notice)
        answer = await self._write("SendNotice", request, pb.SendNoticeResponse)
        return not answer.repeated

    async def templates(self, kind: str = "") -> Sequence[pb.Template]:
        """The newest version of each template (operators)."""
        answer = await self._read(
            "ListTemplates", pb.ListTemplatesRequest(kind=kind), pb.ListTemplatesResponse
        )
        return answer.templates

    async def put_template(self, template: pb.Template) -> pb.Template:
        """Make a new version of a template (operators)."""
        request = pb.PutTemplateRequest(template=template)
        answer = await self._write("PutTemplate", request, pb.PutTemplateResponse)
        return answer.template

    async def preview(
        self,
        kind: str,
        values: Sequence[notice_pb.Value],
        *,
        language: str = "",
        draft: pb.Template | None = None,
    ) -> Sequence[pb.Preview]:
        """What a reader would see on every channel (operators)."""
        request = pb.PreviewTemplateRequest(
            kind=kind, language=language or self._language, values=values, draft=draft
        )
        answer = await self._read("PreviewTemplate", request, pb.PreviewTemplateResponse)
        return answer.previews

    async def channels(self) -> Sequence[pb.ChannelStatus]:
        """How each channel is (operators)."""
        answer = await self._read(
            "GetChannelStatus", pb.GetChannelStatusRequest(), pb.GetChannelStatusResponse
        )
        return answer.channels

    async def steps(self, id_: str) -> tuple[str, Sequence[Step]]:
        """The trace that an id belongs to, and what notifications knows of it."""
        answer = await self._read("ListSteps", pb.ListStepsRequest(id=id_), pb.ListStepsResponse)
        return answer.trace_id, answer.steps
