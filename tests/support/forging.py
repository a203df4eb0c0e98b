"""Tokens as an attacker would make them, with nothing but the standard library.

Signed with our own keys where that is the worst case, so that only the check under test can refuse them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from manifest_auth.sessions.tokens import Purpose
from tests.support.house import App

HEADER = '{"alg":"HS256","typ":"JWT"}'


def b64(raw: bytes | str) -> str:
    data = raw.encode() if isinstance(raw, str) else raw
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64(token.split(".")[1]))
    return found


def hs256(key: bytes, header: str, payload: str | bytes) -> str:
    """A compact JWS over exactly these texts."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def minted(app: App, claims: dict[str, Any] | str, *, header: str = HEADER, purpose: Purpose = Purpose.ACCESS) -> str:
    """Signed with the real key of a purpose."""
    payload = claims if isinstance(claims, str) else json.dumps(claims)
    return hs256(app.services.keys.signing(purpose).raw, header, payload)
