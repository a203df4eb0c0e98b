"""``/sign-in``: the start of a sign-in, with the password, a passkey or the email address."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors.challenges import Pending, Purpose
from manifest_auth.errors import InvalidCredentials, OtherClient, ValidationError
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands, errors, languages
from manifest_auth.pages.call import Link, PageCall, View, found, require, see_other
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.pages.sign_in import done, step
from manifest_auth.pages.sign_in.step import State, StateQuery
from manifest_auth.pages.words import PasskeyOfAnother
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes, password
from manifest_auth.sign_in.passkeys import sign_in as passkeys
from manifest_auth.sign_in.passkeys.sign_in import PasskeyAnswer
from manifest_auth.sign_in.password import Claim, Credentials
from manifest_auth.sign_in.providers import kinds
from manifest_auth.tenants import Tenant
from manifest_auth.text import fields
from manifest_auth.text.canonical import check_email
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

PASSWORD = f"{SIGN_IN}/password"
_NO_SETTINGS = "{}"  # while the client is unknown: only pages of this server
TEMPLATE = "sign_in/sign_in.html"


class SignInQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The query with which an application sends a user here. ``s``: the state of an earlier sign-in, instead of all
    other parameters."""

    client: Annotated[str, Meta(max_length=63)] = ""
    return_to: Annotated[str, Meta(max_length=6000)] = ""
    response: Literal["cookie", "code"] = "cookie"
    code_challenge: Annotated[str, Meta(max_length=43)] = ""
    login_hint: fields.TypedEmail = ""
    prompt: fields.TypedToken = ""
    lang: Annotated[str, Meta(max_length=35)] = ""
    s: Annotated[str, Meta(max_length=8000)] = ""


class EmailForm(msgspec.Struct, frozen=True):
    s: str = ""
    email: fields.TypedEmail = ""


class PasswordForm(EmailForm, frozen=True):
    password: fields.TypedPassword = ""


async def _state_of(ctx: RequestContext, call: PageCall[SignInQuery]) -> tuple[State, bool]:
    """Returns the state of the sign-in, and whether it had to start again."""
    q = call.fields
    if q.s:
        known = await step.unseal_state(ctx, call.form_cookie, q.s)
        return known or State(), known is None
    state = State(
        client=q.client,
        email=step.hinted(q.login_hint),
        return_to=q.return_to,
        response=q.response,
        challenge=q.code_challenge,
        anew=q.prompt == "login",
    )
    return state, False


def _check(tenant: Tenant | None, state: State) -> None:
    """Rejects parameters with which a sign-in couldn't end, immediately. Raises ValidationError."""
    step.end_of(_NO_SETTINGS if tenant is None else tenant.settings, state)
    exchange_codes.check_challenge(state.challenge, is_needed=state.response == "code")


async def _show_start(ctx: RequestContext, call: PageCall[SignInQuery]) -> View | Answer[None]:
    state, fresh = await _state_of(ctx, call)
    if call.fields.lang in languages.LANGUAGES:
        call.headers.append(languages.cookie_line(call.fields.lang, ctx.services.settings))
    tenant = await step.client_of(ctx, state)
    _check(tenant, state)
    view = await step.view_of(ctx, call, state, tenant, fresh=fresh)
    call.here = step.way_address(SIGN_IN, view.s)
    user = call.user
    if user is not None and user.is_device and state.response == "code":
        user = None  # the session must not give an app anything
    if user is not None and not state.anew and (tenant is None or tenant.id == user.tenant_id):
        if state.return_to and state.response == "cookie":
            return found(done.end_for(user.tenant_settings, user.roles, state))
        return View(done.continue_view(ctx, call, state), brand=brands.of_user(user), template=done.CONTINUE)
    return View(view, brand=brands.of_client(tenant))


async def _again_start(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s) or State()
    view = await step.view_of(ctx, call, msgspec.structs.replace(state, email=""), None)
    call.here = step.way_address(SIGN_IN, view.s)
    return View(msgspec.structs.replace(view, email=call.fields.email))


async def _email(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    """Handles the email address. The next page depends only on the domain, never on whether the account exists."""
    form = call.fields
    if form.password:
        return await _sign_in(ctx, call)
    state = await step.unseal_state(ctx, call.form_cookie, form.s)
    if state is None:
        return see_other(step.way_address(SIGN_IN, "old"))
    require(email=form.email)
    check_email(form.email)
    ways_in = await kinds.discover(ctx, form.email, None)
    state = msgspec.structs.replace(state, email=form.email, client=ways_in.client, anew=True)
    path = SIGN_IN if ways_in.client else PASSWORD
    return see_other(step.way_address(path, step.seal_state(ctx, call.form_cookie, state)))


async def _show(ctx: RequestContext, call: PageCall[StateQuery]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s)
    if state is None or not state.email:
        return see_other(step.way_address(SIGN_IN, "old") if state is None else SIGN_IN)
    return await _form(ctx, call, state)


async def _form(ctx: RequestContext, call: PageCall[Any], state: State) -> View:
    tenant = await step.client_of(ctx, state)
    view = await step.view_of(ctx, call, state, tenant)
    call.here = step.way_address(SIGN_IN if tenant is not None else PASSWORD, view.s)
    return View(view, brand=brands.of_client(tenant))


async def _again(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s)
    if state is None:
        return see_other(step.way_address(SIGN_IN, "old"))
    return await _form(ctx, call, msgspec.structs.replace(state, email=call.fields.email))


async def _sign_in(ctx: RequestContext, call: PageCall[PasswordForm]) -> View | Answer[None]:
    form = call.fields
    state = await step.unseal_state(ctx, call.form_cookie, form.s)
    if state is None:
        return see_other(step.way_address(SIGN_IN, "old"))
    require(email=form.email, password=form.password)
    browser = browser_of(ctx, call.head)
    claim = Claim(form.email, state.client or None, browser.devices)
    credentials = Credentials(claim, form.password, browser.cookie, browser.trust, browser.beside)
    purpose: Purpose = "code" if state.response == "code" else "session"
    pending = Pending(purpose, state.return_to, state.response, state.challenge)
    if purpose == "code":
        (tenant, user, *_proof), code = await password.sign_in_for_code(ctx, credentials, pending)
        end = step.end_of(tenant.settings, state, user.roles)
        return done.handed_over(ctx, call.form_cookie, state, tenant.identifier, end, code)
    return done.signed_in_here(ctx, call.form_cookie, state, await password.sign_in(ctx, credentials, pending))


PATH = f"{SIGN_IN}/passkey"
#: A credential as ``PublicKeyCredential.toJSON()`` writes it (WebAuthn Level 3, section 5.1), as text.
Credential = Annotated[str, Meta(max_length=16_000)]
NOT_ACCEPTED = _("This passkey doesn't work here. Try again, or use a different sign-in method.")
NOT_MADE = _("The passkey couldn't be set up. Try again.")
_THERE = _("Go to its sign-in page")


class PasskeyForm(StateQuery, frozen=True):
    credential: Credential = ""


def read_passkey(text: str, problem: str = NOT_ACCEPTED) -> dict[str, Any]:
    """Returns the credential that a module put into a field. Raises ValidationError with ``problem``, also if it is
    missing because no script ran."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise ValidationError(details=[("", problem)], reason="no credential in the form") from None


def passkey_json(options: dict[str, Any]) -> str:
    """Returns options for a module, as the value of an attribute."""
    return msgspec.json.encode(options).decode()


async def _passkey_form(ctx: RequestContext, call: PageCall[PasskeyForm], state: State, unknown: str = "") -> View:
    tenant = await step.client_of(ctx, state)
    view = await step.view_of(ctx, call, state, tenant)
    call.here = step.way_address(SIGN_IN, view.s)
    return View(msgspec.structs.replace(view, unknown=unknown), brand=brands.of_client(tenant))


async def _again_passkey(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s)
    if state is None:
        return see_other(step.way_address(SIGN_IN, "old"))
    return await _passkey_form(ctx, call, state, ctx.loaded.get(_UNKNOWN, ""))


async def _sign_in_passkey(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s)
    if state is None:
        return see_other(step.way_address(SIGN_IN, "old"))
    credential = read_passkey(call.fields.credential)
    given = PasskeyAnswer(credential, call.form_cookie, state.client or None, browser_of(ctx, call.head))
    try:
        if state.response != "code":
            pending = Pending(return_to=state.return_to)
            return done.signed_in_here(ctx, call.form_cookie, state, await passkeys.sign_in(ctx, given, pending))
        pending = Pending("code", state.return_to, state.response, state.challenge)
        (tenant, user, *_proof), code = await passkeys.sign_in_for_code(ctx, given, pending)
    except OtherClient as refusal:
        return await _elsewhere(ctx, call, refusal)
    except InvalidCredentials as refusal:
        if any(detail == ("credential", "unknown") for detail in refusal.details):
            ctx.loaded[_UNKNOWN] = str(credential.get("id", ""))
        raise InvalidCredentials(details=[("", NOT_ACCEPTED)], reason=refusal.reason, replay=refusal.replay) from None
    end = step.end_of(tenant.settings, state, user.roles)
    return done.handed_over(ctx, call.form_cookie, state, tenant.identifier, end, code)


async def _elsewhere(ctx: RequestContext, call: PageCall[Any], refusal: OtherClient) -> Answer[None]:
    """Offers the sign-in of the passkey's client. The user has shown that they own the passkey, so the page can name
    its client."""
    tenant = await step.client_of(ctx, State(client=refusal.client))
    brand = brands.of_client(tenant)
    t = catalogue(call.language or brand.language)
    there = step.way_address(SIGN_IN, step.seal_state(ctx, call.form_cookie, State(client=refusal.client, anew=True)))
    shown = PasskeyOfAnother(reason=refusal.reason)
    return await errors.page_of(ctx, shown, call.head, way=Link(there, t.gettext(_THERE)), brand=brand)


_UNKNOWN = "passkey-unknown"  # where a request stores the ID of a removed passkey


ROUTES = (
    page("GET", SIGN_IN, _show_start, TEMPLATE, "Sign in"),
    page(
        "POST",
        SIGN_IN,
        _email,
        TEMPLATE,
        "Enter the email address, and continue to the sign-in methods of its domain",
        again=_again_start,
    ),
    page("GET", PASSWORD, _show, TEMPLATE, "The password, after the email address"),
    page("POST", PASSWORD, _sign_in, TEMPLATE, "Sign in with email address and password", again=_again),
    page(
        "POST", PATH, _sign_in_passkey, TEMPLATE, "Sign in with only a passkey", again=_again_passkey, form_at=SIGN_IN
    ),
)
