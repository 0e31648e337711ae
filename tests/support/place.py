"""A pod in the process of its test."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from matching.wiring import Pod
from smartex_chassis import LocalIssuer


@dataclass
class Place:
    """The pod, a channel to it, and who issues its tokens."""

    pod: Pod
    channel: grpc.aio.Channel
    issuer: LocalIssuer

    def metadata(self, *scopes: str, account_id: int | None = None) -> tuple[tuple[str, str], ...]:
        """Metadata with a token."""
        token = self.issuer.issue(subject="e2e", account_id=account_id, scopes=scopes)
        return (("authorization", f"Bearer {token}"),)

    def state_hash(self) -> str:
        """Hash of the core's state now."""
        return self.pod.replica.core.state_hash()
