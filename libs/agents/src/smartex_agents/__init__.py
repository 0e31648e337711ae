"""Synthetic participants that trade through the public API, and the demo market that they trade on."""

from .instruments import demo_instruments
from .opening import open_market, roll_day
from .profile import Profile
from .roster import PARTICIPANTS, Endowment, Participant, endowments

__all__ = [
    "PARTICIPANTS",
    "Endowment",
    "Participant",
    "Profile",
    "demo_instruments",
    "endowments",
    "open_market",
    "roll_day",
]
