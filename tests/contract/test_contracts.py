"""The contracts as others rely on them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import smartex_wire
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from matching.domain import COMMAND, EVENT
from rpcs import rpcs
from smartex.matching.v1 import log_pb2, order_entry_pb2, types_pb2

ENVELOPES: list[tuple[type[Message], tuple[str, ...]]] = [
    (order_entry_pb2.TradeRequest, ("open",)),
    (order_entry_pb2.TradeResponse, ("opened",)),
    (log_pb2.CommandFrame, ("definitions",)),
    (log_pb2.EventBatch, ()),
]
FLAT: list[type[Message]] = [
    order_entry_pb2.PlaceOrderRequest,
    order_entry_pb2.CancelOrderRequest,
    order_entry_pb2.AmendOrderRequest,
    order_entry_pb2.MassCancelRequest,
    types_pb2.Report,
]


@pytest.mark.parametrize(("envelope", "ignored"), ENVELOPES, ids=lambda value: getattr(value, "__name__", ""))
def test_hot_envelopes_map_to_arrays(envelope: type[Message], ignored: tuple[str, ...]) -> None:
    assert smartex_wire.codec(envelope, ignore=ignored).row_dtype.names


@pytest.mark.parametrize("message", FLAT, ids=lambda message: message.__name__)
def test_hot_messages_are_flat(message: type[Message]) -> None:
    assert smartex_wire.flat_codec(message).row_dtype.names


def test_the_core_reads_and_writes_the_rows_of_the_log() -> None:
    assert smartex_wire.codec(log_pb2.CommandFrame, ignore=("definitions",)).row_dtype == COMMAND
    assert smartex_wire.codec(log_pb2.EventBatch).row_dtype == EVENT


def test_requests_to_the_market_name_no_account_but_for_operators() -> None:
    """The account comes from the token; only operators' requests may say another."""
    naming = {
        rpc.descriptor.name
        for rpc in rpcs()
        if rpc.service.file.package == "smartex.matching.v1"
        and "account_id" in {field.name for field in rpc.descriptor.input_type.fields}
    }
    operators = {"Deposit", "Withdraw", "CancelOrders", "SetAccountState"}
    assert naming == {"GetAccount", "ListLedgerEntries"} | operators


def test_every_link_of_the_api_page_leads_to_one_place() -> None:
    page = (Path(__file__).parents[2] / "docs/API.md").read_text("utf-8")
    headings = Counter(re.sub(r"[^\w]", "", title.lower()) for title in re.findall("^#+ (.*)$", page, re.M))
    linked = set(re.findall(r"\]\(#([^)]*)\)", page))
    assert len(linked) > 100
    assert {name for name in linked if headings[name] != 1} == set()


# Lists that are short by nature: one row for each kind, address, mandate or step of a chain.
SHORT = {
    "ListSessions",
    "ListHabits",
    "ListAdviceRecords",
    "ListAddresses",
    "ListTemplates",
    "ListMandates",
    "ListSteps",
}


def test_lists_page() -> None:
    for rpc in rpcs():
        if rpc.descriptor.name.startswith("List") and rpc.descriptor.name not in SHORT:
            fields = {field.name: field.type for field in rpc.descriptor.input_type.fields}
            assert fields["page_size"] == FieldDescriptor.TYPE_INT32
            assert fields["page_token"] == FieldDescriptor.TYPE_STRING
