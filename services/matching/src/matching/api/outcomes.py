"""Refusals of the market as errors, for the RPCs whose answer has no room for them."""

from __future__ import annotations

from typing import Any

from smartex.matching.v1.types_pb2 import Reason
from smartex_chassis import FailedPrecondition, InvalidInput, NotFound, SmartexError

from matching.money import from_micros

_NOT_FOUND = (Reason.REASON_UNKNOWN_INSTRUMENT, Reason.REASON_UNKNOWN_ACCOUNT)
_INVALID = (
    Reason.REASON_INVALID_ID,
    Reason.REASON_INVALID_AMOUNT,
    Reason.REASON_INVALID_PRICE,
    Reason.REASON_INVALID_COMMAND,
)
_WORDS = {
    Reason.REASON_INSUFFICIENT_FUNDS: "there is too little free cash: needed {required_money}, free {available_money}",
    Reason.REASON_INSUFFICIENT_HOLDINGS: "there are too few free lots: needed {required}, available {available}",
    Reason.REASON_REQUEST_TOO_OLD: "create_time is older than the venue can vouch for: look at the ledger first",
    Reason.REASON_REQUEST_FROM_FUTURE: "create_time lies in the future: set the clock",
    Reason.REASON_INVALID_INSTRUMENT: "the rules contradict each other, or what stands under the old ones",
    Reason.REASON_UNKNOWN_INSTRUMENT: "there is no such instrument",
    Reason.REASON_UNKNOWN_ACCOUNT: "there is no such account: it begins with its first deposit",
    # No overload that passes: the refusal is remembered, so the same request would meet it again for ever.
    Reason.REASON_LIMIT_REACHED: "the venue has no room for another one: raise its limit, then make a new request",
    Reason.REASON_INVALID_AMOUNT: "the amount is not positive, or the total would be too large",
    Reason.REASON_INVALID_PRICE: "the price must be 1 to {required} ticks",
}


def refusal(event: Any) -> SmartexError:
    """The error for a COMMAND_REJECTED, or for a repeat of one."""
    reason = int(event["reason"])
    numbers = {"required": int(event["required"]), "available": int(event["available"])}
    money = {f"{each}_money": from_micros(number) for each, number in numbers.items()}
    name = Reason.Name(reason).removeprefix("REASON_")  # type: ignore[arg-type]
    message = _WORDS.get(reason, "the market refused it: " + name.lower()).format(**numbers, **money)  # type: ignore[call-overload]
    if reason in _NOT_FOUND:
        return NotFound(message, reason=name, metadata=numbers)
    if reason in _INVALID:
        return InvalidInput(message, reason=name, metadata=numbers)
    return FailedPrecondition(message, reason=name, metadata=numbers)
