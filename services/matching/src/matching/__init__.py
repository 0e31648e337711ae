"""Matching: instruments, books, accounts, the command log, market data."""

import smartex_wire.numba_setup  # noqa: F401  # before the domain loads Numba
