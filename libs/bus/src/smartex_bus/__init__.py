"""The log: append, read, follow, consume; PostgreSQL and Kafka engines behind one face."""

from smartex_bus.api import TURNS_TO_SERVER, Appender, Bus, GroupConsumer, Told
from smartex_bus.errors import (
    AppenderPoisoned,
    AppendUnknown,
    BusClosed,
    BusError,
    BusUnavailable,
    Final,
    LeaseLost,
    Misconfigured,
    OffsetTrimmed,
    Overloaded,
    RecordTooLarge,
    Retryable,
    ServerFailed,
    UnknownTopic,
)
from smartex_bus.letters import origin, redrive_topic
from smartex_bus.opening import known_url, open_bus, service_settings, settings_of
from smartex_bus.records import DeadLetter, GroupBatch, Record, StoredRecord, Topic
from smartex_bus.settings import KafkaCompression, KafkaSecurity, KafkaSettings, PostgresSettings
from smartex_bus.tracing import batch_links, extract_trace, inject_trace

__all__ = [
    "TURNS_TO_SERVER",
    "AppendUnknown",
    "Appender",
    "AppenderPoisoned",
    "Bus",
    "BusClosed",
    "BusError",
    "BusUnavailable",
    "DeadLetter",
    "Final",
    "GroupBatch",
    "GroupConsumer",
    "KafkaCompression",
    "KafkaSecurity",
    "KafkaSettings",
    "LeaseLost",
    "Misconfigured",
    "OffsetTrimmed",
    "Overloaded",
    "PostgresSettings",
    "Record",
    "RecordTooLarge",
    "Retryable",
    "ServerFailed",
    "StoredRecord",
    "Told",
    "Topic",
    "UnknownTopic",
    "batch_links",
    "extract_trace",
    "inject_trace",
    "known_url",
    "open_bus",
    "origin",
    "redrive_topic",
    "service_settings",
    "settings_of",
]
