"""The cookie by which the throttle recognises a browser that signed in before.

One per browser, for all clients.

Only values that this server issued count: an attacker who could set a chosen value in a victim's browser could guess
passwords from the victim's own origin. A value carries a MAC, so that no other client's tables are read; an older one
without a MAC counts where the client has it stored.
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
    """The cookie's value if it has the shape of a device cookie, else None."""
    return value if value and _MARKER.match(value) else None


def new(ctx: RequestContext) -> str:
    """A value for a browser that has none."""
    random = ctx.services.random.text(16)
    return random + macs_of(ctx).make(_message(random))


def is_genuine(unit: TenantUnit, ctx: RequestContext, marker: str) -> bool:
    """Whether this server issued the value."""
    random, mac = marker[:_RANDOM], marker[_RANDOM:]
    return macs_of(ctx).is_valid(_message(random), mac) or origins.is_known_device(unit, marker)


def _message(random: str) -> bytes:
    return b"device\0" + random.encode()


def macs_of(ctx: RequestContext) -> Macs:
    """The MACs of this installation's secret keys, for what a browser keeps."""
    macs = ctx.services.store.macs
    assert macs is not None, "the server's store has them"
    return macs
