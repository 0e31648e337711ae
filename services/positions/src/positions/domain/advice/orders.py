"""Orders that the market will take: on the tick, within the day's limits, in whole boards, of lots that may be sold."""

from __future__ import annotations

import math

from positions.domain.advice.account import BUY, SELL, Asset, Held, Order

CROSSING = 0.01
"""How far beyond the mark the limit lies, so that the order fills at once in a quiet market and never far away."""


def step_at(asset: Asset, price_ticks: int) -> int:
    """The step of the band that a price lies in."""
    step = 1
    for first, band_step in asset.bands:
        if first <= price_ticks:
            step = band_step
    return step


def limit_price(asset: Asset, side: int) -> int | None:
    """A limit a little beyond the mark, on a step and within the day's limits. None if no price is both.

    The mark itself may lie outside them: it is of yesterday where a new reference price was set.
    """
    low, high = max(asset.low_ticks, 1), asset.high_ticks
    if side == SELL:
        price = max(min(math.floor(asset.price_ticks * (1 - CROSSING)), high), low)
        while off := price % step_at(asset, price):  # again, where it crosses into a band of larger steps
            price += step_at(asset, price) - off
    else:
        price = min(max(math.ceil(asset.price_ticks * (1 + CROSSING)), low), high)
        while off := price % step_at(asset, price):
            price -= off
    return price if low <= price <= high else None


def sell_orders(held: Held, wanted_lots: int) -> tuple[Order, ...]:
    """Orders that sell at least `wanted_lots`, as far as board lots and what is available allow."""
    asset = held.asset
    price = limit_price(asset, SELL)
    if not asset.tradable or price is None or wanted_lots <= 0:
        return ()
    lots = _sellable(asset, held.available_lots, wanted_lots)
    return tuple(Order(asset, SELL, part, price) for part in _parts(asset, lots))


def buy_orders(asset: Asset, money: float) -> tuple[Order, ...]:
    """Orders that buy for at most `money`, fees included, at the limit. At most one full-size order."""
    price = limit_price(asset, BUY)
    if not asset.tradable or price is None or money <= 0:
        return ()
    unit = price * asset.unit_value * (1 + asset.fee_ppm / 1_000_000)
    lots = min(int(money / unit), asset.max_order_lots) // asset.board_lot * asset.board_lot
    return (Order(asset, BUY, lots, price),) if lots > 0 else ()


def _sellable(asset: Asset, available: int, wanted: int) -> int:
    """The least lots of at least `wanted` that the lot rule takes; the most it takes where that is not enough."""
    board = asset.board_lot
    boards = available // board * board
    rest = available - boards if asset.sells_odd_rest else 0
    up = -(-wanted // board) * board
    if up <= boards:
        return up
    return boards + rest


def _parts(asset: Asset, lots: int) -> list[int]:
    """Lots in orders of at most the largest size. The odd rest goes first and whole, with the boards beside it."""
    board = asset.board_lot
    largest = asset.max_order_lots // board * board
    odd = lots % board
    lots -= odd
    parts = []
    if 0 < odd <= asset.max_order_lots:
        beside = min(lots, (asset.max_order_lots - odd) // board * board)
        parts.append(odd + beside)
        lots -= beside
    while lots > 0 and largest > 0:
        parts.append(min(lots, largest))
        lots -= parts[-1]
    return parts
