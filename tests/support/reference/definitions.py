"""Random rules of instruments: sound ones, broken ones, and ones that follow others."""

from dataclasses import replace
from random import Random

from reference.records import Definition

BREAKS: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("instrument_id", (0, 65_536, 2**32 - 1)),
    ("board_lot", (0, -1, -(2**63))),
    ("odd_lot_rule", (0, 3, 255)),
    ("settlement", (0, 3, 255)),
    ("trading_state", (0, 4, 255)),
    (
        "bands",
        (
            [(first, 1) for first in range(17)],
            [(1, 1)],
            [(0, 0)],
            [(0, 1), (0, 2)],
            [(0, 1), (9, 2), (8, 3)],
            [(0, -5)],
        ),
    ),
    ("price_limit_ppm", (-1, 10**6, 2**63 - 1)),
    ("reference_price_ticks", (0, -1, 2**40, 2**63 - 1)),
    ("max_price_ticks", (0, -1, 2**40, 2**63 - 1)),
    ("max_order_lots", (0, -1, 2**40, 2**63 - 1)),
    ("tick_value", (0, -1, 2**63 - 1)),
    ("market_band_ppm", (-1, 10**6 + 1)),
    ("maker_fee_ppm", (-1, 100_001)),
    ("taker_fee_ppm", (-1, 100_001)),
    ("stamp_duty_ppm", (-1, 100_001)),
    ("currency_id", (16, 2**32 - 1)),
)


def sound_definition(random: Random, instrument_id: int, wide: bool) -> Definition:
    """Rules that the venue takes; `wide` spreads prices over a large domain."""
    reference = random.choice((10**4, 10**6, 10**9, 2**37)) if wide else random.choice((60, 200, 1000, 5000))
    max_order_lots = random.choice((100, 1000))
    return Definition(
        instrument_id=instrument_id,
        currency_id=random.choice((0, 1, 15)),
        tick_value=1 if wide else random.choice((1, 7, 10_000, 1_000_000)),
        board_lot=random.choice((1, 1, 10)),
        odd_lot_rule=random.choice((1, 2)),
        bands=bands(random, reference),
        price_limit_ppm=random.choice((0, 0, 50_000, 100_000, 200_000)),
        reference_price_ticks=reference,
        max_price_ticks=min(reference * random.choice((2, 3, 10)), 2**40 - 1),
        max_order_lots=max_order_lots,
        market_band_ppm=random.choice((0, 10_000, 50_000, 10**6)),
        settlement=random.choice((1, 2)),
        maker_fee_ppm=random.choice((0, 0, 1, 333, 100_000)),
        taker_fee_ppm=random.choice((0, 0, 7, 1234, 100_000)),
        stamp_duty_ppm=random.choice((0, 0, 1000, 99_999)),
        trading_state=random.choice((1, 1, 1, 1, 2, 3)),
        request_id=random.randint(0, 10**6),
    )


def bands(random: Random, reference: int) -> list[tuple[int, int]]:
    """No bands, one, or several whose edges lie where prices are."""
    unit = max(1, reference // random.choice((20, 100)))
    return random.choice(
        (
            [],
            [(0, 1)],
            [(0, random.choice((2, 5)))],
            [(0, 1), (reference, 2), (reference + reference // 20, 5)],
            [(0, unit), (reference - unit + 1, 3), (reference * 2, reference)],
            [(first, first % 3 + 1) for first in range(16)],
        )
    )


def broken_definition(random: Random, instrument_id: int, wide: bool) -> Definition:
    """Rules with one thing wrong."""
    name, values = random.choice(BREAKS)
    changes = {name: random.choice(values)}
    return replace(sound_definition(random, instrument_id, wide), **changes)  # type: ignore[arg-type]


def next_definition(random: Random, old: Definition) -> Definition:
    """The old rules with one thing changed; may be refused while orders rest."""
    changes: tuple[dict[str, object], ...] = (
        {},
        {"maker_fee_ppm": old.maker_fee_ppm // 2},
        {"taker_fee_ppm": old.taker_fee_ppm // 3},
        {"maker_fee_ppm": min(100_000, old.maker_fee_ppm + 1)},
        {"taker_fee_ppm": min(100_000, old.taker_fee_ppm + 500)},
        {"stamp_duty_ppm": min(100_000, old.stamp_duty_ppm + 1)},
        {"stamp_duty_ppm": old.stamp_duty_ppm // 2},
        {"max_price_ticks": old.max_price_ticks - 1},
        {"max_price_ticks": min(2**40 - 1, old.max_price_ticks + 10)},
        {"max_order_lots": old.max_order_lots + 1},
        {"max_order_lots": max(1, old.max_order_lots - 1)},
        {"currency_id": (old.currency_id + 1) % 16},
        {"tick_value": old.tick_value + 1},
        {"settlement": 3 - old.settlement},
        {"price_limit_ppm": random.choice((0, 30_000, 100_000, 300_000))},
        {"board_lot": random.choice((1, 1, 10))},
        {"odd_lot_rule": random.choice((1, 2))},
        {"bands": bands(random, old.reference_price_ticks)},
        {"market_band_ppm": random.choice((0, 10_000, 10**6))},
        {"trading_state": random.choice((0, 1, 2, 3))},
    )
    return replace(old, **random.choice(changes))  # type: ignore[arg-type]
