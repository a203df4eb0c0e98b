"""Starts and callbacks of sign-in through identity providers: browser redirects and SAML's form post."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from manifest_auth import providers, tenants
from manifest_auth.errors import (
    AccountDisabled,
    MfaRequired,
    NotFound,
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    Refusal,
    SsoFailed,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import (
    SAML_LIMIT,
    Access,
    Answer,
    Call,
    Head,
    Route,
    check_media_type,
    cookies,
    page,
    parse,
    parse_form,
    redirect,
    refuse,
)
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.request import prefers_html
from manifest_auth.http.routes import query_values
from manifest_auth.http.sign_in_answer import (
    CallbackQuery,
    ClientQuery,
    Name,
    SignInData,
    callback_params,
    clear_flow_cookie,
    redirect_outcome,
    set_flow_cookie,
    signed_in_answer,
)
from manifest_auth.pages import brands, errors
from manifest_auth.pages.call import PRODUCT, Brand, Link
from manifest_auth.pages.errors import parameters_of
from manifest_auth.pages.routing import SIGN_IN
from manifest_auth.pages.sign_in import step
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import saml, saml_requests
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS, StartRequest, choose, start_address
from manifest_auth.sign_in.providers.saml_responses import ReceivedResponse
from manifest_auth.store import StoreUnavailable, SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text import fields
from manifest_auth.text.languages import Words, catalogue, shown
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import BASE64, REQUIRED, convert, from_texts

_TRIED = "tried"  # where a request stores its names
_SIGNED_IN_AS = _("You signed in there as %(email)s.")
_SAYS_MORE = (SsoFailed, ProviderUnavailable, AccountDisabled)


class Tried(NamedTuple):
    """The names in a request to start or end such a sign-in, none of them verified. ``state``: the state of the
    sign-in."""

    client: str = ""
    provider: str = ""
    state: str = ""


class _FailedSignIn(NamedTuple):
    tenant: Tenant
    provider: Provider | None
    others: list[Provider]
    return_to: str


def note(ctx: RequestContext, tried: Tried) -> None:
    """Stores the names from the request, for its error page."""
    ctx.loaded[_TRIED] = tried


async def page_or_envelope(
    ctx: RequestContext, refusal: Refusal, head: Head, *, parameters: Collection[str] = ()
) -> Answer[None]:
    """Returns a page for browsers, the envelope for programs. ``parameters``: names that the page can show."""
    if not prefers_html(head.accept):
        return refuse(refusal, ctx.request_id)
    tried: Tried | None = ctx.loaded.get(_TRIED)
    found = await _find(ctx, tried) if tried is not None and isinstance(refusal, _SAYS_MORE) else None
    if found is None:
        t = _words(ctx, head, PRODUCT)
        way = Link(SIGN_IN, t.gettext("Go to sign-in"))
        return await errors.page_of(ctx, refusal, head, way=way, advice=_advice(refusal, t), parameters=parameters)
    return await _page(ctx, refusal, head, found)


async def _find(ctx: RequestContext, tried: Tried) -> _FailedSignIn | None:
    """Returns client and provider, from the sign-in in progress, or else by their names."""

    def work(unit: SystemUnit) -> _FailedSignIn | None:
        flow = sign_in_flows.find_by_state(unit, tried.state, ctx.now) if tried.state else None
        tenant = tenants.get(unit, flow.tenant_id) if flow else tenants.find(unit, tried.client)
        if tenant is None:
            return None
        listed = providers.list_all(unit.of(tenant.id))
        own = next((p for p in listed if (p.id == flow.provider_id if flow else p.name == tried.provider)), None)
        others = [p for p in listed if p.disabled_at is None and p is not own and KINDS[p.kind].start]
        return _FailedSignIn(tenant, own, others, flow.return_to if flow and flow.response == "cookie" else "")

    try:
        return await ctx.services.store.read(work)
    except (NotFound, StoreUnavailable):
        return None


async def _page(ctx: RequestContext, refusal: Refusal, head: Head, found: _FailedSignIn) -> Answer[None]:
    brand, client = brands.of_client(found.tenant), found.tenant.identifier
    t = _words(ctx, head, brand)
    asked = {"client": client, **({"returnTo": found.return_to} if found.return_to else {})}
    again = Link(f"{SIGN_IN}?{urlencode(asked)}", t.gettext("Try again"))
    others = []
    for provider in found.others:
        href = start_address(ctx, client, provider.kind, provider.name)
        if href and found.tenant.suspended_at is None:
            more = f"&{urlencode({'returnTo': found.return_to})}" if found.return_to else ""
            text = t.gettext("Continue with %(provider)s") % {"provider": provider.display_name or provider.name}
            others.append(Link(href + more, text))
    title = ""
    if isinstance(refusal, SsoFailed) and found.provider is not None:
        name = found.provider.display_name or found.provider.name
        title = t.gettext("Sign-in through %(provider)s failed") % {"provider": name}
    advice = _advice(refusal, t)
    return await errors.page_of(
        ctx, refusal, head, way=again, others=tuple(others), title=title, advice=advice, brand=brand
    )


def _words(ctx: RequestContext, head: Head, brand: Brand) -> Words:
    return catalogue(errors.language_of(ctx, head, brand))


def _advice(refusal: Refusal, t: Words) -> str:
    """Returns why the sign-in failed, as a sentence; empty if the error says no more than its code."""
    if not isinstance(refusal, SsoFailed) or refusal.message == refusal.sentence:
        return ""
    text = shown(refusal.message, t)
    text = text if text.endswith((".", "。")) else f"{text}."  # messages in JSON might not have one
    if not refusal.email:
        return text
    return f"{text} {t.gettext(_SIGNED_IN_AS) % {'email': refusal.email}}"


_FORM = "application/x-www-form-urlencoded"
Text = Annotated[str, Meta(max_length=2000)]


class StartQuery(msgspec.Struct, frozen=True, rename="camel"):
    """Query parameters of the start of a sign-in."""

    provider: Annotated[Name, Meta(description="Name of the provider. Optional if the client has only one.")] = ""
    client: Annotated[Name, Meta(description="Identifier of the client. Default: `X-Client-ID`, or the host.")] = ""
    return_to: Annotated[Text, Meta(description="A listed redirect URI, exactly as listed.")] = ""
    response: Annotated[
        Literal["cookie", "code"], Meta(description="`code`: the redirect URI gets a one-time code for `exchange`.")
    ] = "cookie"
    code_challenge: Annotated[
        str,
        Meta(max_length=43, description="S256 challenge (RFC 7636) for `exchange`. Required for an app's own scheme."),
    ] = ""
    invitation: Annotated[fields.TypedToken, Meta(description="Token of an open invitation.")] = ""
    login_hint: Annotated[fields.TypedEmail, Meta(description="Passed on to the provider.")] = ""
    s: Annotated[
        str, Meta(max_length=8000, description="From this server's sign-in page, instead of the parameters above.")
    ] = ""


class SamlBody(msgspec.Struct, frozen=True, rename="camel"):
    saml_response: Annotated[str, Meta(min_length=1, max_length=480 * 1024, extra_json_schema=BASE64)]
    relay_state: Annotated[str, Meta(max_length=2000)] = ""


class SamlForm(msgspec.Struct, frozen=True):
    """The form that a provider's page posts."""

    SAMLResponse: Annotated[str, Meta(extra_json_schema={"minLength": 1, **BASE64})]
    RelayState: str = ""


def _redirect_to_public_address(ctx: RequestContext, call: Call[Any], path: str) -> Answer[None] | None:
    """Redirects a browser on a client's subdomain to the public address. Providers respond there, so the cookie that
    binds the sign-in must be set there."""
    settings, client = ctx.services.settings, ctx.client_hint.resolve(call.parameters.client)
    if not client or ctx.client_hint.subdomain is None:
        return None
    if call.parameters.invitation:  # the redirect, and logs on the way, would contain it
        raise ValidationError(
            details=[("invitation", f"Start at {settings.public_url}, where providers send responses")]
        )
    query = urlencode({**query_values(call.query), "client": client})
    return redirect(f"{settings.public_url.rstrip('/')}{path}?{query}")


async def _start_request(ctx: RequestContext, call: Call[Any]) -> StartRequest | None:
    """Returns the requested sign-in; None if the page that started it is too old or belongs to another browser."""
    q: StartQuery = call.parameters
    if q.s:
        return await _start_request_of_page(ctx, call, q)
    return StartRequest(
        provider=q.provider or None,
        client=ctx.client_hint.resolve(q.client),
        return_to=q.return_to,
        response=q.response,
        challenge=q.code_challenge,
        invitation=q.invitation,
        devices=browser_of(ctx, call.head).devices,
        login_hint=q.login_hint,
    )


async def _start_request_of_page(ctx: RequestContext, call: Call[Any], q: StartQuery) -> StartRequest | None:
    state = await step.unseal_state(ctx, cookies.shown_form_cookie(call.head, ctx.services.settings), q.s)
    if state is None or (q.client and state.client not in ("", q.client)):
        return None
    return StartRequest(
        provider=q.provider or None,
        client=q.client or state.client or None,
        return_to=state.return_to,
        response=state.response,
        challenge=state.challenge,
        invitation="",
        devices=browser_of(ctx, call.head).devices,
        invitation_id=state.invitation_id,
        login_hint=state.email,
    )


def _start(kind: Kind[Any, Any]) -> Route:
    async def begin(ctx: RequestContext, call: Call[None]) -> Answer[None]:
        if (answer := _redirect_to_public_address(ctx, call, kind.start)) is not None:
            return answer
        note(ctx, Tried(call.parameters.client, call.parameters.provider))
        asked = await _start_request(ctx, call)
        if asked is None:
            return redirect(f"{SIGN_IN}?s=old")
        beginning = await kind.begin(ctx, await choose(ctx, kind, asked), asked.login_hint)
        headers = (set_flow_cookie(ctx, beginning.begun, cross_site=kind.cross_site),)
        if beginning.page is None:
            return redirect(beginning.address, headers=headers)
        return page(*beginning.page, headers=headers)

    sends = ("text/html",) if kind.cross_site else ()
    return Route(
        "GET",
        kind.start,
        begin,
        Access.OPEN,
        kind.summary,
        status=302,
        query=StartQuery,
        sends=sends,
        refusals=_START_REFUSALS,
        refused=_START_REFUSED,
        operation=f"start{kind.name.capitalize()}SignIn",
    )


async def _saml_response(ctx: RequestContext, call: Call[bytes]) -> Answer[Any]:
    """Handles a SAML response: the browser's form post, or a JSON body, at the same address."""
    kind = (call.head.content_type or "").partition(";")[0].strip().lower()
    client = ctx.client_hint.resolve(call.parameters.client)
    cookie_of: Callable[[str], str | None] = call.head.cookie
    if kind == _FORM:
        if call.head.content_encoding not in (None, "", "identity"):
            raise UnsupportedMediaType()
        form = from_texts(parse_form(call.body), SamlForm)
        if not form.SAMLResponse:
            raise ValidationError(details=[("SAMLResponse", REQUIRED)])
        received = ReceivedResponse(form.SAMLResponse, form.RelayState, client)
        note(ctx, Tried(client or "", "", received.relay_state))
        try:
            flow, outcome = await saml.KIND.end(ctx, received, cookie_of, browser_of(ctx, call.head))
        except MfaRequired as due:
            return await step.begin_after_provider(ctx, due, call.head)
        return redirect_outcome(ctx, outcome, 303, clear_flow_cookie(ctx, flow, cross_site=True))
    check_media_type(call.head)
    body = convert(parse(call.body), SamlBody, ignore_unknown=True)
    received = ReceivedResponse(body.saml_response, body.relay_state, client)
    flow, outcome = await saml.KIND.end(ctx, received, cookie_of, browser_of(ctx, call.head))
    if outcome.signed_in is not None:
        return signed_in_answer(ctx, outcome.signed_in, clear_flow_cookie(ctx, flow, cross_site=True))
    return redirect_outcome(ctx, outcome, 303, clear_flow_cookie(ctx, flow, cross_site=True))


def _callbacks(kind: Kind[Any, Any]) -> Iterator[Route]:
    for path, summary in kind.callbacks:
        shared = "Shared" if len(kind.callbacks) > 1 and "{provider}" not in path else ""

        async def end(ctx: RequestContext, call: Call[None], path: str = path) -> Answer[None]:
            callback_address = ctx.services.settings.public_url.rstrip("/") + path.format_map(call.path)
            returned = callback_params(call, callback_address)
            note(ctx, Tried(call.path.get("client", ""), call.path.get("provider", ""), returned.state))
            try:
                flow, outcome = await kind.end(ctx, returned, call.head.cookie, browser_of(ctx, call.head))
            except MfaRequired as due:
                return await step.begin_after_provider(ctx, due, call.head)
            return redirect_outcome(ctx, outcome, 302, clear_flow_cookie(ctx, flow, cross_site=kind.cross_site))

        yield Route(
            "GET",
            path,
            end,
            Access.OPEN,
            summary,
            status=302,
            redirects=(303,),
            query=CallbackQuery,
            refusals=END_REFUSALS,
            refused=page_or_envelope,
            operation=f"end{shared}{kind.name.capitalize()}SignIn",
        )


_START_REFUSED = partial(page_or_envelope, parameters=parameters_of(StartQuery))
_START_REFUSALS = (ValidationError, NotFound, SsoFailed, AccountDisabled, RateLimited, ProviderUnavailable)
END_REFUSALS = (ValidationError, SsoFailed, AccountDisabled, MfaRequired, ProviderUnavailable)
ROUTES = (
    *(_start(kind) for kind in KINDS.values() if kind.start),
    Route("POST", saml_requests.START, _saml_response, Access.OPEN,
          "Sign in with a SAML response: JSON, or the provider's form post", body=SamlBody, data=SignInData,
          limit=SAML_LIMIT, raw=True, ignore_unknown=True, also_form=SamlForm, redirects=(303,), query=ClientQuery,
          refusals=(*END_REFUSALS, RateLimited, Overloaded),
          refused=page_or_envelope, operation="signInWithSaml"),
    *(route for kind in KINDS.values() for route in _callbacks(kind)),
)  # fmt: skip
