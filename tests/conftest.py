"""For every test."""

import os

# As in `smartex_launcher`: gRPC's fork handlers are for forks that go on, and can crash one that only starts a program.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
