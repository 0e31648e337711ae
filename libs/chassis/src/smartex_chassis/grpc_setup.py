"""What gRPC reads from the environment while it is loaded; imported before it."""

import os

# Its core writes lines of its own to standard error, below our logging: among them one of level INFO whenever a peer
# shuts down. Between lines of JSON they are noise that no reader of logs can parse; errors still come through.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
