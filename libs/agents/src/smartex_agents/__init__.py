"""Synthetic participants that trade through the public API, and the demo market that they trade on."""

from .instruments import demo_instruments
from .opening import open_market
from .roster import PARTICIPANTS, Endowment, Participant, endowments

__all__ = ["PARTICIPANTS", "Endowment", "Participant", "demo_instruments", "endowments", "open_market"]
