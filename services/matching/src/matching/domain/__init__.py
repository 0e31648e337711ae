"""The core of the market: a pure, deterministic function over frames of commands. No I/O, no clock, no protobuf."""

from .core import Core
from .state import COMMAND, EVENT, INSTRUMENT, CoreSettings

__all__ = ["COMMAND", "EVENT", "INSTRUMENT", "Core", "CoreSettings"]
