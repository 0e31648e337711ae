"""The book: price levels in a tree for each side, orders of a level in a list, oldest first.

Keys make both sides alike: an ask's key is its price, a bid's its negated price; the lowest key is best, and an order
trades while the best opposite key is not above its own limit's key.
"""

from __future__ import annotations

from .compiled import I64, hot, inner
from .state import book_at, head, level_at, order_at
from .tree import find_in_tree, insert_into_tree, lowest_in_tree, remove_from_tree
from .words import BUY, FAR, NONE


@hot
def book_of(instrument: int, side: int) -> int:
    """Row of one side of an instrument's book."""
    return instrument * 2 + (side - 1)


@hot
def opposite(side: int) -> int:
    """The other side."""
    return 3 - side


@hot
def key_of(side: int, price: int) -> int:
    """Price as a key of a side's queue: lower is better."""
    return -price if side == BUY else price


@hot
def limit_key(side: int, price: int) -> int:
    """Highest key of the opposite side that an order of `side` trades with."""
    return price if side == BUY else -price


@hot
def flip_of(side: int) -> int:
    """Mirrors the tree of the bids."""
    return I64(63) if side == BUY else I64(0)


@inner
def open_book(b: int, instrument: int) -> None:
    """Both sides of a new instrument, empty."""
    for side in range(1, 3):
        book = book_at(b, book_of(instrument, I64(side)))
        book.best_key = FAR
        book.best_level = NONE


@hot
def best_price(b: int, instrument: int, side: int) -> int:
    """Best price of a side, or NONE."""
    book = book_at(b, book_of(instrument, side))
    if book.best_level == NONE:
        return NONE
    return I64(level_at(b, book.best_level).price)


@hot
def rest(b: int, slot: int, price: int) -> None:
    """Put an order at the end of its price."""
    order = order_at(b, slot)
    index = _level_for(b, I64(order.instrument), I64(order.side), price)
    level = level_at(b, index)
    order.level = index
    order.next = NONE
    order.previous = level.last
    if level.last == NONE:
        level.first = slot
    else:
        order_at(b, level.last).next = slot
    level.last = slot


@hot
def take_out(b: int, slot: int) -> None:
    """Take an order out of its level, and the level away with its last order."""
    order = order_at(b, slot)
    level = level_at(b, order.level)
    before = I64(order.previous)
    after = I64(order.next)
    if before == NONE:
        level.first = after
    else:
        order_at(b, before).next = after
    if after == NONE:
        level.last = before
    else:
        order_at(b, after).previous = before
    if level.first == NONE:
        _remove_level(b, I64(order.instrument), I64(order.side), I64(order.level))


@hot
def _level_for(b: int, instrument: int, side: int, price: int) -> int:
    """The level of a price, made if it is not there."""
    book = book_at(b, book_of(instrument, side))
    key = key_of(side, price)
    if key == book.best_key:
        return I64(book.best_level)
    found = find_in_tree(b, I64(book.root), I64(book.height), price, flip_of(side))
    if found != NONE:
        return found
    index = _take_level(b)
    level = level_at(b, index)
    root, height, leaf = insert_into_tree(b, I64(book.root), I64(book.height), price, flip_of(side), index)
    book.root = root
    book.height = height
    level.price = price
    level.node = leaf
    level.first = NONE
    level.last = NONE
    if key < book.best_key:
        book.best_key = key
        book.best_level = index
    return index


@inner
def _remove_level(b: int, instrument: int, side: int, index: int) -> None:
    """Take an empty level away; if it was the best one, the next best is found from where it was."""
    book = book_at(b, book_of(instrument, side))
    level = level_at(b, index)
    node, above = remove_from_tree(b, I64(level.node), (level.price & 63) ^ flip_of(side))
    if book.best_level == index:
        best = lowest_in_tree(b, node, above)
        book.best_level = best
        book.best_key = FAR if best == NONE else key_of(side, I64(level_at(b, best).price))
    h = head(b)
    level.first = h.free_level
    h.free_level = index


@inner
def _take_level(b: int) -> int:
    h = head(b)
    index = h.free_level
    if index == NONE:
        index = h.levels_used
        h.levels_used += 1
    else:
        h.free_level = level_at(b, index).first
    return I64(index)
