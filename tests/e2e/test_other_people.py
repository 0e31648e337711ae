"""What is somebody else's answers as what does not exist, and what is said twice at once is said once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
from calls import ALL, UNARY, call, caller, details, open_market
from place import Place
from rpcs import Rpc
from rpcs_people import KNOWN

PEOPLE = [rpc for rpc in ALL if not rpc.service.full_name.startswith("smartex.matching.")]


async def test_other_peoples_things_look_unknown(place: Place, opened: dict[str, bool]) -> None:
    """Every RPC that takes an id: somebody else's answers as one that does not exist, to the letter."""
    await open_market(place, opened)
    stranger, other = (
        place.metadata("trade", account_id=2),
        place.metadata("advise", "read", subject="other"),
    )
    mark = next(rpc for rpc in PEOPLE if rpc.descriptor.name == "MarkRead")
    await call(
        place, mark, mark.request().SerializeToString(), stranger
    )  # who asks for the first time gets an inbox of their own
    before = await place.fingerprint()
    for rpc, field, id_ in owned_ids():
        for metadata in (stranger, other) if field in ("thread_id", "proposal_id") else (stranger,):
            answers = []
            for asked in (id_, "x" * len(id_)):
                request: Any = rpc.request()
                if rpc.descriptor.name == "MarkRead":
                    request = type(request)(notice_ids=[asked])
                else:
                    setattr(request, field, asked)
                answers.append(await call(place, rpc, request.SerializeToString(), metadata))
            assert same_answer(*answers), (rpc.path, field, answers)
    assert await place.fingerprint() == before


async def test_a_message_sent_twice_at_once_is_said_once(place: Place, opened: dict[str, bool]) -> None:
    await open_market(place, opened)
    post = next(rpc for rpc in PEOPLE if rpc.descriptor.name == "PostMessage")
    for _ in range(10):
        request = post.request().SerializeToString()
        calls = (call(place, post, request, caller(place, post)) for _ in range(8))
        answers = await asyncio.gather(*calls)
        assert all(isinstance(answer, bytes) for answer in answers), answers
        assert len(set(answers)) == 1


async def test_a_card_that_no_notice_can_carry_is_refused(place: Place, opened: dict[str, bool]) -> None:
    await open_market(place, opened)
    post = next(rpc for rpc in PEOPLE if rpc.descriptor.name == "PostMessage")
    request: Any = post.request()
    request.ClearField("proposal")
    request.card.id = "a" * 129
    before = await place.fingerprint()
    answer = await call(place, post, request.SerializeToString(), caller(place, post))
    assert isinstance(answer, grpc.aio.AioRpcError)
    assert (answer.code(), details(answer)[1]) == (grpc.StatusCode.INVALID_ARGUMENT, ["card"])
    assert await place.fingerprint() == before


async def test_another_account_looks_unknown(place: Place, opened: dict[str, bool]) -> None:
    await open_market(place, opened)
    stranger = place.metadata("trade", account_id=2)
    asked = [
        rpc
        for rpc in PEOPLE
        if rpc in UNARY
        and "account_id" in rpc.descriptor.input_type.fields_by_name
        and place.scopes[rpc.path] in ("read", "trade")
    ]
    assert len(asked) >= 10
    for rpc in asked:
        answers = []
        for account in (1, 4_000_000_000):
            request: Any = rpc.request()
            request.account_id = account
            answers.append(await call(place, rpc, request.SerializeToString(), stranger))
        assert all(isinstance(answer, grpc.aio.AioRpcError) for answer in answers), rpc.path
        assert same_answer(*answers), rpc.path


def owned_ids() -> Iterator[tuple[Rpc, str, str]]:
    """RPC, field and an id of another's, for each that takes one from an investor or a trader."""
    for name, field, id_ in _owned_ids():
        for rpc in ALL:
            if rpc.descriptor.name == name:
                yield rpc, field, id_


def _owned_ids() -> list[tuple[str, str, str]]:
    threads = ("PostMessage", "ListMessages", "ExportThread")
    return [
        ("AcknowledgeAlert", "alert_id", KNOWN.alert),
        *((name, "advice_id", "e2e-advice") for name in ("GetAdvice", "AcceptAdvice", "DismissAdvice")),
        *((name, "thread_id", KNOWN.thread) for name in threads),
        ("AnswerProposal", "proposal_id", KNOWN.proposal),
        *((name, "address_id", KNOWN.address) for name in ("VerifyAddress", "RemoveAddress")),
        *(
            (name, field, KNOWN.notice)
            for name, field in (("ListDeliveries", "notice_id"), ("MarkRead", "notice_ids"))
        ),
        *(("ListSteps", "id", id_) for id_ in (KNOWN.notice, KNOWN.alert, KNOWN.proposal)),
    ]


def same_answer(one: bytes | grpc.aio.AioRpcError, other: bytes | grpc.aio.AioRpcError) -> bool:
    """Whether two answers tell the same."""
    if isinstance(one, grpc.aio.AioRpcError) and isinstance(other, grpc.aio.AioRpcError):
        return (one.code(), one.details(), details(one)) == (other.code(), other.details(), details(other))
    return one == other
