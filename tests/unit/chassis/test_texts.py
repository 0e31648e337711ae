"""U+0000 is found wherever a text is."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from smartex_chassis.texts import nul_field

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
