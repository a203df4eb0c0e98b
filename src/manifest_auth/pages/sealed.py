"""Texts that a browser keeps for us, encrypted and bound to it: they stand in an address or in a hidden field."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manifest_auth.services import RequestContext
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.text import base64url

LIFE_MS = 60 * 60_000
_NONCE = 12
_MOST = 8000  # characters


def seal(ctx: RequestContext, holder: str, raw: bytes) -> str:
    """As text for an address or a field. ``holder``: whose it is and what for, such as the browser's form cookie."""
    key, nonce = ctx.services.keys.signing(Purpose.PAGE_STATE), ctx.services.random.bytes(_NONCE)
    return base64url.encode(nonce + AESGCM(key.raw).encrypt(nonce, raw, holder.encode()))


async def unseal(ctx: RequestContext, holder: str, text: str) -> bytes | None:
    """None for one that was changed, or is another holder's."""
    await ctx.services.keys.ensure_current()
    try:
        raw = base64url.decode(text) if len(text) <= _MOST else b""
    except ValueError:
        return None
    for key in ctx.services.keys.verifying(Purpose.PAGE_STATE):
        try:
            return AESGCM(key.raw).decrypt(raw[:_NONCE], raw[_NONCE:], holder.encode())
        except (InvalidTag, ValueError):
            continue
    return None


def is_fresh(made_at: int, now: int) -> bool:
    """Whether a text of that time still counts. Milliseconds since 1970."""
    return made_at <= now < made_at + LIFE_MS
