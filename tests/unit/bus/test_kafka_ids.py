"""Cluster ids that Kafka's command line takes."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode

import pytest
from smartex_bus import kafka_server


def test_an_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter((uuid.UUID(int=0xFB << 120), uuid.UUID(int=1 << 120)))
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn))
    assert kafka_server.new_cluster_id() == "AQAAAAAAAAAAAAAAAAAAAA"  # "-w…" was drawn first


def test_an_id_is_sixteen_bytes() -> None:
    assert len(urlsafe_b64decode(kafka_server.new_cluster_id() + "==")) == 16
