"""A thread as a file, whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from jinja2 import Environment
from smartex.notifications.v1 import conversation_service_pb2 as pb

from notifications.conversations import wording

_PAGE = Environment(autoescape=True).from_string(Path(__file__).with_name("thread.html").read_text("utf-8"))


def party(number: int) -> str:
    """Who speaks, in words."""
    return pb.Party.Name(number).removeprefix("PARTY_").lower()  # type: ignore[arg-type]


def proposed(proposal: pb.Proposal) -> list[str]:
    """A proposal in lines: how it stands and why, and each order."""
    state = pb.ProposalState.Name(proposal.state).removeprefix("PROPOSAL_STATE_").lower()
    head = f"proposal {proposal.number}, {state}" + (f": {proposal.reason}" if proposal.reason else "")
    return [head, *(wording.order(each, "en") for each in proposal.orders)]


def as_json(thread: pb.Thread, messages: Sequence[pb.Message]) -> bytes:
    """As the contract's JSON."""
    told = [MessageToDict(each, preserving_proto_field_name=True) for each in messages]
    whole = {"thread": MessageToDict(thread, preserving_proto_field_name=True), "messages": told}
    return json.dumps(whole, ensure_ascii=False, indent=2).encode()


def as_html(thread: pb.Thread, messages: Sequence[pb.Message]) -> bytes:
    """As a page that needs nothing else."""
    return _PAGE.render(thread=thread, messages=messages, party=party, proposed=proposed).encode()


def as_text(thread: pb.Thread, messages: Sequence[pb.Message]) -> bytes:
    """As lines."""
    lines = [f"{thread.title or thread.thread_id} · {thread.account_id} · {thread.trader}", ""]
    for each in messages:
        lines.append(f"{each.create_time.ToJsonString()} {party(each.author)}: {each.text}")
        lines += [f"    {line}" for line in (proposed(each.proposal) if each.HasField("proposal") else ())]
    return ("\n".join(lines) + "\n").encode()


FORMS: dict[str, tuple[str, Callable[[pb.Thread, Sequence[pb.Message]], bytes]]] = {
    "json": ("application/json", as_json),
    "html": ("text/html; charset=utf-8", as_html),
    "text": ("text/plain; charset=utf-8", as_text),
}
"""Media type and writer by form."""
