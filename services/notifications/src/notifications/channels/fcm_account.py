"""A Google service account, and the access token it gets by a signed assertion (RFC 7523)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.channels.http import Answer, HttpCaller, failure, safe_code
from notifications.channels.http_token import Token
from notifications.channels.table import HTTP_URL, invalid
from notifications.domain.sending import Failed, Refused

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFE = timedelta(hours=1)


@dataclass(frozen=True)
class ServiceAccount:
    """Who we are to Google."""

    email: str
    project_id: str
    token_uri: str
    key_id: str
    key: RSAPrivateKey = field(repr=False)


def parse_account(text: str) -> ServiceAccount:
    """Read the JSON that the console of Google gives; raises `SettingsInvalid`."""
    try:
        values = json.loads(text)
        key = load_pem_private_key(values["private_key"].encode(), None)
        email, project, token_uri = (
            str(values[name]) for name in ("client_email", "project_id", "token_uri")
        )
    except KeyError as error:
        raise invalid("fcm", "credentials", f"{error} is missing") from None
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        # The text of the error could hold a piece of the key.
        raise invalid("fcm", "credentials", "is not the JSON of a service account") from None
    if not re.match(HTTP_URL, token_uri):
        raise invalid("fcm", "credentials", "token_uri is no URL")
    if not isinstance(key, RSAPrivateKey):
        raise invalid("fcm", "credentials", "private_key is not an RSA key")
    return ServiceAccount(email, project, token_uri, str(values.get("private_key_id", "")), key)


def sign_assertion(account: ServiceAccount, now: datetime) -> str:
    """Return the JWT that asks for an access token to send messages."""
    claims = {
        "iss": account.email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": int(now.timestamp()),
        "exp": int((now + ASSERTION_LIFE).timestamp()),
    }
    return jwt.encode(claims, account.key, algorithm="RS256", headers={"kid": account.key_id})


async def fetch_token(http: HttpCaller, account: ServiceAccount, now: datetime) -> Token | Failed | Refused:
    """Exchange an assertion for an access token."""
    form = urlencode({"grant_type": GRANT_TYPE, "assertion": sign_assertion(account, now)})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await http.post(account.token_uri, headers=headers, content=form.encode())
    if not isinstance(answer, Answer):
        return answer
    told = answer.json()
    token, life = told.get("access_token"), told.get("expires_in")
    if answer.ok and isinstance(token, str) and isinstance(life, int) and life > 0:
        return Token(token, timedelta(seconds=life))
    if answer.ok:
        return Failed("TOKEN_UNREADABLE")
    return failure(answer, safe_code(told.get("error")))
