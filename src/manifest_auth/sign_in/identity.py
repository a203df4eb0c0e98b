"""Results of a sign-in method, and the cookies that came with the attempt."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.sessions.sessions import Way


class Identity(NamedTuple):
    """``proof``: the password hash that matched, which must still be the user's; ``provider_id``: the provider that
    vouched; ``amr``: what was proved (RFC 8176), ``authenticated_at``: when, milliseconds, None where a provider does
    not say; ``needs_factor``: False only where a factor was proved or asked for already, or the provider answers for
    it."""

    method: str
    user_id: int
    amr: tuple[Way, ...]
    proof: str | None = None
    provider_id: int | None = None
    authenticated_at: int | None = None
    needs_factor: bool = True


class BrowserCookies(NamedTuple):
    """Cookies that came with an attempt: of a session, of a trusted browser, and the markers of a device in which users
    signed in before."""

    cookie: str | None
    devices: tuple[str, ...]
    trust: str | None = None
