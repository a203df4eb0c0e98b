"""The identity that a sign-in method verified, and the browser's cookies, one of which the throttle recognizes."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.runtime.sealing import Macs
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import Way
from manifest_auth.store import TenantUnit
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters


class Identity(NamedTuple):
    """An identity that a sign-in method verified. ``proof``: the password hash that matched, which must still be the
    user's; ``provider_id``: the provider that vouched; ``amr``: what was verified (RFC 8176); ``authenticated_at``:
    when, in milliseconds, None if a provider doesn't report it; ``needs_factor``: False only if a factor was already
    verified or requested, or the provider is responsible for it."""

    method: str
    user_id: int
    amr: tuple[Way, ...]
    proof: str | None = None
    provider_id: int | None = None
    authenticated_at: int | None = None
    needs_factor: bool = True


#: Maximum number of sessions for apps of other clients at a time.
MOST_BESIDE: Final = 8


class BrowserCookies(NamedTuple):
    """Cookies of an attempt: the session, the trusted browser, sessions for apps of other clients (``beside``), and
    markers of users who signed in on this device before."""

    cookie: str | None
    devices: tuple[str, ...]
    trust: str | None = None
    beside: tuple[str, ...] = ()


# The device cookie holds a marker for each of the last users of the browser, across all clients. A marker counts only
# for the user to whom this server gave it. Otherwise an attacker who can set a cookie in a victim's browser, such as a
# marker of the attacker's own account, could guess passwords as if from the victim's device. So a marker carries a MAC
# with the user's number.

MOST = 6  # markers per browser
_RANDOM = 22  # 128 bits in base64url
_MARKER = re.compile(rf"[A-Za-z0-9_-]{{{_RANDOM}}}[0-9a-f]{{64}}\Z")
_BETWEEN = "."


def read_device_cookie(value: str | None) -> tuple[str, ...]:
    """Returns the markers in a cookie, newest first."""
    return tuple(part for part in (value or "").split(_BETWEEN, MOST)[:MOST] if _MARKER.match(part))


def device_of_user(ctx: RequestContext, user_id: int, markers: tuple[str, ...]) -> str | None:
    """Returns the marker that was given to the user."""
    macs = macs_of(ctx)
    own = (one for one in markers if macs.is_valid(_message(one[:_RANDOM], user_id), one[_RANDOM:]))
    return next(own, None)


def after_sign_in(ctx: RequestContext, user_id: int, markers: tuple[str, ...]) -> tuple[str, str | None]:
    """Returns the marker of a user who has signed in, a new one if the browser has none, and the cookie to set, or None
    to keep the current one."""
    if given := device_of_user(ctx, user_id, markers):
        return given, None
    random = ctx.services.random.text(16)
    marker = random + macs_of(ctx).make(_message(random, user_id))
    return marker, _BETWEEN.join((marker, *markers)[:MOST])


def counters_of(
    unit: TenantUnit, ctx: RequestContext, entry_point: EntryPoint, account: str, user_id: int, devices: tuple[str, ...]
) -> Counters:
    """Returns the counters of an attempt of this user, from this request's address and device. ``account`` is the form
    in which the account is counted."""
    known = throttle.known_origin(unit, user_id, device_of_user(ctx, user_id, devices), ctx.source)
    return throttle.counters(entry_point, account, ctx.source, known)


def _message(random: str, user_id: int) -> bytes:
    return f"device\0{random}\0{user_id}".encode()


def macs_of(ctx: RequestContext) -> Macs:
    """Returns the MACs with this installation's secret keys, for values that a browser keeps."""
    macs = ctx.services.store.macs
    assert macs is not None, "the server's store has them"
    return macs
