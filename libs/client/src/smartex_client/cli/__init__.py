"""The `smartex` command.

Exit codes: 0 done · 1 a bug · 2 wrong usage or input · 3 the market refused · 4 not found · 5 token missing or not
allowed · 6 exchange unreachable, busy or silent · 7 a comparison failed · 130 interrupted.
"""

from .app import main

__all__ = ["main"]
