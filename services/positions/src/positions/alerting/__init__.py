"""Alerts as the book changes: figures judged, alerts written with their notices and steps, in one transaction."""
