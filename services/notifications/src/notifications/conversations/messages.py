"""Rows of conversations as messages of the contract."""

from __future__ import annotations

from datetime import datetime

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.notifications.v1.notice_pb2 import Card

from notifications.domain.talk import ProposalState, state_at


def stamp(moment: datetime) -> Timestamp:
    """A time."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def mandate(row: asyncpg.Record) -> pb.Mandate:
    """A mandate."""
    message = pb.Mandate(
        account_id=row["account_id"], trader=row["trader"], grant_time=stamp(row["grant_time"])
    )
    if row["revoke_time"] is not None:
        message.revoke_time.CopyFrom(stamp(row["revoke_time"]))
    return message


def thread(row: asyncpg.Record, unread: int = 0) -> pb.Thread:
    """A thread."""
    message = pb.Thread(
        thread_id=row["thread_id"],
        account_id=row["account_id"],
        trader=row["trader"],
        title=row["title"],
        create_time=stamp(row["create_time"]),
        active_time=stamp(row["active_time"]),
        unread_count=unread,
    )
    if row["about"] is not None:
        message.about.CopyFrom(Card.FromString(row["about"]))
    return message


def message(row: asyncpg.Record, now: datetime) -> pb.Message:
    """A message with its proposal as it stands at a time."""
    made = pb.Message(
        position=row["position"],
        thread_id=row["thread_id"],
        author=row["author"],
        origin=row["origin"],
        text=row["text"],
        create_time=stamp(row["create_time"]),
    )
    if row["card"] is not None:
        made.card.CopyFrom(Card.FromString(row["card"]))
    if row["proposal_id"] is not None:
        made.proposal.CopyFrom(proposal(row, now))
    return made


def proposal(row: asyncpg.Record, now: datetime) -> pb.Proposal:
    """A proposal as it stands at a time."""
    made = pb.Proposal.FromString(row["content"])
    made.proposal_id, made.number = row["proposal_id"], row["number"]
    state = state_at(ProposalState(row["state"]), row["expire_time"], now)
    made.state = int(state)  # type: ignore[assignment]
    made.expire_time.CopyFrom(stamp(row["expire_time"]))
    if row["results"] is not None:
        made.results.extend(pb.Proposal.FromString(row["results"]).results)
    return made
