"""``/sign-in``: where a sign-in begins, with its client or with the e-mail address first."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, languages
from manifest_auth.pages.call import PageCall, View, found, require, see_other
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.pages.sign_in import ending, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes
from manifest_auth.sign_in.providers import home_realm_discovery
from manifest_auth.tenants import Tenant
from manifest_auth.text import fields
from manifest_auth.text.canonical import check_email

PASSWORD = f"{SIGN_IN}/password"
_NO_SETTINGS = "{}"  # while no client is known: pages of ours alone
TEMPLATE = "sign_in/sign_in.html"


class SignInQuery(msgspec.Struct, frozen=True, rename="camel"):
    """How an application sends a person here. ``s``: of a sign-in that began before, in place of all else."""

    client: Annotated[str, Meta(max_length=63)] = ""
    return_to: Annotated[str, Meta(max_length=2000)] = ""
    response: Literal["cookie", "code"] = "cookie"
    code_challenge: Annotated[str, Meta(max_length=43)] = ""
    login_hint: fields.TypedEmail = ""
    prompt: fields.TypedToken = ""
    lang: Annotated[str, Meta(max_length=35)] = ""
    s: Annotated[str, Meta(max_length=8000)] = ""


class EmailForm(msgspec.Struct, frozen=True):
    s: str = ""
    email: fields.TypedEmail = ""


async def _state_of(ctx: RequestContext, call: PageCall[SignInQuery]) -> tuple[State, bool]:
    """What the sign-in knows, and whether it had to begin anew."""
    q = call.fields
    if q.s:
        known = await states.unseal(ctx, call.form_cookie, q.s)
        return known or State(), known is None
    state = State(
        client=q.client,
        email=_hinted(q.login_hint),
        return_to=q.return_to,
        response=q.response,
        challenge=q.code_challenge,
        anew=q.prompt == "login",
    )
    return state, False


def _hinted(text: str) -> str:
    """The address that an application hints at; empty for a text that is none: a link must not put words of its own
    onto the page."""
    try:
        return check_email(text)
    except ValidationError:
        return ""


def _check(tenant: Tenant | None, state: State) -> None:
    """Refuses at once what a sign-in could not end with. Raises ValidationError."""
    ways.end_of(_NO_SETTINGS if tenant is None else tenant.settings, state)
    exchange_codes.check_challenge(state.challenge, is_needed=state.response == "code")


async def _show(ctx: RequestContext, call: PageCall[SignInQuery]) -> View | Answer[None]:
    state, fresh = await _state_of(ctx, call)
    if call.fields.lang in languages.LANGUAGES:
        call.headers.append(languages.cookie_line(call.fields.lang, ctx.services.settings))
    tenant = await ways.client_of(ctx, state)
    _check(tenant, state)
    view = await ways.view_of(ctx, call, state, tenant, fresh=fresh)
    call.here = ways.address(SIGN_IN, view.s)
    user = call.user
    if user is not None and user.is_device and state.response == "code":
        user = None  # which gives an app nothing
    if user is not None and not state.anew and (tenant is None or tenant.id == user.tenant_id):
        if state.return_to and state.response == "cookie":
            return found(ending.end_for(user.tenant_settings, user.roles, state))
        return View(ending.continue_view(ctx, call, state), brand=brands.of_user(user), template=ending.CONTINUE)
    return View(view, brand=brands.of_client(tenant))


async def _again(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    state = await states.unseal(ctx, call.form_cookie, call.fields.s) or State()
    view = await ways.view_of(ctx, call, msgspec.structs.replace(state, email=""), None)
    call.here = ways.address(SIGN_IN, view.s)
    return View(msgspec.structs.replace(view, email=call.fields.email))


async def _email(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    """The next page depends on the domain alone, never on whether there is such an account."""
    form = call.fields
    state = await states.unseal(ctx, call.form_cookie, form.s)
    if state is None:
        return see_other(ways.address(SIGN_IN, "old"))
    require(email=form.email)
    check_email(form.email)
    ways_in = await home_realm_discovery.discover(ctx, form.email, None)
    state = msgspec.structs.replace(state, email=form.email, client=ways_in.client, anew=True)
    path = SIGN_IN if ways_in.client else PASSWORD
    return see_other(ways.address(path, states.seal(ctx, call.form_cookie, state)))


ROUTES = (
    page("GET", SIGN_IN, _show, TEMPLATE, "Sign in"),
    page(
        "POST", SIGN_IN, _email, TEMPLATE, "The e-mail address, which leads to the ways in of its domain", again=_again
    ),
)
