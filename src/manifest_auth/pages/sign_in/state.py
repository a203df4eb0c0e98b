"""What a sign-in under way on pages knows: encrypted, bound to the browser, good for an hour, and kept by the browser.

It stands in a hidden field, or in the query after a form was posted. It opens nothing, and anonymous callers leave no
row behind.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manifest_auth.services import RequestContext
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.text import base64url

LIFE_MS = 60 * 60_000
_NONCE = 12
_MOST = 8000  # characters


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """``client``: identifier of the client that is meant, empty for none yet; ``email``: as typed; ``return_to``: as
    asked for, checked where it came in, and again where the sign-in ends; ``invitation_id``: of an open invitation, the
    token of which was shown; ``anew``: someone who is signed in wants another account; ``code``: a one-time code that
    waits to be handed over; ``due``: the password is older than the client's rules have it; ``factor_due_at``: from
    when on a second factor is required, 0 for none; ``provider_id``: of the provider whose return addresses count too;
    ``recovery_codes``: shown on the way; ``done``: what a one-time link did; ``made_at``: milliseconds since 1970, like
    ``factor_due_at``."""

    client: str = ""
    email: str = ""
    return_to: str = ""
    response: Literal["cookie", "code"] = "cookie"
    challenge: str = ""
    invitation_id: int | None = None
    anew: bool = False
    code: str = ""
    due: bool = False
    factor_due_at: int = 0
    provider_id: int | None = None
    recovery_codes: tuple[str, ...] = ()
    done: Literal["", "confirmed", "undone", "undone-resets"] = ""
    made_at: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(State).decode


def seal(ctx: RequestContext, form_cookie: str, state: State) -> str:
    """As text for an address or a field."""
    key, nonce = ctx.services.keys.signing(Purpose.PAGE_STATE), ctx.services.random.bytes(_NONCE)
    raw = _encode(msgspec.structs.replace(state, made_at=ctx.now))
    return base64url.encode(nonce + AESGCM(key.raw).encrypt(nonce, raw, form_cookie.encode()))


async def unseal(ctx: RequestContext, form_cookie: str, text: str) -> State | None:
    """None for one that was changed, is another browser's, or is older than an hour."""
    await ctx.services.keys.ensure_current()
    try:
        raw = base64url.decode(text) if len(text) <= _MOST else b""
    except ValueError:
        return None
    for key in ctx.services.keys.verifying(Purpose.PAGE_STATE):
        try:
            opened = AESGCM(key.raw).decrypt(raw[:_NONCE], raw[_NONCE:], form_cookie.encode())
        except (InvalidTag, ValueError):
            continue
        state = _decode(opened)
        return state if state.made_at <= ctx.now < state.made_at + LIFE_MS else None
    return None
