"""Trees of 64-way nodes: from a whole number to a row, any domain, in order, without garbage.

A node has a word of 64 bits that says which children are there, so the lowest key of a subtree is a few "count trailing
zeros" away however far apart keys lie: thousands of empty price levels cost nothing. A tree of height h covers keys
below 64^h and grows at the root, so small keys have short paths. With `flip` 63 every digit is mirrored and the largest
key comes first: bids and asks share one code path.

Children hold the number of a node, in leaves the row plus one; 0 is none. Node 0 is never used.
"""

from __future__ import annotations

from .compiled import I64, U64, hot, inner, lowest_bit
from .state import child_at, head, node_at
from .words import NONE

DIGIT = 6
FAN = 64


@hot
def find_in_tree(b: int, root: int, height: int, key: int, flip: int) -> int:
    """The row of a key, or NONE."""
    if key >> (DIGIT * height) != 0:
        return NONE
    at = root
    shift = DIGIT * (height - 1)
    while shift >= 0:
        at = I64(child_at(b, at * FAN + (((key >> shift) & 63) ^ flip)).to)
        if at == 0:
            return NONE
        shift -= DIGIT
    return at - 1


@inner
def insert_into_tree(b: int, root: int, height: int, key: int, flip: int, row: int) -> tuple[int, int, int]:
    """Add a key that is not there; the root, the height and the leaf."""
    while key >> (DIGIT * height) != 0:
        if root == 0:
            root = _take_node(b)
        elif node_at(b, root).bits != U64(0):  # an empty root serves at any height
            above = _take_node(b)
            _adopt(b, above, 0 ^ flip, root)
            root = above
        height += 1
    at = root
    shift = DIGIT * (height - 1)
    while shift > 0:
        place = ((key >> shift) & 63) ^ flip
        below = I64(child_at(b, at * FAN + place).to)
        if below == 0:
            below = _take_node(b)
            _adopt(b, at, place, below)
        at = below
        shift -= DIGIT
    _set_child(b, at, (key & 63) ^ flip, row + 1)
    return root, height, at


@inner
def remove_from_tree(b: int, leaf: int, place: int) -> tuple[int, int]:
    """Take the child at `place` of a leaf out, and nodes that become empty (the root stays).

    The lowest node left on the path, and how many levels it is above a leaf.
    """
    at = leaf
    above = I64(0)
    while True:
        node = node_at(b, at)
        node.bits = node.bits & ~(U64(1) << U64(place))
        child_at(b, at * FAN + place).to = 0
        if node.bits != U64(0) or node.parent == 0:
            return at, above
        place = I64(node.place)
        parent = I64(node.parent)
        _give_node(b, at)
        at = parent
        above += 1


@inner
def lowest_in_tree(b: int, at: int, above: int) -> int:
    """The row with the lowest (flipped) key below a node that is `above` levels over the leaves; NONE in an empty
    root."""
    if node_at(b, at).bits == U64(0):
        return NONE
    while True:
        at = I64(child_at(b, at * FAN + lowest_bit(node_at(b, at).bits)).to)
        if above == 0:
            return at - 1
        above -= 1


@inner
def next_in_tree(b: int, leaf: int, place: int) -> int:
    """The row that follows the child at `place` of a leaf, or NONE."""
    at = leaf
    above = I64(0)
    while True:
        node = node_at(b, at)
        later = (node.bits >> U64(place)) & ~U64(1)
        if later != U64(0):
            place += lowest_bit(later)
            at = I64(child_at(b, at * FAN + place).to)
            return at - 1 if above == 0 else lowest_in_tree(b, at, above - 1)
        if node.parent == 0:
            return NONE
        place = I64(node.place)
        at = I64(node.parent)
        above += 1


@inner
def _adopt(b: int, parent: int, place: int, node: int) -> None:
    _set_child(b, parent, place, node)
    row = node_at(b, node)
    row.parent = parent
    row.place = place


@inner
def _set_child(b: int, parent: int, place: int, to: int) -> None:
    child_at(b, parent * FAN + place).to = to
    row = node_at(b, parent)
    row.bits = row.bits | (U64(1) << U64(place))


@inner
def _take_node(b: int) -> int:
    h = head(b)
    node = h.free_node
    if node == NONE:
        node = h.nodes_used
        h.nodes_used += 1
    else:
        h.free_node = node_at(b, node).parent
    row = node_at(b, node)
    row.bits = U64(0)
    row.parent = 0
    return I64(node)


@inner
def _give_node(b: int, node: int) -> None:
    h = head(b)
    node_at(b, node).parent = h.free_node
    h.free_node = node
