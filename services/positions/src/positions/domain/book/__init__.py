"""The live book of all accounts: events of the market folded into arrays, compiled.

`Book` is the face. `tables` says what is kept, `fold` what each event does, `trading` how lots come and go, `orders`
what open orders bind; `valuing` and `views` read.
"""

from positions.domain.book import words
from positions.domain.book.book import Book, warm_up
from positions.domain.book.listing import Listing, Rules

__all__ = ["Book", "Listing", "Rules", "warm_up", "words"]
