"""A text message gateway with two front doors: Alibaba Cloud's `SendSms` at `/`, plain JSON at `/messages`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .control import read_json, text_of
from .keys import utc_now
from .people import PEOPLE, People, addresses_of
from .sms_aliyun import SIGN_NAME, TEMPLATES, AliyunDoor
from .sms_receipts import Receipt, aliyun_push, signed_push
from .standin import Look, PhoneMessage, Place, Settings, Standin

RECEIPT_SECONDS: Final = 0.2
"""From a message to its receipt."""
MAX_KEYS: Final = 100_000
"""Idempotency keys that the plain door remembers."""
MAX_RECEIPTS: Final = 1000
"""Receipts on their way; more are lost, as on a bad day of a carrier."""


class SmsStandin(Standin):
    """Takes text messages and sends receipts. `token_expired` has no meaning here: both doors take keys."""

    name = "sms"
    title = "SMS"

    def __init__(
        self, clock: Callable[[], datetime] = utc_now, *, receipt_seconds: float = RECEIPT_SECONDS
    ) -> None:
        super().__init__()
        self._clock = clock
        self._receipt_seconds = receipt_seconds
        self._receipts: set[asyncio.Task[None]] = set()
        self._codes: dict[str, str] = {}
        self._outcomes: dict[str, str] = {}
        self._by_key: dict[str, str] = {}
        self._taken = 0

    async def start(self, place: Place, people: People) -> None:
        """Make the keys of both doors."""
        await super().start(place, people)
        self.aliyun = AliyunDoor(
            f"LTAI{place.secret('sms key id')[:20]}", place.secret("sms key"), self._clock
        )
        self.api_key = place.secret("sms api key")
        self.receipt_key = place.secret("sms receipts")[:32]
        self.receipt_secret = f"whsec_{base64.b64encode(self.receipt_key.encode()).decode()}"
        self._client = httpx.AsyncClient(timeout=5, trust_env=False)

    async def stop(self) -> None:
        """Give up the receipts that are on their way."""
        for task in self._receipts:
            task.cancel()
        await asyncio.gather(*self._receipts, return_exceptions=True)
        await self._client.aclose()

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[sms]`: Alibaba Cloud's door."""
        settings: Settings = {
            "gateway": "aliyun",
            "access_key_id": self.aliyun.key_id,
            "access_key_secret": self.aliyun.secret,
            "sign_name": SIGN_NAME,
            "template": next(iter(TEMPLATES)),
            "receipt_secret": self.receipt_key,
            "base_url": self.place.base_url,
        }
        return {"sms": settings}

    def http_settings(self) -> Settings:
        """The table `[sms]` of the plain door, for those who want that one."""
        return {
            "gateway": "http",
            "url": f"{self.place.base_url}/messages",
            "api_key": self.api_key,
            "sender": "10690000",
            "receipt_secret": self.receipt_secret,
        }

    def routes(self) -> Sequence[BaseRoute]:
        """Both doors."""
        return [
            Route("/", self._send_aliyun, methods=["POST"]),
            Route("/messages", self._send_plain, methods=["POST"]),
        ]

    def controls(self) -> Sequence[BaseRoute]:
        """`GET /addresses`; `POST /numbers` (phone, code: of every answer, receipt: code of a failed receipt)."""
        return [
            Route("/addresses", self._show, methods=["GET"]),
            Route("/numbers", self._tell, methods=["POST"]),
        ]

    async def _send_aliyun(self, request: Request) -> Response:
        refusal = self.aliyun.refusal(request, await request.body())
        if refusal is not None:
            return refusal
        if self.faults.take("rate_limited"):
            return self.aliyun.code("isv.BUSINESS_LIMIT_CONTROL")
        query = request.query_params
        code, text = self.aliyun.text_of(query)
        phone = "+" + query.get("PhoneNumbers", "")
        code = code or self._codes.get(phone, "")
        if code:
            return self.aliyun.code(code)
        provider_id = self._take(phone, f"【{SIGN_NAME}】{text}", sender="10690000")
        receipt = self._receipt(phone, provider_id, query.get("OutId", ""))
        self._call_back(aliyun_push(self.place.callback_url, self.receipt_key, receipt, self._clock()))
        return self.aliyun.code("OK", provider_id)

    async def _send_plain(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return _problem(401, "UNAUTHENTICATED")
        if self.faults.take("rate_limited"):
            return _problem(429, "RATE_LIMITED", {"Retry-After": "10"})
        try:
            body = json.loads(await request.body())
            phone, text = (
                str(body["to"]),
                str(body.get("text") or json.dumps(body["fields"], ensure_ascii=False)),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return _problem(400, "INVALID_ARGUMENT")
        if phone in self._codes:
            return _problem(422, self._codes[phone])
        repeat = self._by_key.get(request.headers.get("idempotency-key", ""))
        if repeat is not None:
            return JSONResponse({"id": repeat})
        provider_id = self._take(phone, text, sender=str(body.get("from", "")))
        self._by_key[request.headers.get("idempotency-key", provider_id)] = provider_id
        while len(self._by_key) > MAX_KEYS:
            del self._by_key[next(iter(self._by_key))]
        receipt = self._receipt(phone, provider_id, str(body.get("id", "")))
        self._call_back(signed_push(self.place.callback_url, self.receipt_key, receipt, self._clock()))
        return JSONResponse({"id": provider_id}, status_code=202)

    def _take(self, phone: str, text: str, *, sender: str) -> str:
        self._taken += 1
        self.show(PhoneMessage(address=phone, look=Look.SMS, sender=sender, title="", body=text))
        return f"{self._clock():%Y%m%d%H%M%S}{self._taken:06d}^0"

    def _receipt(self, phone: str, provider_id: str, delivery_id: str) -> Receipt:
        return Receipt(phone, provider_id, delivery_id, self._outcomes.get(phone, ""))

    def _call_back(self, push: httpx.Request) -> None:
        if self.faults.take("lose_receipts") or len(self._receipts) >= MAX_RECEIPTS:
            return
        task = asyncio.create_task(self._send_receipt(push), name="sms-receipt")
        self._receipts.add(task)
        task.add_done_callback(self._receipts.discard)

    async def _send_receipt(self, push: httpx.Request) -> None:
        await asyncio.sleep(self._receipt_seconds)
        try:
            await self._client.send(push)
        except httpx.HTTPError:
            # Nobody listens: the receipt is lost, as the carrier's would be after its retries.
            return

    async def _show(self, _: Request) -> Response:
        numbers = {person: addresses_of(person, n)[3] for n, person in enumerate(PEOPLE, start=1)}
        return JSONResponse({person: {"value": phone, "secrets": {}} for person, phone in numbers.items()})

    async def _tell(self, request: Request) -> Response:
        values = await read_json(request)
        phone = text_of(values, "phone")
        for kept, name in ((self._codes, "code"), (self._outcomes, "receipt")):
            code = text_of(values, name, default="")
            if code:
                kept[phone] = code
            else:
                kept.pop(phone, None)
        return JSONResponse({})


def _problem(status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    body: dict[str, Any] = {"error": {"code": code}}
    return JSONResponse(body, status_code=status, headers=headers)
