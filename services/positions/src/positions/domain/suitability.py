"""Which products suit whom, in the manner of the Chinese rules.

《证券期货投资者适当性管理办法》 (CSRC order no. 130, 2016, revised 2020) sorts ordinary investors into at
least five classes, C1 the most careful, and products into R1 to R5; the association's guide
(《证券经营机构投资者适当性管理实施指引》, 2017) matches them one to one: C1 takes R1 only, C5 takes all. Nothing
may be recommended above an investor's class.
"""

from __future__ import annotations

LOWEST, HIGHEST = 1, 5


def highest_suitable_risk(stated_level: int) -> int:
    """The highest product risk R that suits class C; 0 for an investor who has not answered."""
    if not 0 <= stated_level <= HIGHEST:
        raise ValueError(f"a class is 0 (not answered) to {HIGHEST}, not {stated_level}")
    return stated_level


def may_recommend(stated_level: int, risk_level: int) -> bool:
    """Whether buying it may be suggested. Never without an answer, and never what has no rating."""
    return LOWEST <= risk_level <= highest_suitable_risk(stated_level)


def unsuitable(stated_level: int, risk_level: int) -> bool:
    """Whether a holding does not suit. Without an answer or a rating nothing can be said."""
    return stated_level > 0 and risk_level > highest_suitable_risk(stated_level)
