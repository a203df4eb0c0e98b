"""Security of pages and forms: headers, the only host, and forms that no other site can post."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
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


@lru_cache(maxsize=8)
def headers(settings: Settings) -> tuple[Header, ...]:
    """Returns the security headers of a page, which differ from those of other responses. ``same-origin``, not
    ``no-referrer``: with ``no-referrer``, browsers send ``Origin: null`` with form posts (Fetch, 3.2), and the server
    couldn't tell its own forms from those of other sites."""
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
    """Returns the redirect of a request to a host other than the public one: to the same page there, with the client of
    its subdomain. None if the host is right. So a poisoned ``Host`` appears in no link, and cookies stay on one
    host."""
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
    """Rejects posts from other origins or without an origin, regardless of what the client lists for its applications.
    Raises Forbidden."""
    site, origin = head.fetch_site, head.origin
    if site is None and origin is None:
        raise Forbidden(reason="form post without Sec-Fetch-Site and Origin")
    if site not in (None, "same-origin"):
        raise Forbidden(reason=f"form post with Sec-Fetch-Site {site!r}")
    if origin is not None and origin != public_origin(ctx.services.settings):
        raise Forbidden(reason=f"form post from origin {origin!r}")


def is_followed_here(ctx: RequestContext, head: Head) -> bool:
    """Whether the user followed a link of this server or typed the address. A browser that doesn't send
    ``Sec-Fetch-Site``, as on plain http, names this server's page as ``Referer``. A page of another site can hide its
    ``Referer`` but never forge this server's."""
    if head.fetch_site is not None:
        return head.fetch_site in ("same-origin", "none")
    return head.line(b"referer").startswith(f"{public_origin(ctx.services.settings)}/")


class FormToken(msgspec.Struct, frozen=True, array_like=True):
    """The hidden part of a form, from the page that showed it. ``cookie``: the browser's form cookie; ``person``: see
    :attr:`PageCall.person`, empty like ``session`` for nobody; ``made_at``: milliseconds since 1970; ``key``:
    identifies this form."""

    cookie: str
    session: str
    person: str
    made_at: int
    key: str = ""

    def is_of(self, call: PageCall[Any], now: int) -> bool:
        """Whether this browser was shown the form in this session, or in one that has ended, during the last day."""
        return self.is_of_browser(call, now) and call.session_id in (self.session, "")

    def is_of_browser(self, call: PageCall[Any], now: int) -> bool:
        """Whether this browser was shown the form in any session, during the last day."""
        return self.cookie == call.form_cookie and now < self.made_at + TOKEN_LIFE_MS


TOKEN_LIFE_MS = 24 * 60 * 60_000


def token_for(ctx: RequestContext, call: PageCall[Any], path: str) -> str:
    """Returns the hidden value of a form that posts to ``path``. It is encrypted and so differs each time. If a proxy
    compresses the page, an attacker who makes the browser repeat the request and counts bytes learns nothing about it
    (BREACH)."""
    token = FormToken(call.form_cookie, call.session_id, call.person, ctx.now)
    return base64url.encode(encrypt(ctx, f"form {path}", msgspec.json.encode(token), Purpose.FORMS))


async def read_token(ctx: RequestContext, call: PageCall[Any], path: str, text: str) -> FormToken | None:
    """Reads a token. None for one that this server didn't create for a form that posts to ``path``."""
    raw = _raw(text)
    if len(raw) == 2 * _MAC:
        return await _read_former(ctx, call, path, raw)
    opened = await decrypt(ctx, f"form {path}", raw, Purpose.FORMS)
    if opened is None:
        return None
    return msgspec.structs.replace(msgspec.json.decode(opened, type=FormToken), key=base64url.encode(raw[:_NONCE]))


async def _read_former(ctx: RequestContext, call: PageCall[Any], path: str, raw: bytes) -> FormToken | None:
    """Reads the token of a page from a node that still runs release 0.1.0: a mask and a masked MAC. Remove this
    function in the release after the next one."""
    await ctx.services.keys.ensure_current()
    mac = bytes(one ^ other for one, other in zip(raw[:_MAC], raw[_MAC:], strict=True))
    content = f"{call.form_cookie}\0{call.session_id}\0{path}".encode()
    for key in ctx.services.keys.verifying(Purpose.FORMS):
        if hmac.compare_digest(mac, hmac.digest(key.raw, content, "sha256")):
            named = base64url.encode(raw[:_NONCE])
            return FormToken(call.form_cookie, call.session_id, call.person, ctx.now, named)
    return None


# Texts that the browser stores for the server, encrypted and bound to it, in an address or in a hidden field.


LIFE_MS = 60 * 60_000
_NONCE, _MAC = 12, 32
_MOST = 8000  # characters


def seal(ctx: RequestContext, holder: str, raw: bytes) -> str:
    """Seals a value as text for an address or a field. ``holder``: its owner and purpose, such as the browser's form
    cookie."""
    return base64url.encode(encrypt(ctx, holder, raw))


async def unseal(ctx: RequestContext, holder: str, text: str) -> bytes | None:
    """Opens sealed text. None if it was changed or belongs to another holder."""
    return await decrypt(ctx, holder, _raw(text))


def _raw(text: str) -> bytes:
    try:
        return base64url.decode(text) if len(text) <= _MOST else b""
    except ValueError:
        return b""


def encrypt(ctx: RequestContext, holder: str, raw: bytes, purpose: Purpose = Purpose.PAGE_STATE) -> bytes:
    """Returns the nonce and the ciphertext, which open only for the same ``holder`` and ``purpose``."""
    key, nonce = ctx.services.keys.signing(purpose), ctx.services.random.bytes(_NONCE)
    return nonce + _cipher(key.raw, purpose).encrypt(nonce, raw, holder.encode())


async def decrypt(ctx: RequestContext, holder: str, raw: bytes, purpose: Purpose = Purpose.PAGE_STATE) -> bytes | None:
    """Decrypts a value. None if it was changed, belongs to another holder, or was encrypted with a key that is gone."""
    await ctx.services.keys.ensure_current()
    for key in ctx.services.keys.verifying(purpose):
        try:
            return _cipher(key.raw, purpose).decrypt(raw[:_NONCE], raw[_NONCE:], holder.encode())
        except (InvalidTag, ValueError):
            continue
    return None


@lru_cache(maxsize=16)
def _cipher(key: bytes, purpose: Purpose) -> AESGCM:
    """Derives a key for encryption, since the key of forms is used for MACs elsewhere."""
    return AESGCM(hmac.digest(key, b"form token", "sha256") if purpose is Purpose.FORMS else key)


def is_fresh(made_at: int, now: int) -> bool:
    """Whether a text from that time is still valid. Milliseconds since 1970."""
    return made_at <= now < made_at + LIFE_MS
