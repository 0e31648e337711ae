"""Matching: instruments, books, accounts, the command log, market data."""

import smartex_wire.lean_numba  # noqa: F401  # before the domain loads Numba
