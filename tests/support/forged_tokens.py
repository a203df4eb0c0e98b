"""Tokens as an attacker would create them, using only the standard library.

They are signed with our own keys where that is the worst case, so that only the check under test can reject them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

from joserfc.jwk import ECKey

from manifest_auth.pages import security
from manifest_auth.sessions import look_up_with_chain
from manifest_auth.sessions.tokens import OF_APPS, Algorithm, Purpose, signatures
from manifest_auth.sessions.tokens import issue as refresh_tokens
from manifest_auth.sessions.tokens.access import header_of, mint
from tests.support.application import App
from tests.support.visitor import Visitor

__all__ = ["HEADER", "OF_APPS", "Purpose"]  # and every function

HEADER = '{"alg":"HS256","typ":"JWT"}'


def altered(text: str, place: int) -> str:
    """A base64 or base32 text with one character replaced. The last character can hold bits that are ignored."""
    place %= len(text)
    return text[:place] + ("3" if text[place] == "2" else "2") + text[place + 1 :]


def b64(raw: bytes | str) -> str:
    data = raw.encode() if isinstance(raw, str) else raw
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Decode as leniently as .NET does: ignore unused bits of the last character."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64(token.split(".")[1]))
    return found


def hs256(key: bytes, header: str, payload: str | bytes) -> str:
    """A compact JWS over exactly these texts."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def minted(
    app: App, claims: dict[str, Any] | str, *, header: str | None = None, purpose: Purpose = Purpose.ACCESS
) -> str:
    """A token signed with the real key of a purpose; without ``header``, it has that purpose's usual header."""
    payload = claims if isinstance(claims, str) else json.dumps(claims)
    key = app.services.keys.signing(purpose)
    head = json.dumps(header_of(key.algorithm, key.id), separators=(",", ":")) if header is None else header
    if key.algorithm == "HS256":
        return hs256(key.raw, head, payload)
    text = f"{b64(head)}.{b64(payload)}"
    return f"{text}.{b64(signatures.sign(key.raw, text.encode()))}"


def signed(app: App, purpose: Purpose, claims: dict[str, Any]) -> str:
    """Sign as the server does, by whichever algorithm its key has."""
    return mint(app.services.keys, app.services.settings.issuer, purpose, claims)


async def every_purpose(app: App) -> list[Purpose]:
    """All purposes, each with an existing key."""
    for algorithm in OF_APPS:
        await app.services.keys.of_apps(algorithm)
    return list(Purpose)


def signing_keys(app: App) -> dict[Purpose, bytes]:
    """The current signing secrets, by purpose, for purposes without a public key."""
    keys = [key for purpose in Purpose for key in app.services.keys.verifying(purpose) if key.retired_at is None]
    return {key.purpose: key.raw for key in keys if key.algorithm == "HS256"}


def every_secret(app: App) -> list[bytes]:
    """The secrets of all keys that sign or can still verify."""
    return [key.raw for key in app.services.keys._keys]


def key_pair(app: App) -> Any:
    """The key that signs access tokens, if it's a key pair."""
    return ECKey.import_key(json.loads(app.services.keys.signing(Purpose.ACCESS).raw))


async def rotate(app: App, algorithm: Algorithm | None = None) -> None:
    """Rotate all signing keys, and change the algorithm of users' access tokens if one is named."""
    ring = app.services.keys
    await app.services.store.write(lambda unit: ring.rotate(unit, algorithm=algorithm))


class Link(NamedTuple):
    """A refresh token in its chain: the session, its own name, and the name of the token that it replaced."""

    session: str
    own: str
    parent: str


def opened(app: App, token: str) -> Link:
    """The claims of a refresh token."""
    found = refresh_tokens.verify_refresh([signing_keys(app)[Purpose.REFRESH]], token, app.clock.ms)
    return Link(found.session_id, found.own, found.parent)


async def chain_of(app: App, session: str) -> tuple[str, str | None]:
    """The names of a session's current refresh token and of the one before it."""
    found, chain = await look_up_with_chain(app.services.store, session)
    assert found is not None
    return chain.current, chain.previous


async def right_token(visitor: Visitor, path: str) -> str:
    """A valid form token for this browser's session and a post to ``path``."""
    return (await right_tokens(visitor, path))()


async def right_tokens(visitor: Visitor, path: str) -> Callable[[], str]:
    """As many valid form tokens as needed, each usable once."""
    ctx, call = await _shown_to(visitor, path)
    return lambda: security.token_for(ctx, call, path)


async def former_token(visitor: Visitor, path: str) -> str:
    """Like :func:`right_token`, but from a node of release 0.1.0, with a mask and a masked MAC."""
    ctx, call = await _shown_to(visitor, path)
    content, key = f"{call.form_cookie}\0{call.session_id}\0{path}", ctx.services.keys.signing(Purpose.FORMS).raw
    mask, mac = secrets.token_bytes(32), hmac.digest(key, content.encode(), "sha256")
    return b64(mask + bytes(one ^ other for one, other in zip(mac, mask, strict=True)))


async def _shown_to(visitor: Visitor, path: str) -> tuple[Any, Any]:
    """The request and the page that show the browser a form for ``path`` in its session."""
    seen: list[tuple[Any, Any]] = []
    original = security.token_for

    def noting(ctx: Any, call: Any, action: str) -> str:
        seen.append((ctx, call))
        return original(ctx, call, action)

    with mock.patch.object(security, "token_for", noting):
        shown = await visitor.get("/installation/account" if path.startswith("/installation") else "/sign-out")
        if not seen:  # the visitor is no longer signed in there
            await visitor.follow(shown)
    return seen[-1]
