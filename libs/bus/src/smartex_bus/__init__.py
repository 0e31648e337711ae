"""The log: append, read, consume; PostgreSQL and Kafka engines."""
