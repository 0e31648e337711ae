"""For every test."""

import os

# As in `smartex_launcher`: gRPC's fork handlers are for forks that go on, and can crash one that only starts a program.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from hypothesis import settings

# No test fails for being slow: the first example may compile a kernel, and machines are shared.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
