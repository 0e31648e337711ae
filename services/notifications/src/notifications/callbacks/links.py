"""Links in e-mails that need no log-in: they name an address and prove that we made them."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

from notifications.vault import Vault

PATH = "/callbacks/unsubscribe"


def unsubscribe_url(public_url: str, vault: Vault, address_id: str) -> str:
    """Return the link that takes an address out with one click; empty if this service has no public URL."""
    if not public_url:
        return ""
    return f"{public_url.rstrip('/')}{PATH}/{address_id}/{_proof(vault, address_id)}"


def link_fits(vault: Vault, address_id: str, proof: str) -> bool:
    """Return whether we made a link."""
    return hmac.compare_digest(_proof(vault, address_id).encode(), proof.encode("utf-8", "replace"))


def _proof(vault: Vault, address_id: str) -> str:
    digest = hmac.digest(vault.links, f"unsubscribe/{address_id}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest[:18]).decode()
