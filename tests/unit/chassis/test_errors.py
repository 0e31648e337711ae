"""The error tree: what a caller is told never fails to be told, and never tells too much."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped, unused-ignore]
    BadRequest,
    ErrorInfo,
    RetryInfo,
)
from hypothesis import given
from hypothesis import strategies as st
from smartex_chassis import errors
from smartex_chassis.errors import (
    FieldViolation,
    Internal,
    InvalidInput,
    NotFound,
    Overloaded,
    PortInUse,
    SettingsInvalid,
    SmartexError,
    to_status,
)

# Lone surrogates too: an undecodable file name can end up in a message.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=2000)


def _details(error: BaseException, kind: type[Any]) -> list[Any]:
    found = []
    for packed in to_status(error).details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found


def _tree(root: type[SmartexError]) -> set[type[SmartexError]]:
    return {root}.union(*(_tree(child) for child in root.__subclasses__()))


@given(
    ANY_TEXT,
    st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=40),
    st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=40),
)
def test_any_error_fits_into_headers(
    message: str, metadata: dict[str, str], fields: list[tuple[str, str]]
) -> None:
    violations = [FieldViolation(*field) for field in fields]
    error = SmartexError.__subclasses__()[0](
        message, reason="X", metadata=metadata, field_violations=violations
    )
    status = to_status(error)
    assert len(status.message) <= 512
    assert len(status.SerializeToString()) < 2**15
    assert len(_details(error, ErrorInfo)) == 1


@given(st.timedeltas())
def test_retry_advice_is_never_negative(delay: timedelta) -> None:
    (advice,) = _details(Overloaded("slow", retry_after=delay), RetryInfo)
    assert advice.retry_delay.ToTimedelta() == max(delay, timedelta(0))


@given(st.from_regex(r"[A-Z][A-Z0-9_]{0,62}", fullmatch=True))
def test_upper_snake_reasons_pass(reason: str) -> None:
    assert NotFound("m", reason=reason).reason == reason


@pytest.mark.parametrize("reason", ["", "lower", "1X", "A-B", "A" * 64, "A B", "X\n"])
def test_other_reasons_do_not(reason: str) -> None:
    with pytest.raises(ValueError, match="UPPER_SNAKE"):
        NotFound("m", reason=reason)


def test_the_field_is_named() -> None:
    error = InvalidInput(
        "7 is off the tick of 5", reason="OFF_TICK", field="price_ticks", metadata={"tick": 5}
    )
    (bad,) = _details(error, BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("price_ticks", "7 is off the tick of 5")
    ]
    assert error.metadata == {"tick": "5"}


@pytest.mark.parametrize(
    "error", [RuntimeError("s3cret"), Internal("s3cret"), Internal("s3cret", reason="BOOKS_DIFFER")]
)
def test_bugs_keep_their_words_to_themselves(error: Exception) -> None:
    first, second = to_status(error), to_status(error)
    assert "s3cret" not in str(first)
    assert first.message != second.message, "every incident has its own id"
    (info,) = _details(error, ErrorInfo)
    assert info.reason == getattr(error, "reason", "INTERNAL")


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    own = [member for member in _tree(SmartexError) if member.__module__ == errors.__name__]
    for member in own:  # who builds on the tree draws its own branch
        assert member.__name__ in drawn
        if not issubclass(member, errors.StartupError) and member is not SmartexError:
            line = next(line for line in drawn.splitlines() if f" {member.__name__} " in line)
            assert member.category.code.name in line


def test_startup_errors_are_for_the_terminal() -> None:
    assert (
        str(PortInUse(7400, "SMARTEX_PORT"))
        == "port 7400 is taken: stop the other program or set SMARTEX_PORT"
    )
    assert str(SettingsInvalid(["a", "b"])) == "a\nb"
