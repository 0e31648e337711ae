"""What gRPC reads from the environment while it is loaded; imported before it."""

import os

# Its core would tell the terminal of every shutdown of the exchange ("Got goaway"); the SDK reconnects and raises what
# matters. A program that has chosen a verbosity, or has loaded gRPC before, keeps its own.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
