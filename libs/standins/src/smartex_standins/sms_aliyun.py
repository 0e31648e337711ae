"""The front door of Alibaba Cloud SMS: its signature (ACS3-HMAC-SHA256), its templates, its codes."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SIGN_NAME: Final = "智能交易所"
TEMPLATES: Final = {"SMS_100000001": "${title}：${body}"}
"""Approved templates by their codes."""
MAX_SKEW: Final = timedelta(minutes=15)
MAX_PARAM: Final = 500
"""Characters of a template's parameter."""
MAX_NONCES: Final = 100_000

_AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})"
)
_REQUIRED: Final = {
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
}
_PHONE = re.compile(r"(\+|00)?[1-9]\d{6,14}")
_PARAMETER = re.compile(r"\$\{(\w+)\}")


class AliyunDoor:
    """Believes one access key, and each of its nonces once."""

    def __init__(self, key_id: str, secret: str, clock: Callable[[], datetime]) -> None:
        self.key_id = key_id
        self.secret = secret
        self._clock = clock
        self._nonces: OrderedDict[str, None] = OrderedDict()

    def refusal(self, request: Request, body: bytes) -> Response | None:
        """Return the answer to a request that is not believed; None if it is."""
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None or not set(found.group(2).split(";")) >= _REQUIRED:
            return _problem(400, "IncompleteSignature")
        key_id, names, signature = found.groups()
        if key_id != self.key_id:
            return _problem(404, "InvalidAccessKeyId.NotFound")
        signed = hmac.compare_digest(signature, self._signature(request, names.split(";")))
        if not signed or hashlib.sha256(body).hexdigest() != request.headers["x-acs-content-sha256"]:
            return _problem(400, "SignatureDoesNotMatch")
        if not self._is_now(request.headers["x-acs-date"]):
            return _problem(400, "InvalidTimeStamp.Expired")
        if request.headers["x-acs-action"] != "SendSms" or request.headers["x-acs-version"] != "2017-05-25":
            return _problem(404, "InvalidAction.NotFound")
        nonce = request.headers["x-acs-signature-nonce"]
        return None if self._is_new(nonce) else _problem(400, "SignatureNonceUsed")

    def text_of(self, query: Mapping[str, str]) -> tuple[str, str]:
        """Return the code against a message and its text; one of them is empty."""
        if not _PHONE.fullmatch(query.get("PhoneNumbers", "")):
            return "isv.MOBILE_NUMBER_ILLEGAL", ""
        if query.get("SignName") != SIGN_NAME:
            return "isv.SMS_SIGNATURE_ILLEGAL", ""
        template = TEMPLATES.get(query.get("TemplateCode", ""))
        if template is None:
            return "isv.SMS_TEMPLATE_ILLEGAL", ""
        try:
            values = json.loads(query.get("TemplateParam", "{}"))
            missing = [name for name in _PARAMETER.findall(template) if not isinstance(values[name], str)]
        except (ValueError, TypeError):
            return "isv.INVALID_JSON_PARAM", ""
        except KeyError:
            return "isv.TEMPLATE_MISSING_PARAMETERS", ""
        if missing:
            return "isv.INVALID_JSON_PARAM", ""
        if any(len(values[name]) > MAX_PARAM for name in _PARAMETER.findall(template)):
            return "isv.PARAM_LENGTH_LIMIT", ""
        return "", _PARAMETER.sub(lambda match: values[match.group(1)], template)

    def code(self, code: str, biz_id: str = "") -> Response:
        """Answer with a code of the business; its status is 200 whatever it says."""
        told = {"Code": code, "Message": code, "RequestId": hashlib.sha256(biz_id.encode()).hexdigest()[:32]}
        return JSONResponse(told | ({"BizId": biz_id} if biz_id else {}))

    def _signature(self, request: Request, names: list[str]) -> str:
        query = "&".join(
            f"{quote(name, safe='~')}={quote(value, safe='~')}"
            for name, value in sorted(request.query_params.multi_items())
        )
        lines = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names)
        body_hash = request.headers.get("x-acs-content-sha256", "")
        canonical = f"{request.method}\n/\n{query}\n{lines}\n{';'.join(names)}\n{body_hash}"
        to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        return hmac.new(self.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()

    def _is_now(self, date: str) -> bool:
        try:
            told = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            return False
        return abs(self._clock() - told) <= MAX_SKEW

    def _is_new(self, nonce: str) -> bool:
        if nonce in self._nonces:
            return False
        self._nonces[nonce] = None
        if len(self._nonces) > MAX_NONCES:
            self._nonces.popitem(last=False)
        return True


def _problem(status: int, code: str) -> Response:
    return JSONResponse({"Code": code, "Message": code}, status_code=status)
