"""Starts the whole exchange on one machine."""
