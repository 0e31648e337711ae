"""Advice: given for alerts, habits and profiles, answered, followed up, settled."""
