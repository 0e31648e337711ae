"""Refusals of the market as errors of RPCs."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from matching.api.outcomes import refusal
from matching.domain import EVENT
from smartex.matching.v1.types_pb2 import Reason


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.REASON_UNKNOWN_INSTRUMENT, grpc.StatusCode.NOT_FOUND),
        (Reason.REASON_INVALID_AMOUNT, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.REASON_INSUFFICIENT_FUNDS, grpc.StatusCode.FAILED_PRECONDITION),
        # The refusal is remembered under the request's number: who is told to come back would do so in vain.
        (Reason.REASON_LIMIT_REACHED, grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
def test_a_remembered_refusal_is_never_worth_a_retry(reason: Reason.ValueType, code: grpc.StatusCode) -> None:
    event = np.zeros(1, EVENT)[0]
    event["reason"], event["required"], event["available"] = reason, 7, 5
    error = refusal(event)
    assert error.category.code == code
    assert error.reason == Reason.Name(reason).removeprefix("REASON_")
    assert error.retry_after is None


def test_money_is_told_as_people_write_it() -> None:
    event = np.zeros(1, EVENT)[0]
    event["reason"] = Reason.REASON_INSUFFICIENT_FUNDS
    event["required"], event["available"] = 1_234_000_000, 1_000_500_000
    error = refusal(event)
    assert "needed 1234.00, free 1000.50" in str(error)
    assert error.metadata["required"] == "1234000000"
