"""Everything the bus can raise.

BusError
├── Retryable            the same call may work later; nothing was appended
│   ├── Overloaded       a bounded queue is full
│   └── BusUnavailable   the server cannot be reached
└── Final                the same call will fail again
    ├── UnknownTopic     no such topic or partition
    ├── RecordTooLarge   more bytes than one append may carry
    ├── OffsetTrimmed    retention removed what was asked for
    ├── LeaseLost        another member of the group holds the partition
    ├── AppendUnknown    the outcome of an append cannot be found out
    ├── AppenderPoisoned an earlier append of this appender failed for good
    ├── Misconfigured    the server refuses this client, or the settings cannot be: mend them
    ├── BusClosed        the bus or the appender was closed
    └── ServerFailed     a server started by this process did not come up
"""

from __future__ import annotations


class BusError(Exception):
    """Base of every error of the bus."""


class Retryable(BusError):  # noqa: N818
    """The same call may succeed later; nothing was appended by it."""


class Final(BusError):  # noqa: N818
    """The same call will fail again; the caller has to do something else."""


class Overloaded(Retryable):
    """A bounded queue is full: slow down and retry."""


class BusUnavailable(Retryable):
    """The server cannot be reached at the moment: retry with backoff."""


class UnknownTopic(Final):
    """No such topic or partition: call ``ensure_topics`` first."""


class RecordTooLarge(Final):
    """One append carries more bytes than the engine takes: split it."""


class OffsetTrimmed(Final):
    """Retention removed the offset that was asked for: restart from ``earliest`` or from a snapshot."""

    def __init__(self, topic: str, partition: int, offset: int, earliest: int) -> None:
        super().__init__(
            f"{topic}[{partition}] starts at offset {earliest}, {offset} was trimmed: "
            f"restart from {earliest} or from a snapshot"
        )
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.earliest = earliest


class LeaseLost(Final):
    """The partition belongs to another member now: drop the batch, the new owner repeats it."""


class AppendUnknown(Final):
    """Whether the records are in the log cannot be found out here: read the log to learn it."""


class AppenderPoisoned(Final):
    """An earlier append failed for good; to go on could leave a gap: leave the process."""


class Misconfigured(Final, ValueError):  # noqa: N818
    """What the settings say of the bus cannot be, or its server refuses it: no retry helps, mend the settings.

    The message holds no password.
    """


class BusClosed(Final):
    """The bus or the appender is closed; the records were not appended."""


class ServerFailed(Final):
    """A server started by this process did not come up; the message carries its last log lines."""
