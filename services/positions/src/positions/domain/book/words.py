"""Numbers of the market's contract that the book knows (`smartex.matching.v1`); a test holds them against it."""

BUY, SELL = 1, 2
LIMIT = 1

ACCEPTED = 1
TRADE = 3
CANCELLED = 4
AMENDED = 5
REDUCED = 9
INSTRUMENT_DEFINED = 16
STATE_CHANGED = 17
REFERENCE_PRICE_SET = 18
DAY_ROLLED = 19
CASH_DEPOSITED = 20
CASH_WITHDRAWN = 21
SHARES_DEPOSITED = 22
SHARES_WITHDRAWN = 23
LAST_KIND = 23

KEPT_PRIORITY = 1
"""Flag of AMENDED: the order kept its place in the queue."""
