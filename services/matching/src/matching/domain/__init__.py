"""The core of the market: a pure, deterministic function over frames of commands. No I/O, no clock, no protobuf."""

from .core import Core, Cuts, warm_up
from .errors import ConservationError, SnapshotError
from .queries import HOLDING_ROW, INSTRUMENT_STATE, LEVEL_ROW, ORDER_ROW, SESSION_ROW
from .state import COMMAND, EVENT, INSTRUMENT, CoreSettings

__all__ = [
    "COMMAND",
    "EVENT",
    "HOLDING_ROW",
    "INSTRUMENT",
    "INSTRUMENT_STATE",
    "LEVEL_ROW",
    "ORDER_ROW",
    "SESSION_ROW",
    "ConservationError",
    "Core",
    "CoreSettings",
    "Cuts",
    "SnapshotError",
    "warm_up",
]
