"""Between the model's records and the core's arrays."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import numpy as np
from matching.domain import COMMAND, EVENT, INSTRUMENT
from reference.records import Command, Definition, Event

Row = tuple[int, ...]

EVENT_NAMES: tuple[str, ...] = EVENT.names or ()
COMMAND_NAMES: tuple[str, ...] = COMMAND.names or ()
event_row = attrgetter(*EVENT_NAMES)
command_row = attrgetter(*COMMAND_NAMES)
PLAIN_RULES = [item.name for item in fields(Definition) if item.name != "bands"]


def command_array(commands: Sequence[Command]) -> np.ndarray[Any, Any]:
    return np.array([command_row(command) for command in commands], dtype=COMMAND)


def definition_array(definitions: Sequence[Definition]) -> np.ndarray[Any, Any]:
    rows = np.zeros(len(definitions), dtype=INSTRUMENT)
    for row, definition in zip(rows, definitions, strict=True):
        for name in PLAIN_RULES:
            row[name] = getattr(definition, name)
        row["band_count"] = len(definition.bands)
        for i, (first, step) in enumerate(definition.bands[:16]):
            row["band_from"][i], row["band_step"][i] = first, step
    return rows


def event_rows(events: Sequence[Event]) -> list[Row]:
    """The model's events as plain tuples, fields in the order of EVENT_NAMES."""
    return [event_row(event) for event in events]


def array_rows(events: np.ndarray[Any, Any]) -> list[Row]:
    """The core's events as plain tuples."""
    rows: list[Row] = events.tolist()
    return rows


def changed_fields(record: Command | Event | Definition) -> str:
    """A record in words: its kind and whatever is not zero."""
    shown = [
        f"{item.name}={getattr(record, item.name)!r}"
        for item in fields(record)
        if getattr(record, item.name) not in (0, [])
    ]
    return f"{type(record).__name__}({', '.join(shown)})"


def event_of(row: Row) -> Event:
    return Event(**dict(zip(EVENT_NAMES, row, strict=True)))
