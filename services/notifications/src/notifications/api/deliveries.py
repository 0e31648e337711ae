"""ListDeliveries, ReplayDelivery, SendNotice and GetChannelStatus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import FailedPrecondition, InvalidInput, NotFound, PermissionDenied, principal
from smartex_chassis.pages import make_token, page_size, read_token
from smartex_store import Database

from notifications.api.validation import LONGEST_ID, checked_id, is_operator, own_account, reading
from notifications.contract import CHANNELS, LARGEST_ACCOUNT, NUMBERS, stamp
from notifications.domain.sending import ChannelKind
from notifications.intake import Intake
from notifications.store.told import DeliveryReader, NotReplayed

_LARGEST = 2**63 - 1


class DeliveriesApi:
    """Deliveries of the caller, or of anybody for an operator."""

    scopes: ClassVar[Mapping[str, str]] = {
        "ListDeliveries": "read",
        "ReplayDelivery": "operate",
        "SendNotice": "operate",
        "GetChannelStatus": "operate",
    }

    def __init__(
        self,
        database: Database,
        reader: DeliveryReader,
        intake: Intake,
        configured: frozenset[ChannelKind],
        breaker: Callable[[ChannelKind], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._reader = reader
        self._intake = intake
        self._configured = configured
        self._breaker = breaker
        self._clock = clock

    async def ListDeliveries(  # noqa: N802
        self, request: pb.ListDeliveriesRequest, context: object
    ) -> pb.ListDeliveriesResponse:
        """A page of deliveries with every attempt, newest first."""
        account = _account(request.account_id, context)
        size = page_size(request.page_size)
        _check_filter(request)
        scope = ("deliveries", account, request.notice_id, request.state)
        key = read_token(scope, request.page_token)
        found = await self._reader.page(
            account, request.notice_id, request.state, before=key[0] if key else _LARGEST, limit=size + 1
        )
        page = found[:size]
        return pb.ListDeliveriesResponse(
            deliveries=await self._messages(page),
            next_page_token=make_token(scope, page[-1]["number"]) if len(found) > size else "",
        )

    async def ReplayDelivery(  # noqa: N802
        self, request: pb.ReplayDeliveryRequest, context: object
    ) -> pb.ReplayDeliveryResponse:
        """Send a dead delivery again."""
        delivery_id = checked_id(request.delivery_id, "delivery_id")
        replayed = await self._reader.replay(delivery_id, self._clock())
        if replayed is NotReplayed.UNKNOWN:
            raise NotFound("no such delivery", reason="DELIVERY_UNKNOWN")
        if isinstance(replayed, NotReplayed):
            raise FailedPrecondition(_REFUSALS[replayed], reason=f"DELIVERY_{replayed.name}")
        return pb.ReplayDeliveryResponse(delivery=_delivery(*replayed))

    async def SendNotice(self, request: pb.SendNoticeRequest, context: object) -> pb.SendNoticeResponse:  # noqa: N802
        """Take a notice in as if it had come over the bus."""
        if not request.HasField("notice"):
            raise InvalidInput("notice: say what to send", field="notice")
        with reading("notice."):
            async with self._database.transaction() as connection:
                new = await self._intake.enqueue(connection, request.notice)
        return pb.SendNoticeResponse(repeated=not new)

    async def GetChannelStatus(  # noqa: N802
        self, request: pb.GetChannelStatusRequest, context: object
    ) -> pb.GetChannelStatusResponse:
        """How each channel is. The breaker is that of the pod that answers."""
        counts = await self._reader.channel_counts(self._clock() - timedelta(hours=1))
        return pb.GetChannelStatusResponse(
            channels=[
                pb.ChannelStatus(
                    channel=number,  # type: ignore[arg-type]
                    configured=kind in self._configured or kind is ChannelKind.INBOX,
                    breaker=self._breaker(kind),
                    **counts.get(kind, {}),
                )
                for number, kind in sorted(CHANNELS.items())
            ]
        )

    async def _messages(self, rows: list[Any]) -> list[pb.Delivery]:
        attempts = await self._reader.attempts([row["delivery_id"] for row in rows])
        return [_delivery(row, attempts.get(row["delivery_id"], [])) for row in rows]


_REFUSALS = {
    NotReplayed.NOT_DEAD: "only a dead delivery is sent again; this one is not",
    NotReplayed.EXPIRED: "what it tells is of no use any more: send a new notice",
    NotReplayed.SUPERSEDED: "a newer notice has taken its place",
}


def _account(asked: int, context: object) -> int:
    """The account whose deliveries are asked for; 0 for all."""
    if is_operator(context):
        own = principal(context).account_id
        return asked or (own if own is not None and own <= LARGEST_ACCOUNT else 0)
    own = own_account(context)
    if asked not in (0, own):
        raise PermissionDenied(
            "only an operator sees another account; leave account_id out", reason="SCOPE_MISSING"
        )
    return own


def _check_filter(request: pb.ListDeliveriesRequest) -> None:
    if request.state not in pb.DeliveryState.values():
        raise InvalidInput("state: give a DeliveryState", field="state")
    if len(request.notice_id) > LONGEST_ID or "\x00" in request.notice_id:
        raise InvalidInput(f"notice_id: give at most {LONGEST_ID} characters", field="notice_id")


def _delivery(row: Any, attempts: list[Any]) -> pb.Delivery:
    return pb.Delivery(
        delivery_id=row["delivery_id"],
        notice_id=row["notice_id"],
        account_id=row["account_id"],
        channel=NUMBERS[ChannelKind(row["channel"])],  # type: ignore[arg-type]
        address_id=row["address_id"],
        kind=row["kind"],
        urgency=row["urgency"],
        state=row["state"],
        state_reason=row["state_reason"],
        attempts=[_attempt(attempt) for attempt in attempts],
        create_time=stamp(row["create_time"]),
        due_time=stamp(row["due_time"]),
        expire_time=stamp(row["expire_time"]),
        receipt=row["receipt"],
        receipt_time=stamp(row["receipt_time"]),
        trace_id=row["trace_id"],
    )


def _attempt(row: Any) -> pb.Attempt:
    return pb.Attempt(
        number=row["number"],
        time=stamp(row["time"]),
        duration_ms=row["duration_ms"],
        outcome=row["outcome"],
        provider_id=row["provider_id"],
        maybe_sent=row["maybe_sent"],
    )
