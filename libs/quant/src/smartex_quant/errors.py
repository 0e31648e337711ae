"""Errors of bad numbers. Each is a ValueError, so that a caller may catch them as one."""


class QuantError(ValueError):
    """Base of the errors of this library."""


class InvalidInputError(QuantError):
    """An argument has the wrong shape or a value that the formula does not take.

    `field` is the argument's name, `problem` says what is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class HistoryTooShortError(QuantError):
    """There are fewer observations than the figure needs."""

    def __init__(self, needed: int, given: int) -> None:
        super().__init__(f"needs {needed} observations, got {given}")
        self.needed = needed
        self.given = given
