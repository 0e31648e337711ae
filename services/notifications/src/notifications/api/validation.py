"""What is common to requests: who asks, and what is wrong with what they send."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from smartex_chassis import FieldViolation, InvalidInput, PermissionDenied, principal

from notifications.contract import LARGEST_ACCOUNT, Malformed

LONGEST_ID = 128


def own_account(context: object) -> int:
    """Return the caller's account; `PermissionDenied` if its token speaks for none."""
    account_id = principal(context).require_account()
    if account_id > LARGEST_ACCOUNT:
        raise PermissionDenied("accounts go up to 4294967295; get another token", reason="ACCOUNT_MISSING")
    return account_id


def is_operator(context: object) -> bool:
    """Return whether the caller may look at any account."""
    return "operate" in principal(context).scopes


def checked_id(text: str, field: str) -> str:
    """Return an id; `InvalidInput` if it could be none."""
    if not 1 <= len(text) <= LONGEST_ID or "\x00" in text:
        raise InvalidInput(f"{field}: give an id of 1 to {LONGEST_ID} characters", field=field)
    return text


def refuse(problems: Sequence[tuple[str, str]], reason: str = "INVALID_INPUT") -> InvalidInput:
    """Return the error for fields that are wrong."""
    message = "; ".join(f"{field}: {why}" for field, why in problems[:3])
    violations = [FieldViolation(field, why) for field, why in problems]
    return InvalidInput(message, reason=reason, field_violations=violations)


@contextlib.contextmanager
def reading(prefix: str = "", reason: str = "INVALID_INPUT") -> Iterator[None]:
    """Tell the caller what is malformed; `prefix` is where the message lies in the request, e.g. `notice.`."""
    try:
        yield
    except Malformed as error:
        raise refuse([(f"{prefix}{error.field}", error.why)], reason) from error
