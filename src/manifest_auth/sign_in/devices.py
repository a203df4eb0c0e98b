"""The marker of a browser that signed in before, a cookie. One browser has one, whatever clients its people are of.

Only what this server gave out is kept: a value that somebody else chose, and put into another's browser, would let them
guess at that account as its owner. A marker carries a MAC, and so is known without asking other clients' tables; one
from before there were MACs is kept where the client knows it.
"""

from __future__ import annotations

import re

from manifest_auth.runtime.sealing import Macs
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.throttle import origins

_RANDOM = 22  # 128 bits in base64url
_MARKER = re.compile(rf"[A-Za-z0-9_-]{{{_RANDOM}}}([0-9a-f]{{64}})?\Z")


def shaped(value: str | None) -> str | None:
    """A cookie's value that may be a marker, else None."""
    return value if value and _MARKER.match(value) else None


def new(ctx: RequestContext) -> str:
    """A marker for a browser that has none of ours."""
    random = ctx.services.random.text(16)
    return random + _macs(ctx).make(_message(random))


def is_ours(unit: TenantUnit, ctx: RequestContext, marker: str) -> bool:
    """Whether this server gave it out."""
    random, mac = marker[:_RANDOM], marker[_RANDOM:]
    return _macs(ctx).fits(_message(random), mac) or origins.is_known_device(unit, marker)


def _message(random: str) -> bytes:
    return b"device\0" + random.encode()


def _macs(ctx: RequestContext) -> Macs:
    macs = ctx.services.store.macs
    assert macs is not None, "the server's store has them"
    return macs
