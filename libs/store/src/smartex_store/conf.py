"""The settings of the embedded server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SOCKET_PORT = 5432  # without TCP it is only part of the socket's name

#: What a small machine needs: durable, no stalls by checkpoints, few processes. Segments of the write-ahead log are
#: used again rather than removed and made anew, whose memory costs more than writing them.
DEFAULTS: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "150",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "wal_buffers": "16MB",
    "wal_compression": "off",
    "min_wal_size": "1GB",
    "max_wal_size": "1GB",
    "max_wal_senders": "0",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "commit_delay": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    "log_line_prefix": "%m [%p] %q%a ",
    "log_checkpoints": "off",
}
_SINCE_18: Mapping[str, str] = {"io_method": "sync"}  # no extra worker processes


def render(major: int, settings: Mapping[str, str], socket_dir: Path, port: int | None) -> str:
    """The text of postgresql.conf; `settings` override the defaults but not how the server is reached."""
    access = {
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0700",
        "listen_addresses": "127.0.0.1" if port is not None else "",
        "port": str(port or SOCKET_PORT),
    }
    merged = {**DEFAULTS, **(_SINCE_18 if major >= 18 else {}), **settings, **access}
    return "# written at every start\n" + "".join(
        f"{name} = {_quote(value)}\n" for name, value in merged.items()
    )


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", " ") + "'"
