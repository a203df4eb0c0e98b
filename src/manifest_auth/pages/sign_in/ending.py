"""``/sign-in/done``: where a sign-in ends.

A form post never redirects to another origin, since browsers apply a policy's ``form-action`` to redirects: a
foreign address is reached from a page of this server, by a refresh or a link.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer, Header, form_cookies
from manifest_auth.http.sign_in_cookies import browser_of, cookies_of
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in import ways
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes, return_addresses
from manifest_auth.sign_in.completion import SignedIn

PATH = f"{SIGN_IN}/done"
TEMPLATE = "sign_in/done.html"
CONTINUE = "sign_in/continue.html"
DUE = "sign_in/due.html"


class DoneQuery(msgspec.Struct, frozen=True):
    s: Annotated[str, Meta(max_length=8000)] = ""


class ContinueForm(msgspec.Struct, frozen=True):
    s: str = ""


class ContinueView(msgspec.Struct, frozen=True):
    """Someone is signed in already. ``other``: address for another account."""

    s: str
    name: str
    email: str
    client: str
    other: str


class DoneView(msgspec.Struct, frozen=True):
    """``by_itself``: the browser goes on without a press; an app's own scheme wants one."""

    address: str
    by_itself: bool


class DueView(msgspec.Struct, frozen=True):
    """A new password is offered. ``address``: where the sign-in ends without one."""

    address: str


def continue_view(ctx: RequestContext, call: PageCall[Any], state: State) -> ContinueView:
    """The page's model for the user who is signed in here."""
    user = ctx.user
    anew = msgspec.structs.replace(state, anew=True)
    return ContinueView(
        s=states.seal(ctx, call.form_cookie, state),
        name=f"{user.first_name} {user.last_name}".strip() or user.email,
        email=user.email,
        client=brands.of_user(user).name,
        other=ways.address(SIGN_IN, states.seal(ctx, call.form_cookie, anew)),
    )


def end_for(settings: str, roles: int, state: State) -> str:
    """Where it ends, by the list as it is now; what is not on it any more ends at the account."""
    try:
        return ways.end_of(settings, state, roles)
    except ValidationError:
        return return_addresses.ACCOUNT


def signed_in_here(ctx: RequestContext, state: State, signed_in: SignedIn) -> Answer[None]:
    """After the proof: the session's cookies, a new mark for the browser's forms, and on to the end."""
    settings, mark = ctx.services.settings, form_cookies.new_cookie(ctx)
    headers = (*cookies_of(ctx, signed_in), form_cookies.cookie_line(mark, settings))
    end = end_for(signed_in.tenant.settings, signed_in.user.roles, state)
    return _go_on(ctx, mark, state, end, headers, due=signed_in.password_due)


def _go_on(
    ctx: RequestContext,
    form_cookie: str,
    state: State,
    end: str,
    headers: tuple[Header, ...] = (),
    *,
    due: bool = False,
) -> Answer[None]:
    if return_addresses.is_own_path(end) and not due:
        return see_other(end, headers)
    s = states.seal(ctx, form_cookie, State(return_to=end, response=state.response, due=due))
    return see_other(ways.address(PATH, s), headers)


def handed_over(ctx: RequestContext, form_cookie: str, client: str, end: str, code: str) -> Answer[None]:
    """An app gets a one-time code at its own address; no session begins here."""
    state = State(client=client, return_to=end, response="code", code=code)
    return see_other(ways.address(PATH, states.seal(ctx, form_cookie, state)))


async def _show(ctx: RequestContext, call: PageCall[DoneQuery]) -> View | Answer[None]:
    state = await states.unseal(ctx, call.form_cookie, call.fields.s) or State()
    if state.code:
        tenant = await ways.client_of(ctx, state)
        end = ways.end_of(tenant.settings if tenant is not None else "{}", state)
        address = f"{end}{'&' if '?' in end else '?'}code={state.code}"
        return View(DoneView(address, return_addresses.is_web(end)), brand=brands.of_client(tenant))
    if call.user is None:
        return see_other(SIGN_IN)
    end = end_for(call.user.tenant_settings, call.user.roles, state)
    if state.due:
        return View(DueView(end), template=DUE, brand=brands.of_user(call.user))
    if return_addresses.is_own_path(end):
        return see_other(end)
    return View(DoneView(end, return_addresses.is_web(end)), brand=brands.of_user(call.user))


async def _continue(ctx: RequestContext, call: PageCall[ContinueForm]) -> View | Answer[None]:
    """The press of "Continue as …": no code is ever given without one, since apps may share a scheme."""
    user, state = call.user, await states.unseal(ctx, call.form_cookie, call.fields.s)
    if user is None or state is None:
        return see_other(SIGN_IN if state is None else ways.address(SIGN_IN, call.fields.s))
    if state.response == "code":
        end = ways.end_of(user.tenant_settings, state, user.roles)
        pending = Pending("code", end, state.response, state.challenge)
        code = await exchange_codes.of_session(ctx, browser_of(ctx, call.head), pending)
        return handed_over(ctx, call.form_cookie, user.client, end, code)
    return _go_on(ctx, call.form_cookie, state, end_for(user.tenant_settings, user.roles, state))


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "Where a sign-in ends, at another address"),
    page("POST", PATH, _continue, TEMPLATE, "Go on with the session that is there"),
)
