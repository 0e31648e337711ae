"""A frame of this pod on its way to the log, one whose effects are still to be told, and what is counted of them."""

from __future__ import annotations

from dataclasses import dataclass

from smartex_chassis import counter, histogram

from matching.frames import Frame
from matching.replica import Applied
from matching.spans import end, frame_span
from matching.submissions import Submission

_commands_total = counter("matching_commands_total", "Commands appended by this pod")
_frames_total = counter("matching_frames_total", "Frames applied, by who appended them", ("origin",))
_own_frames, _other_frames = _frames_total.labels("own"), _frames_total.labels("other")
_events_total = counter("matching_events_total", "Events of the applied frames")
_append_seconds = histogram(
    "matching_append_seconds", "From a frame's hand-over to the log until it is durable"
)
_apply_seconds = histogram(
    "matching_apply_seconds",
    "Time that the core takes for a frame",
    buckets=(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.25),
)


class Flight:
    """A frame of this pod on its way to the log."""

    __slots__ = ("append_seconds", "began", "frame", "record", "span", "submissions")

    def __init__(self, frame: Frame, submissions: list[Submission], began: float) -> None:
        self.frame = frame
        self.record = frame.encode()
        self.submissions = submissions
        self.began = began
        self.append_seconds = 0.0
        self.span = frame_span((each.link for each in submissions), len(frame.commands))


@dataclass(slots=True)  # never changed, but to make one that is frozen takes three times as long
class Untold:
    """A frame that is applied, of which the listeners do not know yet. `flight`: if it is one of this pod."""

    frame: Frame
    applied: Applied
    flight: Flight | None
    apply_seconds: float

    def count(self) -> None:
        """Count it, once the listeners know."""
        _apply_seconds.observe(self.apply_seconds)
        _events_total.inc(len(self.applied.events))
        if self.flight is None:
            _other_frames.inc()
            return
        _own_frames.inc()
        _commands_total.inc(len(self.frame.commands))
        _append_seconds.observe(self.flight.append_seconds)
        end(self.flight.span, self.applied.offset)
