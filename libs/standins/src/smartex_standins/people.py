"""Whose phone an address belongs to."""

from __future__ import annotations

from typing import Final

PEOPLE: Final = ("alice", "bob", "operator")
"""The people of the demo market; each has one address on every provider from the start."""

MAX_ADDRESSES: Final = 10_000


class People:
    """Addresses by person. An address that nobody claimed is a phone of its own."""

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}
        for number, person in enumerate(PEOPLE, start=1):
            for address in addresses_of(person, number):
                self._owner[address] = person

    def owner(self, address: str) -> str:
        """Whose phone shows what is sent to the address."""
        return self._owner.get(address, address)

    def assign(self, address: str, person: str) -> None:
        """Give the address to a person; the oldest assignment goes when there are too many."""
        self._owner.pop(address, None)
        while len(self._owner) >= MAX_ADDRESSES:
            self._owner.pop(next(iter(self._owner)))
        self._owner[address] = person


def openid_of(person: str) -> str:
    """The person's openid on the WeChat stand-in: 28 characters, as WeChat's are."""
    return f"oSmartex_{person}"[:28].ljust(28, "0")


def addresses_of(person: str, number: int) -> tuple[str, ...]:
    """Openid, WeCom user id, e-mail address and telephone number of one of the `PEOPLE`."""
    return openid_of(person), person, f"{person}@example.com", f"+861380000{number:04d}"
