"""The kinds of markets that random flows are written for."""

from dataclasses import dataclass

from reference.records import Settings

MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Profile:
    """What kind of market a flow is."""

    name: str
    settings: Settings
    accounts: int
    instruments: int
    frame_sizes: tuple[int, ...]
    wide_prices: bool = False
    broken_share: float = 0.04
    spread: float = 3  # of prices around the touch, in steps
    calm: float = 1  # how much rarer than usual the venue's own commands are
    depth: float = 1  # how much richer the accounts and how much rarer the cancels
    patience: float = 0  # share of orders that are priced away from the other side
    id_step: int = 1  # between ids that clients make up


PROFILES = (
    Profile(
        "small venue, small window",
        Settings(64, 10, max_accounts=6, max_instruments=5, max_sessions=3, skew_ns=2 * MILLISECOND),
        accounts=4,
        instruments=2,
        frame_sizes=(1, 1, 2, 3, 8, 20),
    ),
    Profile(
        "common",
        Settings(1024, 512, max_accounts=16, max_instruments=8, max_sessions=6, skew_ns=50 * MILLISECOND),
        accounts=8,
        instruments=4,
        frame_sizes=(1, 2, 5, 10, 50, 200),
    ),
    Profile(
        "one busy book",
        Settings(4096, 4096, max_accounts=64, max_instruments=4, max_sessions=8, skew_ns=10 * MILLISECOND),
        accounts=20,
        instruments=1,
        frame_sizes=(30, 100, 256),
        broken_share=0.01,
        spread=12,
        calm=10,
        depth=30,
        patience=0.6,
    ),
    Profile(
        "wide prices",
        Settings(2048, 1024, max_accounts=32, max_instruments=8, max_sessions=6, skew_ns=0),
        accounts=12,
        instruments=4,
        frame_sizes=(1, 10, 60),
        wide_prices=True,
        id_step=2**33,
    ),
    Profile(
        "thousands of levels",
        Settings(8192, 16384, max_accounts=64, max_instruments=4, max_sessions=8, skew_ns=10 * MILLISECOND),
        accounts=20,
        instruments=1,
        frame_sizes=(100, 256),
        wide_prices=True,
        broken_share=0.01,
        spread=1500,
        calm=40,
        depth=300,
        patience=0.8,
    ),
    Profile(
        "many accounts",
        Settings(4096, 2048, max_accounts=230, max_instruments=20, max_sessions=300, skew_ns=MILLISECOND),
        accounts=200,
        instruments=8,
        frame_sizes=(10, 100),
        calm=5,
        depth=5,
        patience=0.3,
        id_step=2**20 + 1,
    ),
    Profile(
        "window of one",
        Settings(
            1, 8, max_accounts=4, max_instruments=2, max_holdings=10, max_sessions=2, skew_ns=MILLISECOND
        ),
        accounts=3,
        instruments=1,
        frame_sizes=(1, 1, 1, 2),
    ),
)
