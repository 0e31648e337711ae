"""PostgreSQL: pool, migrations, embedded server."""
