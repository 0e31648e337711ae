"""What can go wrong, as a caller sees it.

SmartexError                      everything below
├── Retryable                     the same call may succeed later
│   ├── Unavailable               the exchange cannot be reached or is starting, draining or halted
│   ├── Overloaded                refused early; `retry_after` says when to come back
│   ├── OutcomeUnknown            the deadline passed; the order may stand: repeat with the same id, or ask
│   └── StreamCut                 the exchange cut a slow stream; it resumes by sequence
└── Final                         repeating the same call cannot help
    ├── InvalidInput              a field is malformed; `field` names it
    │   ├── OffTick               the price is no multiple of the tick; `below` and `above` are valid
    │   └── OffLot                the quantity is no multiple of the lot; `below` and `above` are valid
    ├── OrderRejected             the market said no; `reason`, `required`, `available`
    │   ├── InsufficientFunds
    │   └── InsufficientHoldings
    ├── NotFound                  no such thing, or it is somebody else's
    ├── Unauthenticated           the token is missing, expired or forged
    ├── PermissionDenied          the token lacks the scope
    ├── FailedPrecondition        the state of the market does not allow it
    └── ServerFault               a bug of the exchange; `metadata["incident"]` finds it in its log
"""

from __future__ import annotations

from decimal import Decimal


class SmartexError(Exception):
    """Anything that the exchange or the way to it refused.

    `reason` is an UPPER_SNAKE word for programs, the text is for people, `metadata` carries details.
    """

    def __init__(self, message: str, *, reason: str = "", metadata: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = metadata or {}


class Retryable(SmartexError):
    """The same call may succeed later. `retry_after` is the exchange's advice in seconds, if it gave one."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: dict[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after = retry_after


class Unavailable(Retryable):
    """The exchange cannot be reached, or is starting, draining or halted."""


class Overloaded(Retryable):
    """Refused early because there is too much to do."""


class OutcomeUnknown(Retryable):
    """The deadline passed before the answer came; the order may stand. Repeat with the same id, or ask."""


class StreamCut(Retryable):
    """The exchange cut a stream whose reader was too slow."""


class Final(SmartexError):
    """Repeating the same call cannot help."""


class InvalidInput(Final):
    """A field is malformed. `field` names it, the text says what would be right."""

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        reason: str = "INVALID_INPUT",
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.field = field


class OffTick(InvalidInput):
    """The price is no multiple of the instrument's tick."""

    def __init__(self, price: Decimal, below: Decimal, above: Decimal) -> None:
        super().__init__(
            f"price {price:f} is off the tick: the nearest valid prices are {below:f} and {above:f}",
            field="price",
            reason="OFF_TICK",
        )
        self.below, self.above = below, above


class OffLot(InvalidInput):
    """The quantity is no multiple of the instrument's lot."""

    def __init__(self, quantity: Decimal, below: Decimal, above: Decimal, field: str = "quantity") -> None:
        super().__init__(
            f"{field} {quantity:f} is off the lot: the nearest valid quantities are {below:f} and {above:f}",
            field=field,
            reason="OFF_LOT",
        )
        self.below, self.above = below, above


class OrderRejected(Final):
    """The market said no. `required` and `available` are the numbers behind it, in people's units."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        required: Decimal | None = None,
        available: Decimal | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.required, self.available = required, available


class InsufficientFunds(OrderRejected):
    """Not enough free cash."""


class InsufficientHoldings(OrderRejected):
    """Not enough free holdings."""


class NotFound(Final):
    """No such thing, or it is somebody else's."""


class Unauthenticated(Final):
    """The token is missing, expired or forged."""


class PermissionDenied(Final):
    """The token does not allow this."""


class FailedPrecondition(Final):
    """The state of the market does not allow this."""


class ServerFault(Final):
    """A bug of the exchange."""
