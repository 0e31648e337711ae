"""What an investor is told of a trader's message or proposal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.positions.v1.types_pb2 import OrderSuggestion

from notifications.conversations import brief, wording
from notifications.conversations.messages import stamp

_LIFE = timedelta(days=1)
_MOST_TOLD = 3
"""Orders that are listed, so that a small channel has room for how to answer; their number is told, and the thread
shows all."""


def of_message(
    thread: asyncpg.Record,
    row: Any,
    said: str,
    card: notice_pb.Card | None,
    proposal: pb.Proposal | None,
    number: int,
    now: datetime,
    trace_id: str,
) -> notice_pb.Notice:
    """The notice of what a trader said, as its `row` was kept; `number` is the proposal's, if it is one."""
    proposing = proposal is not None
    values = {
        "author": thread["trader"],
        "text": said or (proposal.reason if proposal else ""),
    }
    notice = notice_pb.Notice(
        notice_id=f"message:{row['position']}",
        account_id=thread["account_id"],
        kind="conversations.proposal" if proposing else "conversations.message",
        urgency=notice_pb.URGENCY_HIGH if proposing else notice_pb.URGENCY_NORMAL,
        cause_time=stamp(now),
        expire_time=stamp(row["expire_time"] if proposing else now + _LIFE),
        values=[notice_pb.Value(name=name, text=text) for name, text in values.items()],
        trace_id=trace_id,
    )
    if proposal is not None:
        notice.values.append(notice_pb.Value(name="number", text=str(number)))
        notice.values.extend(_proposed(proposal.orders))
        notice.card.kind, notice.card.id = notice_pb.CARD_KIND_PROPOSAL, row["proposal_id"]
        notice.card.title.CopyFrom(notice_pb.LocalText(zh=f"交易建议 {number}", en=f"Proposal {number}"))
    elif card is not None:
        notice.card.CopyFrom(card)
    return notice


def _proposed(orders: Sequence[OrderSuggestion]) -> list[notice_pb.Value]:
    """What an investor needs to know of orders before a yes: a line for each, and all of them in a few words."""

    def both(words: Callable[[str], str]) -> notice_pb.LocalText:
        return notice_pb.LocalText(zh=words("zh-CN"), en=words("en"))

    def lines(language: str) -> str:
        told = [wording.order(each, language) for each in orders[:_MOST_TOLD]]
        return "\n".join([*told, "…"] if len(orders) > _MOST_TOLD else told)

    return [
        notice_pb.Value(name="orders", number=str(len(orders))),
        notice_pb.Value(name="order_lines", local_text=both(lines)),
        notice_pb.Value(name="brief", local_text=both(lambda language: brief.brief(orders, language)[0])),
        notice_pb.Value(
            name="brief_more", local_text=both(lambda language: brief.brief(orders, language)[1])
        ),
        notice_pb.Value(name="terms", local_text=both(lambda language: wording.terms(orders, language))),
        notice_pb.Value(name="symbols", text=", ".join(dict.fromkeys(each.symbol for each in orders))),
    ]
