"""ListAddresses, AddAddress, VerifyAddress, RemoveAddress and LinkWechat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import FailedPrecondition, InvalidInput, Unavailable

from notifications import contract
from notifications.addressbook import SCENE_LIFE, AddressBook
from notifications.api.validation import checked_id, own_account, reading
from notifications.contract import NUMBERS, stamp
from notifications.domain.addresses import MOST_SECRETS
from notifications.domain.sending import ChannelKind


class QrCode(Protocol):
    """A QR code that was made; `url` is what it encodes."""

    url: str


MakeQr = Callable[[str, timedelta], Awaitable[Any]]
"""Makes a QR code of a scene; what is no `QrCode` says by `reason` why there is none."""


class AddressesApi:
    """Where the caller is reached. `make_qr` is None without a WeChat account."""

    scopes: ClassVar[Mapping[str, str]] = {
        "ListAddresses": "read",
        "AddAddress": "trade",
        "VerifyAddress": "trade",
        "RemoveAddress": "trade",
        "LinkWechat": "trade",
    }

    def __init__(self, book: AddressBook, make_qr: MakeQr | None) -> None:
        self._book = book
        self._make_qr = make_qr

    async def ListAddresses(  # noqa: N802
        self, request: pb.ListAddressesRequest, context: object
    ) -> pb.ListAddressesResponse:
        """The caller's addresses, oldest first."""
        rows = await self._book.listed(own_account(context))
        return pb.ListAddressesResponse(addresses=[_address(row) for row in rows])

    async def AddAddress(self, request: pb.AddAddressRequest, context: object) -> pb.AddAddressResponse:  # noqa: N802
        """Add one; a code is sent there unless it is a device."""
        account = own_account(context)
        with reading():
            channel = contract.channel(request.channel, "channel")
        if len(request.secrets) > MOST_SECRETS:
            raise InvalidInput(f"secrets: give at most {MOST_SECRETS}", field="secrets")
        row = await self._book.add(account, channel, request.value, dict(request.secrets), request.label)
        return pb.AddAddressResponse(address=_address(row))

    async def VerifyAddress(  # noqa: N802
        self, request: pb.VerifyAddressRequest, context: object
    ) -> pb.VerifyAddressResponse:
        """Prove one by its code."""
        account = own_account(context)
        row = await self._book.verify(account, checked_id(request.address_id, "address_id"), request.code)
        return pb.VerifyAddressResponse(address=_address(row))

    async def RemoveAddress(  # noqa: N802
        self, request: pb.RemoveAddressRequest, context: object
    ) -> pb.RemoveAddressResponse:
        """Forget one."""
        await self._book.remove(own_account(context), checked_id(request.address_id, "address_id"))
        return pb.RemoveAddressResponse()

    async def LinkWechat(self, request: pb.LinkWechatRequest, context: object) -> pb.LinkWechatResponse:  # noqa: N802
        """A QR code that links who scans it."""
        account = own_account(context)
        if self._make_qr is None:
            raise FailedPrecondition("this exchange has no WeChat account", reason="NO_CREDENTIALS")
        scene = await self._book.make_scene(account)
        code = await self._make_qr(scene.text, SCENE_LIFE)
        url = getattr(code, "url", "")
        if not url:
            raise Unavailable(
                "WeChat gives no QR code now: try again",
                reason="WECHAT_UNAVAILABLE",
                metadata={"why": getattr(code, "reason", "")},
            )
        return pb.LinkWechatResponse(qr_url=url, scene=scene.text, expire_time=stamp(scene.expire_time))


def _address(row: Any) -> pb.Address:
    return pb.Address(
        address_id=row["address_id"],
        channel=NUMBERS[ChannelKind(row["channel"])],  # type: ignore[arg-type]
        masked=row["masked"],
        label=row["label"],
        state=row["state"],
        create_time=stamp(row["create_time"]),
        consent_time=stamp(row["consent_time"]),
        remove_reason=row["remove_reason"],
    )
