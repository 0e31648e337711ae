"""Where messages lead: into the app, and to the page that ends e-mails, which needs no log-in."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from urllib.parse import quote

from smartex.notifications.v1.notice_pb2 import CardKind

from notifications.domain.notice import Card
from notifications.vault import Vault

PATH = "/callbacks/unsubscribe"


def app_link(app_url: str, card: Card, notice_id: str) -> str:
    """Return what a tap opens: the card's thing, e.g. `…/advice/17`, or the inbox; empty without an app."""
    if not app_url:
        return ""
    kind = CardKind.Name(CardKind.ValueType(card.kind)).removeprefix("CARD_KIND_").lower()
    path = f"{kind}/{quote(card.id, safe='')}" if card.kind else f"inbox/{quote(notice_id, safe='')}"
    return f"{app_url.rstrip('/')}/{path}"


def unsubscribe_url(public_url: str, vault: Vault, address_id: str) -> str:
    """Return the link that removes an address with one click; empty if this service has no public URL."""
    if not public_url:
        return ""
    return f"{public_url.rstrip('/')}{PATH}/{address_id}/{_proof(vault, address_id)}"


def link_fits(vault: Vault, address_id: str, proof: str) -> bool:
    """Return whether we made a link."""
    return hmac.compare_digest(_proof(vault, address_id).encode(), proof.encode("utf-8", "replace"))


def _proof(vault: Vault, address_id: str) -> str:
    digest = hmac.digest(vault.links, f"unsubscribe/{address_id}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest[:18]).decode()
