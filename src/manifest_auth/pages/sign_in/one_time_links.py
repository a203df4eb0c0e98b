"""``/forgot`` and ``/welcome``: one-time links by email, and the pages that they lead to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts.one_time_links import PAGE, Purpose
from manifest_auth.accounts.password_rules import MOST
from manifest_auth.errors import InvalidToken, ValidationError
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands
from manifest_auth.pages.call import Link, PageCall, View, require, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import done, step
from manifest_auth.pages.sign_in.start import EmailForm
from manifest_auth.pages.sign_in.step import State, StateQuery
from manifest_auth.providers import Provider
from manifest_auth.runtime.mail import after_undoing
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import email_change, set_password
from manifest_auth.sign_in.password import Claim
from manifest_auth.sign_in.providers.kinds import start_address
from manifest_auth.sign_in.set_password import OpenLink
from manifest_auth.text import fields
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

# The response of ``/forgot`` is always the same.


PATH = "/forgot"
TEMPLATE = "sign_in/forgot.html"


class ForgotQuery(StateQuery, frozen=True):
    """The query of the page. ``sent``: 1 after the form was posted."""

    sent: str = ""


async def _form(ctx: RequestContext, call: PageCall[Any], s: str, email: str | None, *, sent: bool = False) -> View:
    state = await step.unseal_state(ctx, call.form_cookie, s) or State()
    tenant = await step.client_of(ctx, state)
    fresh = step.seal_state(ctx, call.form_cookie, state)
    view = SimpleNamespace(
        s=fresh,
        email=state.email if email is None else email,
        sent=sent,
        back=step.way_address("/sign-in", fresh),
    )
    call.here = step.way_address(PATH, fresh) + ("&sent=1" if sent else "")
    return View(view, brand=brands.of_client(tenant))


async def _show_forgot(ctx: RequestContext, call: PageCall[ForgotQuery]) -> View | Answer[None]:
    return await _form(ctx, call, call.fields.s, None, sent=bool(call.fields.sent))


async def _again_forgot(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    return await _form(ctx, call, call.fields.s, call.fields.email)


async def _forgot(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    form = call.fields
    state = await step.unseal_state(ctx, call.form_cookie, form.s) or State()
    if len(form.email) < 3 or "@" not in form.email:
        raise ValidationError(details=[("email", _("Enter a valid email address"))])
    await set_password.forgot(ctx, Claim(form.email, state.client or None, browser_of(ctx, call.head).devices))
    s = step.seal_state(ctx, call.form_cookie, msgspec.structs.replace(state, email=form.email))
    return see_other(f"{step.way_address(PATH, s)}&sent=1")


# The token follows ``#`` in the link, so the browser sends it to nobody, and a module posts it. Without scripts, a
# field accepts the code that the email contains.


CODE = "sign_in/welcome_code.html"
CHOOSE = "sign_in/welcome_choose.html"
ADDRESS = "sign_in/welcome_address.html"
DONE = "sign_in/welcome_done.html"


class WelcomeForm(msgspec.Struct, frozen=True):
    """The form of the page. ``act``: empty to show the link's purpose, or what to do with it."""

    token: fields.TypedToken = ""
    act: Literal["", "password", "email", "email-undo"] = ""
    password: Annotated[str, Meta(max_length=MOST)] = ""


async def _show_welcome(ctx: RequestContext, call: PageCall[StateQuery]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s) if call.fields.s else None
    if state is not None and state.done:
        brand = brands.of_client(await step.client_of(ctx, state))
        also = _also(state, call.language or brand.language)
        return View(SimpleNamespace(done=state.done, email=state.email, also=also), template=DONE, brand=brand)
    call.here = PAGE
    return View(SimpleNamespace(token=""))


async def _again_welcome(ctx: RequestContext, call: PageCall[WelcomeForm]) -> View | Answer[None]:
    call.here = PAGE
    try:
        return await _what_for(ctx, call)
    except InvalidToken:
        return View(SimpleNamespace(token=call.fields.token))


async def _post(ctx: RequestContext, call: PageCall[WelcomeForm]) -> View | Answer[None]:
    form = call.fields
    call.here = PAGE
    require(token=form.token)
    if form.act == "password":
        return await _choose(ctx, call)
    if form.act.startswith("email"):
        return await _change_email(ctx, call)
    return await _what_for(ctx, call)


async def _change_email(ctx: RequestContext, call: PageCall[WelcomeForm]) -> Answer[None]:
    token = call.fields.token
    change = await ctx.services.store.read(lambda unit: email_change.find(unit, ctx, token))
    client = "" if change is None else change.tenant.identifier  # for the branding of the confirmation page
    if call.fields.act == "email":
        email = await email_change.confirm(ctx, token)
        return _done(ctx, call, State(client=client, done="confirmed", email=email))
    undone = await email_change.undo(ctx, token)
    outcome: Literal["undone", "undone-resets"] = "undone-resets" if undone.resets else "undone"
    state = State(client=client, done=outcome, email=undone.email, removed=undone.removed, manages=undone.manages)
    return _done(ctx, call, state)


def _also(state: State, language: str) -> tuple[str, ...]:
    if state.removed is None:
        return ()
    words = catalogue(language)
    return tuple(one.said(words, "") for one in after_undoing(state.removed, state.manages))


async def _what_for(ctx: RequestContext, call: PageCall[WelcomeForm]) -> View:
    """Returns the purpose of the link. Raises InvalidToken."""
    token = call.fields.token
    change = await ctx.services.store.read(lambda unit: email_change.find(unit, ctx, token))
    if change is not None:
        view = SimpleNamespace(
            token=token, kind=change.kind, email=change.email, client=tenants.shown_name(change.tenant)
        )
        return View(view, template=ADDRESS, brand=brands.of_client(change.tenant))
    found, ways = await set_password.look(ctx, token)
    choosing, brand = _choose_view(ctx, call, token, found, ways), brands.of_client(found.tenant)
    return View(choosing, template=CHOOSE, brand=brand)


def _choose_view(
    ctx: RequestContext, call: PageCall[Any], token: str, found: OpenLink, ways: list[Provider]
) -> SimpleNamespace:
    client = found.tenant.identifier
    state = State(client=client, email=found.user.email, anew=True)
    invited = step.seal_state(ctx, call.form_cookie, msgspec.structs.replace(state, invitation_id=found.link.id))
    starts = ((start_address(ctx, client, way.kind, way.name), way.display_name or way.name) for way in ways)
    rules = tenants.password_rules(tenants.settings_of(found.tenant.settings), found.user.factors)
    return SimpleNamespace(
        token=token,
        invited=found.purpose is Purpose.INVITATION,
        email=found.user.email,
        client=tenants.shown_name(found.tenant),
        password=not found.why_no_password,
        why_not=found.why_no_password,
        min_length=rules.min_length,
        character_classes=rules.character_classes,
        ways=tuple(Link(f"{href}&s={quote(invited)}", name) for href, name in starts if href),
        sign_in=step.way_address("/sign-in", step.seal_state(ctx, call.form_cookie, state)),
    )


async def _choose(ctx: RequestContext, call: PageCall[WelcomeForm]) -> Answer[None]:
    form = call.fields
    require(password=form.password)
    found, _ways = await set_password.look(ctx, form.token)
    credentials = set_password.Credentials(found.purpose, form.token, form.password, "password")
    signed_in = await set_password.choose_password(ctx, credentials, browser_of(ctx, call.head))
    return done.signed_in_here(ctx, call.form_cookie, State(), signed_in)


def _done(ctx: RequestContext, call: PageCall[Any], state: State) -> Answer[None]:
    return see_other(step.way_address(PAGE, step.seal_state(ctx, call.form_cookie, state)))


ROUTES = (
    page("GET", PATH, _show_forgot, TEMPLATE, "Request a new password"),
    page("POST", PATH, _forgot, TEMPLATE, "Send a link for a new password", again=_again_forgot),
    page("GET", PAGE, _show_welcome, CODE, "The page that one-time links open"),
    page("POST", PAGE, _post, CODE, "See the purpose of a one-time link, and complete it", again=_again_welcome),
)
