"""Matching: instruments, books, accounts, the command log, market data."""
