"""A plain JSON gateway for text messages: most regional carriers' adapters, and companies' own, look like it.

`POST {url}` with `Authorization: Bearer …` and `Idempotency-Key: …` takes
`{"id", "to", "from", "text"}`, where `text` may come instead as `"template"` and `"fields"`. It answers 2xx
`{"id": "…"}`, or an error `{"error": {"code": "…"}}`, of which `INVALID_NUMBER` and `UNSUBSCRIBED` say that the
number is of no use.

Receipts are posted back as a list of `{"id", "delivery_id", "status": "delivered" | "failed", "code"}`, signed as
Standard Webhooks says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr

from notifications.channels.delivery import Clock
from notifications.channels.http import Answer, HttpCaller, failure, safe_code
from notifications.channels.http1 import Http1Caller
from notifications.channels.sms_receipts import Callback, SmsReceipt, check_signature, read_list
from notifications.channels.table import HTTP_URL, ProviderTable, read_table
from notifications.domain.sending import AddressGone, Message, Outcome, Sent

_GONE = frozenset({"INVALID_NUMBER", "UNSUBSCRIBED"})


class HttpSmsTable(ProviderTable):
    """`[sms]` with `gateway = "http"`."""

    url: str = Field(pattern=HTTP_URL, description="where messages are posted")
    api_key: SecretStr = Field(description="bearer token; or api_key_file")
    sender: str = Field(default="", max_length=16, description="number or name that the reader sees")
    receipt_secret: SecretStr | None = Field(
        default=None, description="whsec_… secret that receipts are signed with; or receipt_secret_file"
    )
    idempotent: bool = Field(
        default=True, description="whether the gateway heeds Idempotency-Key; if not, a retry may send twice"
    )


class HttpSmsGateway:
    """Hands texts over as JSON."""

    by_template = False

    def __init__(self, table: HttpSmsTable, http: HttpCaller) -> None:
        self._table = table
        self._http = http
        self.idempotent = table.idempotent

    async def submit(self, phone: str, message: Message) -> Outcome:
        """Post once."""
        body: dict[str, Any] = {"id": message.delivery_id, "to": phone, "from": self._table.sender}
        if message.template:
            body |= {"template": message.template, "fields": dict(message.fields)}
        else:
            body["text"] = message.body
        headers = {
            "authorization": f"Bearer {self._table.api_key.get_secret_value()}",
            "content-type": "application/json",
            "idempotency-key": message.delivery_id,
        }
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        answer = await self._http.post(self._table.url, headers=headers, content=content)
        return outcome(answer) if isinstance(answer, Answer) else answer

    def receipts(self, callback: Callback) -> list[SmsReceipt]:
        """Return the receipts of a callback; raises `Unauthenticated`, `InvalidInput`."""
        check_signature(callback, self._table.receipt_secret)
        return [_receipt(item) for item in read_list(callback)]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def _receipt(item: Mapping[str, object]) -> SmsReceipt:
    reason = safe_code(item.get("code"))
    return SmsReceipt(
        delivery_id=str(item.get("delivery_id", "")),
        provider_id=str(item.get("id", "")),
        delivered=item.get("status") == "delivered",
        reason=reason,
        gone=reason in _GONE,
    )


def build_gateway(table: Mapping[str, object], clock: Clock) -> HttpSmsGateway:
    """Return the gateway of a table; raises `SettingsInvalid`."""
    settings = read_table(HttpSmsTable, "sms", table)
    return HttpSmsGateway(settings, Http1Caller(clock=clock, time_limit=settings.time_limit))


def outcome(answer: Answer) -> Outcome:
    """Return what an answer of the gateway means."""
    if answer.ok:
        return Sent(str(answer.json().get("id", "")))
    error = answer.json().get("error")
    code = safe_code(error.get("code")) if isinstance(error, dict) else ""
    return AddressGone(code) if code in _GONE else failure(answer, code)
