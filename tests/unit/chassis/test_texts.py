"""U+0000 is found wherever a text is."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import SourceCodeInfo
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from smartex_chassis import InvalidInput, handlers
from smartex_chassis.texts import MOST_ELEMENTS, nul_field

VIOLATION = BadRequest.FieldViolation


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (ErrorInfo(), ""),
        (ErrorInfo(reason="r", domain="d", metadata={"k": "v"}), ""),
        (ErrorInfo(reason="\0"), "reason"),
        (ErrorInfo(reason="r", domain="before\0after"), "domain"),
        (ErrorInfo(metadata={"k": "v", "l": "\0"}), "metadata"),
        (ErrorInfo(metadata={"k\0": "v"}), "metadata"),
        (BadRequest(field_violations=[VIOLATION(), VIOLATION(field="\0")]), "field_violations[1].field"),
        (Timestamp(seconds=0, nanos=256), ""),
    ],
)  # fmt: skip
def test_the_path_is_told(message: Message, path: str) -> None:
    assert nul_field(message) == path


def test_messages_that_hold_themselves_end() -> None:
    inner = Struct()
    inner.update({"list": [1, None, {"deep": "a\0"}]})
    assert nul_field(inner) == "fields.list_value.values[2].struct_value.fields.string_value"


def test_a_message_of_millions_is_refused_by_the_name_of_the_list() -> None:
    detail = BadRequest.FromString(b"\x0a\x00" * (MOST_ELEMENTS + 1))
    with pytest.raises(InvalidInput) as caught:
        nul_field(detail)
    assert caught.value.reason == "TOO_MANY_ELEMENTS"
    assert caught.value.field_violations[0].field == "field_violations"
    del detail.field_violations[0]
    assert nul_field(detail) == ""


def test_lists_in_lists_count_together() -> None:
    inner = Struct()
    inner.update({"a": [None] * (MOST_ELEMENTS // 2), "b": {"c": [None] * (MOST_ELEMENTS // 2)}})
    with pytest.raises(InvalidInput, match=r"fields\..*values is too long"):
        nul_field(inner)


def test_lists_that_hold_no_text_are_not_looked_at() -> None:
    place = SourceCodeInfo.Location(span=[0] * (MOST_ELEMENTS + 1), leading_comments="\0")
    assert nul_field(place) == "leading_comments"


def test_without_the_byte_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Message] = []

    def look(message: Message) -> str:
        looked.append(message)
        return ""

    monkeypatch.setattr(handlers, "nul_field", look)
    read = handlers.polite(BadRequest.FromString)
    read(BadRequest(field_violations=[VIOLATION(field="x")]).SerializeToString())
    assert not looked
    read(BadRequest(field_violations=[VIOLATION(field="\0")]).SerializeToString())
    assert len(looked) == 1
