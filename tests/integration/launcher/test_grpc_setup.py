"""Every program of ours tells gRPC to be quiet before it loads it: gRPC reads that once, while it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = """
import importlib.abc, os, sys

class Ask(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_VERBOSITY"))
            sys.stdout.flush()
            os._exit(0)

sys.meta_path.insert(0, Ask())
__import__(sys.argv[1])
print("never loaded gRPC")
"""

PROGRAMS = (
    "matching.__main__",
    "notifications.__main__",
    "positions.__main__",
    "smartex_agents.__main__",
    "smartex_client.cli",
    "smartex_launcher.__main__",
)


def verbosity(program: str, environment: dict[str, str]) -> str:
    run = subprocess.run(
        [sys.executable, "-c", ASK, program], env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


@pytest.mark.parametrize("program", PROGRAMS)
def test_grpc_says_errors_only(program: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    assert verbosity(program, environment) == "ERROR"


def test_what_was_chosen_stays() -> None:
    assert verbosity("matching.__main__", {**os.environ, "GRPC_VERBOSITY": "DEBUG"}) == "DEBUG"
