"""The demo market's instruments: invented companies under the rules of two real styles of market."""

from __future__ import annotations

from decimal import Decimal

from smartex.matching.v1 import types_pb2 as pb

_MAIN_BOARD = 100_000
_GROWTH_BOARD = 200_000
_SPECIAL_TREATMENT = 50_000
_NO_LIMIT = 0


def a_share(
    number: int,
    symbol: str,
    names: tuple[str, str],
    price: str,
    limit_ppm: int,
    industry: str,
    risk_level: int,
) -> pb.Instrument:
    """A share under mainland China's rules: CNY, cents, hundreds, daily price limits, T+1, stamp duty."""
    return pb.Instrument(
        instrument_id=number,
        symbol=symbol,
        name=names[0],
        name_zh=names[1],
        currency_code="CNY",
        tick_size="0.01",
        lot_size="1",
        board_lot=100,
        odd_lot_rule=pb.ODD_LOT_RULE_SELL_REST,
        price_limit_ppm=limit_ppm,
        reference_price_ticks=int(Decimal(price) * 100),
        max_price_ticks=1_000_000,
        max_order_lots=1_000_000,
        market_band_ppm=20_000,
        settlement=pb.SETTLEMENT_T1,
        maker_fee_ppm=100,
        taker_fee_ppm=250,
        stamp_duty_ppm=500,
        trading_state=pb.TRADING_STATE_OPEN,
        industry=industry,
        risk_level=risk_level,
    )


def us_style(
    number: int,
    symbol: str,
    names: tuple[str, str],
    price: str,
    sizes: tuple[str, str],
    bands: tuple[tuple[int, int], ...],
    industry: str,
    risk_level: int,
) -> pb.Instrument:
    """Something in USD that settles at once, has no price limits, decimal lots and ticks that grow with the price."""
    tick, lot = sizes
    return pb.Instrument(
        instrument_id=number,
        symbol=symbol,
        name=names[0],
        name_zh=names[1],
        currency_code="USD",
        tick_size=tick,
        lot_size=lot,
        board_lot=1,
        odd_lot_rule=pb.ODD_LOT_RULE_NONE,
        tick_bands=[pb.TickBand(from_price_ticks=start, step_ticks=step) for start, step in bands],
        price_limit_ppm=_NO_LIMIT,
        reference_price_ticks=int(Decimal(price) / Decimal(tick)),
        max_price_ticks=10_000_000,
        max_order_lots=10_000_000,
        market_band_ppm=50_000,
        settlement=pb.SETTLEMENT_T0,
        maker_fee_ppm=50,
        taker_fee_ppm=150,
        trading_state=pb.TRADING_STATE_OPEN,
        industry=industry,
        risk_level=risk_level,
    )


def demo_instruments() -> tuple[pb.Instrument, ...]:
    """All of them, ascending by number. No such companies exist."""
    return (
        a_share(1, "609018.SH", ("Xinglan Bank", "星澜银行"), "12.80", _MAIN_BOARD, "Banks", 2),
        a_share(2, "609066.SH", ("Qinghe Liquor", "清河酒业"), "168.00", _MAIN_BOARD, "Beverages", 3),
        a_share(3, "609155.SH", ("ST Haiwan Steel", "ST海湾钢铁"), "3.46", _SPECIAL_TREATMENT, "Steel", 5),
        a_share(
            4,
            "687018.SH",
            ("Mingche Semiconductor", "明澈半导体"),
            "86.50",
            _GROWTH_BOARD,
            "Semiconductors",
            4,
        ),
        a_share(5, "309011.SZ", ("Fengling Robotics", "风翎机器人"), "42.30", _GROWTH_BOARD, "Machinery", 4),
        us_style(
            6,
            "NIMBA",
            ("Nimba Aerospace", "宁霸航天"),
            "254.20",
            ("0.01", "0.001"),
            ((0, 1), (50_000, 5)),
            "Aerospace",
            3,
        ),
        us_style(
            7,
            "ORKID",
            ("Orkid Therapeutics", "兰芷医药"),
            "18.40",
            ("0.0001", "0.01"),
            ((0, 1), (10_000, 100)),
            "Pharmaceuticals",
            4,
        ),
        us_style(
            8,
            "AURX-USD",
            ("Aurex Gold Token", "曜金"),
            "2650.00",
            ("0.01", "0.0001"),
            ((0, 1), (100_000, 10)),
            "Precious metals",
            3,
        ),
    )
