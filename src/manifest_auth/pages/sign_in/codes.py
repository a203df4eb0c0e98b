"""``/sign-in/codes``: the recovery codes of a first factor, shown on the way to where the sign-in ends.

They come in a cookie, sealed and bound to the browser, which ends when they are stored, or after ten minutes.
"""

from __future__ import annotations

import msgspec

from manifest_auth.http import Answer, host_cookie, host_name
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import ending, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes

TEMPLATE = "sign_in/codes.html"


class CodesView(msgspec.Struct, frozen=True):
    codes: tuple[str, ...]


async def _waiting(ctx: RequestContext, call: PageCall[None]) -> State | None:
    """What the cookie holds, for the one who has just signed in; for an app no session begins here."""
    text = call.head.cookie(host_name(ending.CODES_COOKIE, ctx.services.settings)) or ""
    state = await states.unseal(ctx, call.form_cookie, text)
    return state if state is not None and (state.code or call.user is not None) else None


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    state = await _waiting(ctx, call)
    if state is None:
        return see_other("/")
    return View(CodesView(state.recovery_codes), brand=brands.of_client(await ways.client_of(ctx, state)))


async def _go_on(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    state = await _waiting(ctx, call)
    if state is None:
        return see_other("/")
    if state.code and (tenant := await ways.client_of(ctx, state)) is not None:
        await exchange_codes.hand_out(ctx, tenant.id, state.code)
    ended = (host_cookie(ending.CODES_COOKIE, "", 0, ctx.services.settings),)
    return ending.on_to(ctx, call.form_cookie, msgspec.structs.replace(state, recovery_codes=()), ended)


ROUTES = (
    page("GET", ending.CODES, _show, TEMPLATE, "New recovery codes, on the way to where a sign-in ends"),
    page("POST", ending.CODES, _go_on, TEMPLATE, "They are stored: on to where the sign-in ends"),
)
