"""``/sign-in/password``: the e-mail address and the password, in one form."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors.challenges import Pending, Purpose
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.pages.sign_in import ending, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in.start import PASSWORD, TEMPLATE
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import password
from manifest_auth.sign_in.password import Claim, Credentials
from manifest_auth.text import fields


class PasswordQuery(msgspec.Struct, frozen=True):
    s: Annotated[str, Meta(max_length=8000)] = ""


class PasswordForm(msgspec.Struct, frozen=True):
    s: str = ""
    email: fields.TypedEmail = ""
    password: fields.TypedPassword = ""


async def _show(ctx: RequestContext, call: PageCall[PasswordQuery]) -> View | Answer[None]:
    state = await states.unseal(ctx, call.form_cookie, call.fields.s)
    if state is None or not state.email:
        return see_other(ways.address(SIGN_IN, "old") if state is None else SIGN_IN)
    return await _form(ctx, call, state)


async def _form(ctx: RequestContext, call: PageCall[Any], state: State) -> View:
    tenant = await ways.client_of(ctx, state)
    view = await ways.view_of(ctx, call, state, tenant)
    call.here = ways.address(SIGN_IN if tenant is not None else PASSWORD, view.s)
    return View(view, brand=brands.of_client(tenant))


async def _again(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    state = await states.unseal(ctx, call.form_cookie, call.fields.s)
    if state is None:
        return see_other(ways.address(SIGN_IN, "old"))
    return await _form(ctx, call, msgspec.structs.replace(state, email=call.fields.email))


async def _sign_in(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    form = call.fields
    state = await states.unseal(ctx, call.form_cookie, form.s)
    if state is None:
        return see_other(ways.address(SIGN_IN, "old"))
    require(email=form.email, password=form.password)
    browser = browser_of(ctx, call.head)
    claim = Claim(form.email, state.client or None, browser.devices)
    credentials = Credentials(claim, form.password, browser.cookie, browser.trust)
    purpose: Purpose = "code" if state.response == "code" else "session"
    pending = Pending(purpose, state.return_to, state.response, state.challenge)
    if purpose == "code":
        coded = await password.sign_in_for_code(ctx, credentials, pending)
        tenant, user = coded.account.tenant, coded.account.user
        end = ways.end_of(tenant.settings, state, user.roles)
        return ending.handed_over(ctx, call.form_cookie, state, tenant.identifier, end, coded.code)
    return ending.signed_in_here(ctx, state, await password.sign_in(ctx, credentials, pending))


ROUTES = (
    page("GET", PASSWORD, _show, TEMPLATE, "The password, where the e-mail address was typed a page before"),
    page("POST", PASSWORD, _sign_in, TEMPLATE, "Sign in with e-mail address and password", again=_again),
)
