"""What the contracts let callers ask for, the services read: a field that nobody reads is a promise not kept."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("matching", "positions", "notifications")


def request_fields(service: str) -> list[tuple[str, str]]:
    """(message, field) of every request of a service."""
    package = importlib.import_module(f"smartex.{service}.v1")
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
        if found.name.endswith("_pb2")
    ]
    return [
        (name, field.name)
        for module in modules
        for name, message in module.DESCRIPTOR.message_types_by_name.items()
        if name.endswith("Request")
        for field in message.fields
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_every_field_of_a_request_is_read(service: str) -> None:
    files = (ROOT / "services" / service / "src").rglob("*.py")
    words = set(re.findall(r"\w+", "\n".join(file.read_text("utf-8") for file in files)))
    fields = request_fields(service)
    assert len(fields) > 20
    assert [f"{message}.{field}" for message, field in fields if field not in words] == []
