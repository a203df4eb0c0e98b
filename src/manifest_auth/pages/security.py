"""Security of pages and forms: headers, the one host, and forms that no other site can post."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manifest_auth.errors import Forbidden
from manifest_auth.http import Head, Header, public_origin
from manifest_auth.pages.call import PageCall
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import RequestContext
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.text import base64url

TOKEN_FIELD = "form"  # noqa: S105 - the name of a field
_SIZE = hashlib.sha256().digest_size


@lru_cache(maxsize=8)
def headers(settings: Settings) -> tuple[Header, ...]:
    """The security headers of a page, in place of those of other answers.

    ``same-origin``, not ``no-referrer``: with that browsers send ``Origin: null`` with form posts (Fetch, 3.2), and
    nothing would tell our own from foreign ones.
    """
    assets = f"{public_origin(settings)}/assets/"
    policy = (
        f"default-src 'none'; script-src {assets}; style-src {assets}; img-src {assets}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    )
    return (
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (
            b"permissions-policy",
            b"publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), "
            b"geolocation=()",
        ),
        (b"x-frame-options", b"DENY"),
        (b"x-robots-tag", b"noindex"),
    )


def elsewhere(ctx: RequestContext, head: Head, path: str, query: bytes) -> str | None:
    """Where a request goes that came to another host than the public one: the same page there, with the client of its
    subdomain; None: it is at the right place. A poisoned ``Host`` so reaches no link, and cookies are not split."""
    origin = public_origin(ctx.services.settings)
    host = (head.host or "").lower().removesuffix(":443" if origin.startswith("https:") else ":80")
    if f"{urlsplit(origin).scheme}://{host}" == origin:
        return None
    client = ctx.client_hint.subdomain
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if client is not None and "client" not in dict(pairs):
        pairs.append(("client", client))
    return f"{origin}{path}?{urlencode(pairs)}" if pairs else f"{origin}{path}"


def check_posted_here(ctx: RequestContext, head: Head) -> None:
    """A browser says where a post comes from; what comes from elsewhere, or from nowhere, is refused, whatever the
    client lists for its applications. Raises Forbidden."""
    site, origin = head.fetch_site, head.origin
    if site is None and origin is None:
        raise Forbidden(reason="form post without Sec-Fetch-Site and Origin")
    if site not in (None, "same-origin"):
        raise Forbidden(reason=f"form post with Sec-Fetch-Site {site!r}")
    if origin is not None and origin != public_origin(ctx.services.settings):
        raise Forbidden(reason=f"form post from origin {origin!r}")


def is_followed_here(ctx: RequestContext, head: Head) -> bool:
    """Whether a link of ours was followed, or the address typed in. A browser that does not send ``Sec-Fetch-Site``, as
    on plain http, names our page as ``Referer``; a foreign page can hide its own there, and never name ours."""
    if head.fetch_site is not None:
        return head.fetch_site in ("same-origin", "none")
    return head.line(b"referer").startswith(f"{public_origin(ctx.services.settings)}/")


async def check_token(ctx: RequestContext, call: PageCall[Any], path: str, token: str) -> None:
    """Refuses a form that this browser was not shown at this page, in this session. Raises Forbidden."""
    await ctx.services.keys.ensure_current()
    shown = _unmasked(token)
    for key in ctx.services.keys.verifying(Purpose.FORMS):
        if shown is not None and hmac.compare_digest(shown, _mac(key.raw, call.form_cookie, call.session_id, path)):
            return
    raise Forbidden(reason="form token: missing, foreign or old")


def token_for(ctx: RequestContext, call: PageCall[Any], path: str) -> str:
    """What a form that posts to ``path`` brings along. Masked anew each time: a page that a proxy compresses tells
    nothing of it to someone who makes the browser ask again and again and counts bytes (BREACH)."""
    mac = _mac(ctx.services.keys.signing(Purpose.FORMS).raw, call.form_cookie, call.session_id, path)
    mask = ctx.services.random.bytes(_SIZE)
    return base64url.encode(mask + _xor(mac, mask))


def _unmasked(token: str) -> bytes | None:
    try:
        raw = base64url.decode(token)
    except ValueError:
        return None
    return _xor(raw[:_SIZE], raw[_SIZE:]) if len(raw) == 2 * _SIZE else None


def _mac(key: bytes, cookie: str, session_id: str, path: str) -> bytes:
    return hmac.digest(key, f"{cookie}\0{session_id}\0{path}".encode(), "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


# Texts that a browser keeps for us, encrypted and bound to it: they stand in an address or in a hidden field.


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
