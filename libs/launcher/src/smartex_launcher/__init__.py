"""Starts the whole exchange on one machine: database, bus, every service, demo market."""

import os

# gRPC looks at this when it is loaded. We start programs (fork and exec at once) beside a running server, and its
# fork handlers, meant for forks that go on, only print warnings then.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
