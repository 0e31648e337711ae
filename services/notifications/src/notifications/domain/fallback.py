"""Where a message goes when its channel cannot bring it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.domain.decide import Addresses, Target
from notifications.domain.sending import ChannelKind


@dataclass(frozen=True)
class Next:
    """The next channel: its addresses, and what is left after it."""

    channel: ChannelKind
    targets: tuple[Target, ...]
    fallback: tuple[ChannelKind, ...]


def next_channel(
    fallback: Sequence[ChannelKind], addresses: Addresses, usable: frozenset[ChannelKind]
) -> Next | None:
    """Return the first channel of the list that can be used and has addresses; None if there is none."""
    for at, channel in enumerate(fallback):
        if channel in usable and addresses.get(channel):
            return Next(channel, tuple(addresses[channel]), tuple(fallback[at + 1 :]))
    return None
