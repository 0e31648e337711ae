"""Alibaba Cloud SMS: `SendSms` of 2017-05-25, signed with ACS3-HMAC-SHA256.

https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr

from notifications.channels.delivery import Clock
from notifications.channels.http import Answer, HttpCaller, failure, safe_code
from notifications.channels.http1 import Http1Caller
from notifications.channels.sms_receipts import Callback, SmsReceipt, check_key, read_list
from notifications.channels.table import HTTP_URL, ProviderTable, read_table
from notifications.domain.sending import AddressGone, Failed, Message, Outcome, Refused, Sent

ALGORITHM = "ACS3-HMAC-SHA256"
VERSION = "2017-05-25"

_GONE = frozenset({"isv.MOBILE_NUMBER_ILLEGAL"})
_LATER = frozenset(
    {
        "isp.RAM_PERMISSION_DENY",
        "isp.SYSTEM_ERROR",
        "isp.GATEWAY_ERROR",
        "isv.ACCOUNT_ABNORMAL",
        "isv.ACCOUNT_NOT_EXISTS",
        "isv.AMOUNT_NOT_ENOUGH",
        "isv.BUSINESS_LIMIT_CONTROL",
        "isv.DAY_LIMIT_CONTROL",
        "isv.DENY_IP_RANGE",
        "isv.MONTH_LIMIT_CONTROL",
        "isv.OUT_OF_SERVICE",
        "isv.PRODUCT_UN_SUBSCRIPT",
    }
)
"""Limits, and what the operator can mend. The other `isv.` codes speak of the message: never."""


_GONE_RECEIPTS = frozenset({"INVALID_NUMBER", "USER_REJECT"})
"""No such number; its owner wants no more."""


class AliyunTable(ProviderTable):
    """`[sms]` with `gateway = "aliyun"`."""

    access_key_id: str = Field(min_length=1, description="id of the access key")
    access_key_secret: SecretStr = Field(description="its secret; or access_key_secret_file")
    sign_name: str = Field(min_length=1, description="approved signature, shown before the text")
    template: str = Field(
        default="",
        description="template of a message that brings none; it is given the fields `title` and `body`",
    )
    receipt_secret: SecretStr | None = Field(
        default=None, description="`key` in the query of the receipts' URL, which nothing else protects"
    )
    base_url: str = Field(
        default="https://dysmsapi.aliyuncs.com", pattern=HTTP_URL, description="where the API is"
    )


class AliyunGateway:
    """Sends by approved templates. It drops no repeats: a retry after a lost answer may send twice."""

    idempotent = False
    by_template = True

    def __init__(
        self,
        table: AliyunTable,
        http: HttpCaller,
        clock: Clock,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._table = table
        self._http = http
        self._clock = clock
        self._nonce = nonce

    async def submit(self, phone: str, message: Message) -> Outcome:
        """Call `SendSms`. Its `OutId` is the delivery's id, which comes back in the receipt."""
        parameters = self._parameters(phone, message)
        if not parameters["TemplateCode"]:
            return Refused("NO_TEMPLATE")
        base = urlsplit(self._table.base_url)
        query = canonical_query(parameters)
        # The API is at the root; a path before it is that of a gateway, which takes it off.
        headers = sign(
            host=base.netloc,
            query=query,
            action="SendSms",
            version=VERSION,
            key_id=self._table.access_key_id,
            secret=self._table.access_key_secret.get_secret_value(),
            now=self._clock(),
            nonce=self._nonce(),
        )
        url = f"{self._table.base_url.rstrip('/')}/?{query}"
        answer = await self._http.post(url, headers=headers)
        return outcome(answer) if isinstance(answer, Answer) else answer

    def receipts(self, callback: Callback) -> list[SmsReceipt]:
        """Return the receipts of an `SmsReport` push; raises `Unauthenticated`, `InvalidInput`."""
        check_key(callback, self._table.receipt_secret)
        return [_receipt(item) for item in read_list(callback)]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _parameters(self, phone: str, message: Message) -> dict[str, str]:
        fields = message.fields if message.template else {"title": message.title, "body": message.body}
        return {
            "PhoneNumbers": phone.removeprefix("+"),
            "SignName": self._table.sign_name,
            "TemplateCode": message.template or self._table.template,
            "TemplateParam": json.dumps(dict(fields), ensure_ascii=False),
            "OutId": message.delivery_id,
        }


def build_gateway(table: Mapping[str, object], clock: Clock) -> AliyunGateway:
    """Return the gateway of a table; raises `SettingsInvalid`."""
    settings = read_table(AliyunTable, "sms", table)
    return AliyunGateway(settings, Http1Caller(clock=clock, time_limit=settings.time_limit), clock)


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return the parameters sorted and percent-encoded as RFC 3986 says."""
    return "&".join(f"{_encoded(name)}={_encoded(parameters[name])}" for name in sorted(parameters))


def sign(
    *,
    host: str,
    query: str,
    action: str,
    version: str,
    key_id: str,
    secret: str,
    now: datetime,
    nonce: str,
) -> dict[str, str]:
    """Return the headers of a `POST /` without a body, with the signature over all of them."""
    body_hash = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": body_hash,
        "x-acs-date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"POST\n/\n{query}\n{lines}\n{names}\n{body_hash}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    told = f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"
    return {**headers, "authorization": told}


def outcome(answer: Answer) -> Outcome:
    """Return what an answer means: `Code` decides, whatever the status."""
    told = answer.json()
    code = safe_code(told.get("Code"))
    if code == "OK":
        return Sent(str(told.get("BizId", "")))
    if code in _GONE:
        return AddressGone(code)
    if code in _LATER:
        return Failed(code, answer.retry_after())
    if code.startswith("Throttling"):
        return Failed(f"RATE_LIMITED {code}", answer.retry_after())
    if code.startswith("isv."):
        return Refused(code)
    if answer.status == 429 or answer.status >= 500:
        return failure(answer, code)
    # What is left is about our key and signature, or no answer of the API at all.
    return Failed(f"NOT_ALLOWED {answer.status} {code}".rstrip())


def _receipt(item: Mapping[str, object]) -> SmsReceipt:
    reason = safe_code(item.get("err_code"))
    return SmsReceipt(
        delivery_id=str(item.get("out_id", "")),
        provider_id=str(item.get("biz_id", "")),
        delivered=item.get("success") is True,
        reason=reason,
        gone=reason in _GONE_RECEIPTS,
    )


def _encoded(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="~")
