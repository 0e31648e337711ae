"""Which commands are answered, whatever else is on the stream; and the ids that tell."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import types_pb2 as types
from smartex_client import COMMAND_DTYPE, REPORT_DTYPE, IdSource
from smartex_client.commands import Rows
from smartex_client.pending import Pending

PLACE, CANCEL, MASS = log.COMMAND_KIND_PLACE, log.COMMAND_KIND_CANCEL, log.COMMAND_KIND_MASS_CANCEL

ANSWERS: dict[int, list[int]] = {
    PLACE: [types.REPORT_KIND_ACCEPTED, types.REPORT_KIND_REJECTED],
    CANCEL: [types.REPORT_KIND_CANCELLED, types.REPORT_KIND_CANCEL_REJECTED],
    log.COMMAND_KIND_AMEND: [types.REPORT_KIND_AMENDED, types.REPORT_KIND_AMEND_REJECTED],
    log.COMMAND_KIND_REPLACE: [types.REPORT_KIND_AMENDED, types.REPORT_KIND_AMEND_REJECTED],
    MASS: [types.REPORT_KIND_MASS_CANCELLED],
}


def command_rows(kinds: list[int], first: int) -> Rows:
    rows = np.zeros(len(kinds), COMMAND_DTYPE)
    rows["kind"] = kinds
    numbers = np.arange(len(kinds)) + first
    place = rows["kind"] == PLACE
    rows["client_order_id"][place] = numbers[place]
    rows["request_id"][~place] = numbers[~place]
    return rows


def report_rows(reports: list[tuple[int, int, int, int]]) -> Rows:
    rows = np.zeros(len(reports), REPORT_DTYPE)
    for row, (kind, own, request, reason) in zip(rows, reports, strict=True):
        row["kind"], row["client_order_id"], row["request_id"], row["reason"] = kind, own, request, reason
    return rows


@st.composite
def noise(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """What is on the stream beside our outcomes: fills, effects, and outcomes of another stream (ids from 10,000)."""
    other = draw(st.integers(10_000, 10_050))
    return draw(
        st.sampled_from(
            [
                (types.REPORT_KIND_FILLED, draw(st.integers(1, 200)), 0, 0),
                (types.REPORT_KIND_CANCELLED, draw(st.integers(1, 200)), 0, types.REASON_IOC_REST),
                (types.REPORT_KIND_CANCELLED, 3, draw(st.integers(1, 200)), types.REASON_MASS_CANCEL),
                (types.REPORT_KIND_ACCEPTED, other, 0, 0),
                (types.REPORT_KIND_AMENDED, 5, other, 0),
                (types.REPORT_KIND_CANCELLED, 5, other, types.REASON_CANCELLED_BY_OWNER),
            ]
        )
    )


@given(
    kinds=st.lists(st.lists(st.sampled_from(list(ANSWERS)), min_size=1, max_size=12), min_size=1, max_size=5),
    data=st.data(),
)
def test_outcomes_are_found_among_everything_else(kinds: list[list[int]], data: st.DataObject) -> None:
    pending = Pending()
    sent: list[tuple[int, int]] = []
    for batch in kinds:
        rows = command_rows(batch, len(sent) + 1)
        sent += [(kind, len(sent) + 1 + place) for place, kind in enumerate(batch)]
        pending.add(rows)
    assert pending.count == len(sent)

    answered = data.draw(st.integers(0, len(sent)))
    stream: list[tuple[int, int, int, int]] = []
    for kind, number in sent[:answered]:
        stream += data.draw(st.lists(noise(), max_size=3))
        report = data.draw(st.sampled_from(ANSWERS[kind]))
        reason = types.REASON_CANCELLED_BY_OWNER if report == types.REPORT_KIND_CANCELLED else 0
        stream.append((report, number if kind == PLACE else 1, 0 if kind == PLACE else number, reason))
    stream += data.draw(st.lists(noise(), max_size=3))
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        pending.acknowledge(report_rows(stream[:size]))
        stream = stream[size:]

    left = [int(each) for rows in pending.batches() for each in rows["client_order_id"] + rows["request_id"]]
    assert left == [number for _, number in sent[answered:]]
    assert pending.count == len(left)


def test_ids_grow_and_never_repeat() -> None:
    source = IdSource()
    taken: list[int] = []
    for count in (1, 5, 1, 1_000_000, 1, 1):
        first = source.take(count)
        taken += [first, first + count - 1]
    assert taken == sorted(taken)
    assert len(set(taken[::2])) == 6
    assert 0 < taken[0] < taken[-1] < 2**63


def test_busy_sources_do_not_meet() -> None:
    """Two processes of one account, or two hundred, that take thousands of numbers at the same moment."""
    stretches = sorted(
        (source.take(100_000), source.take(100_000)) for source in [IdSource() for _ in range(200)]
    )
    for (_, last), (first, _) in pairwise(stretches):
        assert last + 100_000 <= first


def test_a_fork_has_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    source = IdSource()
    ours = source.next()
    monkeypatch.setattr(
        "os.getpid", lambda: -1
    )  # what the child of a fork sees: the same source, another process
    theirs = source.take(2)
    assert abs(theirs - ours) > 1_000_000
    assert source.next() == theirs + 2
