"""A fast hash of memory: to compare replicas and to find damage, not to withstand an attacker."""

from __future__ import annotations

from .compiled import U64, entry, inner, rows
from .state import struct

_word_at = rows(struct(("value", "u8")))
_LANE_FACTOR = 0x9FB21C651E98DF25
_END_FACTOR = 0xD6E8FEB86659FD93


@inner
def _rotate(value: int, by: int) -> int:
    return (value << U64(by)) | (value >> U64(64 - by))


@inner
def _stir(lane: int, word: int) -> int:
    return _rotate((lane ^ word) * U64(_LANE_FACTOR), 29)


@entry
def hash_words(address: int, words: int, seed: int) -> int:
    """Hash of 64-bit words in memory. Four independent lanes keep the multiplier busy: it runs at the speed of
    memory."""
    one, two, three, four = U64(seed), U64(seed) + U64(1), U64(seed) + U64(2), U64(seed) + U64(3)
    fours = words // 4
    for group in range(fours):
        one = _stir(one, _word_at(address, 4 * group).value)
        two = _stir(two, _word_at(address, 4 * group + 1).value)
        three = _stir(three, _word_at(address, 4 * group + 2).value)
        four = _stir(four, _word_at(address, 4 * group + 3).value)
    for rest in range(4 * fours, words):
        one = _stir(one, _word_at(address, rest).value)
    mixed = one
    mixed = (mixed ^ (mixed >> U64(32))) * U64(_END_FACTOR) ^ two
    mixed = (mixed ^ (mixed >> U64(32))) * U64(_END_FACTOR) ^ three
    mixed = (mixed ^ (mixed >> U64(32))) * U64(_END_FACTOR) ^ four
    mixed = (mixed ^ (mixed >> U64(32))) * U64(_END_FACTOR) ^ U64(words)
    return mixed ^ (mixed >> U64(29))
