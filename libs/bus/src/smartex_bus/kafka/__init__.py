"""The Kafka engine of the bus."""

from smartex_bus.kafka.engine import KafkaBus

__all__ = ["KafkaBus"]
