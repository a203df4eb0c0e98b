"""``/o/CLIENT/authorize`` and ``/o/CLIENT/logout``, to which apps send browsers, and the questions on the way.

A request is checked on arrival and then sealed. In that form it passes through this server's sign-in and back. A posted
request continues with a GET, because browsers don't send this server's cookies with another site's post.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts.apps import App
from manifest_auth.context import Principal
from manifest_auth.errors import Forbidden, NotFound, Refusal, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Head, Header, Route, cookies, identification, redirect
from manifest_auth.http import page as plain_page
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.request import check_form_type
from manifest_auth.pages import brands, errors, languages, rendering, scopes, security, submissions
from manifest_auth.pages.call import Brand, Link, PageCall, View, see_other
from manifest_auth.pages.routing import OF_APPS, SIGN_IN, page
from manifest_auth.pages.sign_in import done, step
from manifest_auth.pages.sign_in.step import State
from manifest_auth.protocols import authorization
from manifest_auth.protocols.authorization import Denied, Target, Wanted
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sign_in import return_addresses, session_lifecycle
from manifest_auth.sign_in.apps import authentication, authorizing, logout
from manifest_auth.sign_in.apps.authentication import Issuer
from manifest_auth.sign_in.apps.authorizing import Needs, NotForUser
from manifest_auth.sign_in.apps.logout import Asked
from manifest_auth.store import StoreUnavailable
from manifest_auth.text import fields
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import from_texts

_To = Target | Wanted
_ISSUER = f"{OF_APPS}{{client}}"
AUTHORIZE, LOGOUT = f"{_ISSUER}/authorize", f"{_ISSUER}/logout"
CONSENT, SIGN_OUT = f"{_ISSUER}/consent", f"{_ISSUER}/sign-out"
_SHOWN = "issuer"  # where a request stores its issuer, for the error page
_NOT_IN, _SIGNED_OUT = _("You're not signed in to the app"), _("You're signed out")
_TITLE, _ADVICE = _("You can't use this app"), _("You don't have access to this app. Contact your administrator.")


def _shown_issuer(ctx: RequestContext, call: Call[Any]) -> Issuer:
    """Returns the called issuer. Errors are shown with the branding of its client. Raises NotFound."""
    issuer = ctx.loaded[_SHOWN] = authentication.issuer_of(ctx, call.path["client"])
    return issuer


async def _requested(ctx: RequestContext, call: Call[Any], raw: bytes) -> tuple[Issuer, App, Wanted] | Answer[None]:
    """Returns the app and its request, or the response that tells the app why it is rejected. Raises ValidationError
    for an invalid app or address, in which case no app can be told."""
    issuer = _shown_issuer(ctx, call)
    given, twice = authorization.read_parameters(raw)
    client_id, address = authorization.address_of(given, twice)
    app = await authentication.find(ctx, issuer, client_id)
    if app is None:
        raise ValidationError(details=[("client_id", "Not the ID of an app of this issuer")])
    if not app.is_redirect(address):
        raise ValidationError(details=[("redirect_uri", "The app doesn't list exactly this value")])
    target = authorization.target_of(given, twice)
    try:
        wanted = authorization.read_request(given, twice, app.scopes.split(), ctx.now)
        if hint := given.get("id_token_hint"):
            claims = await tokens.read_id_token(ctx.services.keys, issuer.url, hint)
            if claims is None or claims.aud != app.id:
                raise Denied("invalid_request", "id_token_hint isn't an ID token of this issuer for this app")
            if wanted.subs is not None and claims.sub not in wanted.subs:
                raise Denied("login_required", "id_token_hint and claims name different users")
            wanted = msgspec.structs.replace(wanted, subs=frozenset({claims.sub}))
    except Denied as denied:
        return await _to_app(ctx, call.head, issuer, target, denied.told, direct=True)
    return issuer, app, wanted


async def _authorize(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    path = AUTHORIZE.format(client=authentication.issuer_of(ctx, call.path["client"]).client)
    if (address := security.elsewhere(ctx, call.head, path, call.query)) is not None:
        return redirect(address)
    if call.query.startswith(b"s="):
        return await _resume(ctx, call)
    asked = await _requested(ctx, call, call.query)
    return asked if isinstance(asked, Answer) else await _answer(ctx, call.head, *asked, direct=True)


async def _posted(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    check_form_type(call.head)
    asked = await _requested(ctx, call, call.body)
    if isinstance(asked, Answer):
        return asked
    issuer, _app, wanted = asked
    await ctx.services.keys.ensure_current()
    return see_other(return_addresses.of_app(issuer.client, _seal(ctx, issuer, wanted), mfa=False))


async def _resume(ctx: RequestContext, call: Call[Any]) -> Answer[None]:
    """Continues a request after a sign-in, or one that was posted."""
    query = call.query.decode("latin-1")
    issuer = _shown_issuer(ctx, call)
    wanted = await _unseal(ctx, call.head, issuer, query[2:].partition("&")[0])
    app = await _app_of(ctx, issuer, wanted)
    if return_addresses.is_denied(query):
        denied = Denied("access_denied", "the user can't sign in")
        return await _to_app(ctx, call.head, issuer, wanted, denied.told)
    return await _answer(ctx, call.head, issuer, app, wanted)


def _seal(ctx: RequestContext, issuer: Issuer, wanted: Wanted) -> str:
    return security.seal(ctx, f"authorize {issuer.client}", msgspec.json.encode(wanted))


async def _unseal(ctx: RequestContext, head: Head, issuer: Issuer, text: str) -> Wanted:
    """Returns the request. A request from another browser starts over, because no earlier sign-in was for it. Raises
    NotFound for a request that this server didn't seal, another issuer's, or one older than an hour."""
    opened = await security.unseal(ctx, f"authorize {issuer.client}", text)
    wanted = msgspec.json.decode(opened, type=Wanted) if opened is not None else None
    if wanted is None or not security.is_fresh(wanted.made_at, ctx.now):
        raise NotFound(reason="an authorization request that is forged, from a different issuer, or too old")
    is_of_browser = wanted.mark and wanted.mark == cookies.shown_form_cookie(head, ctx.services.settings)
    return wanted if is_of_browser else msgspec.structs.replace(wanted, made_at=ctx.now)


async def _app_of(ctx: RequestContext, issuer: Issuer, wanted: Wanted) -> App:
    """Returns the current app of a sealed request. Raises NotFound if it can no longer make the request."""
    app = await authentication.find(ctx, issuer, wanted.app_id)
    if app is None or not app.is_redirect(wanted.redirect_uri) or not set(wanted.scope) <= set(app.scopes.split()):
        raise NotFound(reason="the app was removed or changed in the meantime")
    return app


async def _answer(
    ctx: RequestContext, head: Head, issuer: Issuer, app: App, wanted: Wanted, *, direct: bool = False
) -> Answer[None]:
    """Returns a code for the app, or the page for what is needed first. ``direct``: no form of this server led here."""
    user = await identification.of_client(ctx, head, issuer.client)
    try:
        found = await authorizing.decide(ctx, app, wanted, user, browser_of(ctx, head).trust)
    except Denied as denied:
        if isinstance(denied, NotForUser) and not wanted.silent:
            return await _not_for_user(ctx, head, issuer, wanted, user)
        return await _to_app(ctx, head, issuer, wanted, denied.told, direct=direct)
    if isinstance(found, str):
        return await _to_app(ctx, head, issuer, wanted, {"code": found}, direct=direct)
    await ctx.services.keys.ensure_current()
    settings = ctx.services.settings
    mark = cookies.shown_form_cookie(head, settings) or cookies.new_form_cookie(ctx)
    if found in (Needs.CONSENT, Needs.PRESS):
        sealed = _seal(ctx, issuer, msgspec.structs.replace(wanted, mark=mark))
        address = f"{CONSENT.format(client=issuer.client)}?s={sealed}"
    else:
        email = step.hinted(wanted.login_hint) or ("" if user is None else user.email)
        address = _sign_in_address(ctx, mark, issuer, app, wanted, email)
    return see_other(address, (cookies.form_cookie_line(mark, settings),))


def _sign_in_address(ctx: RequestContext, mark: str, issuer: Issuer, app: App, wanted: Wanted, email: str = "") -> str:
    """Returns the address of this client's sign-in, which leads back, to choose an account. A session with another
    client stays."""
    sealed = _seal(ctx, issuer, msgspec.structs.replace(wanted, mark=mark, select=False))
    mfa = wanted.mfa or bool(app.second_factor)
    return_to = return_addresses.of_app(issuer.client, sealed, mfa=mfa, anew=wanted.asks_anew)
    state = State(client=issuer.client, email=email, return_to=return_to, anew=True)
    asked = (tag.partition("-")[0].lower() for tag in wanted.language.split())
    language = next((tag for tag in asked if tag in languages.LANGUAGES), "")
    address = step.way_address(SIGN_IN, step.seal_state(ctx, mark, state))
    return f"{address}&lang={language}" if language else address


async def _to_app(
    ctx: RequestContext, head: Head, issuer: Issuer, to: _To, values: dict[str, str], *, direct: bool = False
) -> Answer[None]:
    """Returns the response to the app. After a form of this server, it is a page, because browsers apply
    ``form-action`` to redirects."""
    told = {**values, "state": to.state, "iss": issuer.url}
    if to.form_post:
        return plain_page(*authorization.post_page(to.redirect_uri, told))
    address = authorization.redirect_address(to.redirect_uri, told)
    if direct:
        return redirect(address)
    return await _leave(ctx, head, issuer, address, _NOT_IN if "error" in values else done.SIGNED_IN)


async def _leave(
    ctx: RequestContext, head: Head, issuer: Issuer, address: str, title: str, headers: tuple[Header, ...] = ()
) -> Answer[None]:
    view = View(done.leaving(address, title), headers=headers, template=done.ENDING_TEMPLATE)
    return await _show(ctx, head, issuer, view)


async def _show(ctx: RequestContext, head: Head, issuer: Issuer, view: View) -> Answer[None]:
    view.brand = await _brand(ctx, issuer)
    language = errors.language_of(ctx, head, view.brand)
    call = PageCall(head=head, fields=None, path={}, here="/", language=language, form_cookie="", user=None)
    return await rendering.render(ctx, call, view, forms=False)


async def _brand(ctx: RequestContext, issuer: Issuer) -> Brand:
    return brands.of_client(await ctx.services.store.read(lambda unit: tenants.find(unit, issuer.client)))


async def _not_for_user(
    ctx: RequestContext, head: Head, issuer: Issuer, wanted: Wanted, user: Principal | None
) -> Answer[None]:
    """Returns the page that informs the user, who then returns to the app."""
    await ctx.services.keys.ensure_current()
    brand = brands.of_user(user)
    t = catalogue(errors.language_of(ctx, head, brand))
    back = return_addresses.denied(return_addresses.of_app(issuer.client, _seal(ctx, issuer, wanted), mfa=False))
    return await errors.page_of(
        ctx,
        Forbidden(reason="the user has none of the app's roles"),
        head,
        way=Link(back, t.gettext(step.BACK)),
        title=t.gettext(_TITLE),
        advice=t.gettext(_ADVICE),
        brand=brand,
    )


async def _refused(ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
    """Returns a page with the branding of the issuer's client, because nothing is sent to an address that no app of
    this issuer lists."""
    shown = {"client_id", "redirect_uri", "post_logout_redirect_uri", "state"}
    brand = None
    with contextlib.suppress(StoreUnavailable):
        brand = await _brand(ctx, issuer) if (issuer := ctx.loaded.get(_SHOWN)) else None
    return await errors.page_of(ctx, refusal, head, parameters=shown, brand=brand)


# Only a page of this server asks for consent, and its form has a token like every form.


class ConsentQuery(msgspec.Struct, frozen=True):
    s: Annotated[str, Meta(max_length=8000)] = ""


class ConsentForm(msgspec.Struct, frozen=True):
    s: str = ""
    act: Literal["", "approve", "decline"] = ""


async def _consent(ctx: RequestContext, call: PageCall[ConsentQuery]) -> View | Answer[None]:
    """Shows the question. If it was already answered, the answer goes to the app, once: a reload would use its code
    again."""
    issuer = authentication.issuer_of(ctx, call.path["client"])
    wanted = await _unseal(ctx, call.head, issuer, call.fields.s)
    if (values := call.shown_as(dict[str, str])) is not None and await submissions.forget(ctx, call.key):
        return await _to_app(ctx, call.head, issuer, wanted, values)
    app = await _app_of(ctx, issuer, wanted)
    if call.user is None:
        return see_other(return_addresses.of_app(issuer.client, _seal(ctx, issuer, wanted), mfa=False))
    user = call.user
    view = SimpleNamespace(
        s=call.fields.s,
        action=CONSENT.format(client=issuer.client),
        app=app.name,
        name=f"{user.first_name} {user.last_name}".strip() or user.email,
        email=user.email,
        client=brands.of_user(user).name,
        scopes=scopes.in_words(wanted.scope),
        other=_sign_in_address(ctx, call.form_cookie, issuer, app, wanted),
    )
    return View(view, brand=brands.of_user(user))


async def _consented(ctx: RequestContext, call: PageCall[ConsentForm]) -> View | Answer[None]:
    issuer = authentication.issuer_of(ctx, call.path["client"])
    wanted = await _unseal(ctx, call.head, issuer, call.fields.s)
    app = await _app_of(ctx, issuer, wanted)
    user, trust = call.user, browser_of(ctx, call.head).trust
    found: str | Needs = Needs.SIGN_IN
    try:
        if user is not None and call.fields.act == "decline":
            raise await authorizing.declined(ctx, app, user)
        if user is not None and call.fields.act == "approve":
            found = await authorizing.decide(ctx, app, wanted, user, trust, approved=True)
    except Denied as denied:
        told = denied.told
    else:
        if isinstance(found, Needs):
            return see_other(return_addresses.of_app(issuer.client, call.fields.s, mfa=False))
        told = {"code": found}
    return call.show_once(f"{CONSENT.format(client=issuer.client)}?s={call.fields.s}", told)


# Sign-out at an app's request. The request is read again at each step.


class LogoutForm(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parameters of RP-Initiated Logout 1.0."""

    id_token_hint: Annotated[str, Meta(max_length=8000)] = ""
    client_id: fields.TypedToken = ""
    post_logout_redirect_uri: Annotated[str, Meta(max_length=2000)] = ""
    state: Annotated[str, Meta(max_length=2048)] = ""

    def at(self, path: str, client: str) -> str:
        return f"{path.format(client=client)}?{urlencode(msgspec.to_builtins(self))}"


def _read_logout(raw: bytes) -> LogoutForm:
    given, twice = authorization.read_parameters(raw)
    if twice:
        raise ValidationError(details=[(next(iter(twice))[:64], "The parameter was sent more than once")])
    return from_texts(given, LogoutForm)


async def _logout(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    issuer = _shown_issuer(ctx, call)
    if (address := security.elsewhere(ctx, call.head, LOGOUT.format(client=issuer.client), call.query)) is not None:
        return redirect(address)
    form = _read_logout(call.query)
    user = await identification.of_client(ctx, call.head, issuer.client)
    asked = await logout.read(ctx, issuer, msgspec.to_builtins(form), user)
    if user is not None and not asked.is_proved:
        return see_other(form.at(SIGN_OUT, issuer.client))
    if user is not None:
        await session_lifecycle.sign_out(ctx)
    return await _signed_out(ctx, call.head, issuer, asked, direct=True)


async def _posted_logout(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    check_form_type(call.head)
    issuer = authentication.issuer_of(ctx, call.path["client"])
    return see_other(_read_logout(call.body).at(LOGOUT, issuer.client))


async def _signed_out(
    ctx: RequestContext, head: Head, issuer: Issuer, asked: Asked, *, direct: bool = False
) -> Answer[None]:
    """Ends the cookies of the browser's session after its end."""
    headers: tuple[Header, ...] = ()
    if ctx.by_cookie:
        form = cookies.form_cookie_line(cookies.new_form_cookie(ctx), ctx.services.settings)
        headers = (*await cookies.after_sign_out(ctx, head), form)
    if not asked.return_to:
        return await _show(ctx, head, issuer, View(headers=headers, template="sign_in/out.html"))
    address = authorization.redirect_address(asked.return_to, {"state": asked.state})
    if direct:
        return redirect(address, headers=headers)
    return await _leave(ctx, head, issuer, address, _SIGNED_OUT, headers)


async def _ask(ctx: RequestContext, call: PageCall[LogoutForm]) -> View | Answer[None]:
    issuer, given = authentication.issuer_of(ctx, call.path["client"]), msgspec.to_builtins(call.fields)
    asked = await logout.read(ctx, issuer, given, call.user)
    if call.user is None:
        return await _signed_out(ctx, call.head, issuer, asked)
    action = SIGN_OUT.format(client=issuer.client)
    return View(SimpleNamespace(given=given, action=action), brand=brands.of_user(call.user))


async def _end(ctx: RequestContext, call: PageCall[LogoutForm]) -> View | Answer[None]:
    issuer = authentication.issuer_of(ctx, call.path["client"])
    asked = await logout.read(ctx, issuer, msgspec.to_builtins(call.fields), call.user)
    if call.user is not None:
        await session_lifecycle.sign_out(ctx)
    return await _signed_out(ctx, call.head, issuer, asked)


def _route(method: str, path: str, handler: Any, summary: str, operation: str) -> Route:
    return Route(
        method,
        path,
        handler,
        Access.OPEN,
        summary,
        status=302,
        redirects=(303,),
        limit=AUTH_LIMIT,
        raw=method == "POST",
        sends=("text/html",),
        refusals=(ValidationError, NotFound),
        refused=_refused,
        operation=operation,
    )


ROUTES = (
    _route("GET", AUTHORIZE, _authorize, "Sign a user in to an app", "authorize"),
    _route("POST", AUTHORIZE, _posted, "Sign a user in to an app, with a form", "authorizeByForm"),
    _route("GET", LOGOUT, _logout, "Sign a user out at an app's request", "endSession"),
    _route("POST", LOGOUT, _posted_logout, "Sign a user out at an app's request, with a form", "endSessionByForm"),
)
PAGES = (
    page("GET", CONSENT, _consent, "sign_in/consent.html", "Ask for consent to an app"),
    page(
        "POST",
        CONSENT,
        _consented,
        "sign_in/consent.html",
        "Give an app access, or decline",
        once=True,
        shows_again=False,
    ),
    page("GET", SIGN_OUT, _ask, "sign_in/out_of_apps.html", "Confirm a sign-out that an app requested"),
    page("POST", SIGN_OUT, _end, "sign_in/out_of_apps.html", "Sign out, and end apps' sessions", shows_again=False),
)
