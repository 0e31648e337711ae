"""Times of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching.times import nanoseconds
from smartex.matching.v1.order_query_pb2 import ListOrdersRequest
from smartex_chassis import InvalidInput


@given(st.integers(-(2**62), 2**62), st.integers(-(2**31), 2**31 - 1))
def test_times_are_read_or_refused(seconds: int, nanos: int) -> None:
    request = ListOrdersRequest()
    request.start_time.seconds, request.start_time.nanos = seconds, nanos
    total = seconds * 10**9 + nanos
    if 0 <= nanos < 10**9 and 0 <= total < 2**63:
        assert nanoseconds(request, "start_time") == total
    else:
        with pytest.raises(InvalidInput) as caught:
            nanoseconds(request, "start_time")
        assert caught.value.field_violations[0].field == "start_time"
    assert nanoseconds(request, "end_time") is None
