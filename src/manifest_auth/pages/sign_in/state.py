"""State of a sign-in under way on pages: encrypted, bound to the browser, valid for an hour, and kept by the browser.

It stands in a hidden field, or in the query after a form was posted. It opens nothing, and anonymous callers leave no
row behind.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from manifest_auth.pages import sealed
from manifest_auth.runtime.mail import Removed
from manifest_auth.services import RequestContext


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """``client``: identifier of the client that is meant, empty for none yet; ``email``: as typed; ``return_to``: as
    asked for, checked where it came in, and again where the sign-in ends; ``invitation_id``: of an open invitation, the
    token of which was shown; ``anew``: someone who is signed in wants another account; ``code``: a one-time code that
    waits to be handed over; ``due``: the password is older than the client's rules have it; ``factor_due_at``: from
    when on a second factor is required, 0 for none; ``provider_id``: of the provider whose return addresses count too;
    ``recovery_codes``: shown on the way; ``done``: what a one-time link did; ``removed``, ``manages``: of an undone
    change of address; ``made_at``: milliseconds since 1970, like ``factor_due_at``."""

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
    removed: Removed | None = None
    manages: bool = False
    made_at: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(State).decode


def seal(ctx: RequestContext, form_cookie: str, state: State) -> str:
    """As text for an address or a field."""
    return sealed.seal(ctx, form_cookie, _encode(msgspec.structs.replace(state, made_at=ctx.now)))


async def unseal(ctx: RequestContext, form_cookie: str, text: str) -> State | None:
    """None for one that was changed, is another browser's, or is older than an hour."""
    opened = await sealed.unseal(ctx, form_cookie, text)
    state = _decode(opened) if opened is not None else None
    return state if state is not None and sealed.is_fresh(state.made_at, ctx.now) else None
