"""Synthetic participants that trade through the public API."""
