"""The notifications service: a message that arrives."""
