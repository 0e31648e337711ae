"""Synthetic participants that trade through the public API, and the demo market that they trade on."""

from .instruments import demo_instruments
from .opening import open_market
from .past import Close, past_closes
from .roster import PARTICIPANTS, Endowment, Participant, endowments

__all__ = [
    "PARTICIPANTS",
    "Close",
    "Endowment",
    "Participant",
    "demo_instruments",
    "endowments",
    "open_market",
    "past_closes",
]
