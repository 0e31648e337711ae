"""Receipts as gateways push them: Alibaba Cloud's `SmsReport`, and the plain door's signed list."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime

import httpx


@dataclass(frozen=True)
class Receipt:
    """What became of a message: delivered, or failed with a code."""

    phone: str
    provider_id: str
    delivery_id: str
    failure: str


def aliyun_push(url: str, key: str, receipt: Receipt, now: datetime) -> httpx.Request:
    """An `SmsReport`. Nothing signs it: the key in its URL is all there is."""
    told = {
        "phone_number": receipt.phone.removeprefix("+"),
        "send_time": f"{now:%Y-%m-%d %H:%M:%S}",
        "report_time": f"{now:%Y-%m-%d %H:%M:%S}",
        "success": not receipt.failure,
        "err_code": receipt.failure or "DELIVERED",
        "err_msg": receipt.failure or "用户接收成功",
        "sms_size": "1",
        "biz_id": receipt.provider_id,
        "out_id": receipt.delivery_id,
    }
    return httpx.Request("POST", url, params={"key": key}, json=[told])


def signed_push(url: str, key: str, receipt: Receipt, now: datetime) -> httpx.Request:
    """A list of one receipt, signed as Standard Webhooks says."""
    told = {
        "id": receipt.provider_id,
        "delivery_id": receipt.delivery_id,
        "status": "failed" if receipt.failure else "delivered",
        "code": receipt.failure,
    }
    body = json.dumps([told]).encode()
    message_id, timestamp = f"receipt_{receipt.provider_id}", str(int(now.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
    return httpx.Request("POST", url, headers=headers, content=body)
