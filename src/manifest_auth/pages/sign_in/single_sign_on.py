"""Starts and callbacks of sign-in through identity providers: what browsers follow, and SAML's post."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from manifest_auth.errors import (
    AccountDisabled,
    MfaRequired,
    NotFound,
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    SsoFailed,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import (
    SAML_LIMIT,
    Access,
    Answer,
    Call,
    Route,
    check_media_type,
    cookies,
    page,
    parse,
    parse_form,
    redirect,
)
from manifest_auth.http.cookies import browser_of
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
from manifest_auth.pages.errors import parameters_of
from manifest_auth.pages.routing import SIGN_IN
from manifest_auth.pages.sign_in import provider_errors, step
from manifest_auth.pages.sign_in.provider_errors import Tried
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import saml, saml_requests
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS, StartRequest, choose
from manifest_auth.sign_in.providers.saml_responses import ReceivedResponse
from manifest_auth.text import fields
from manifest_auth.text.json_schema import BASE64
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import convert, from_texts

_FORM = "application/x-www-form-urlencoded"
Text = Annotated[str, Meta(max_length=2000)]


class StartQuery(msgspec.Struct, frozen=True, rename="camel"):
    """Query parameters of the start of a sign-in."""

    provider: Annotated[Name, Meta(description="Name of the provider; optional where the client has only one.")] = ""
    client: Annotated[Name, Meta(description="Client; else `X-Client-ID`, else the host.")] = ""
    return_to: Annotated[Text, Meta(description="A listed return address, exactly as listed.")] = ""
    response: Annotated[
        Literal["cookie", "code"], Meta(description="`code`: the return address gets a one-time code for `exchange`.")
    ] = "cookie"
    code_challenge: Annotated[
        str, Meta(max_length=43, description="S256 challenge (RFC 7636) for `exchange`; an app's own scheme needs it.")
    ] = ""
    invitation: Annotated[fields.TypedToken, Meta(description="Token of an open invitation.")] = ""
    login_hint: Annotated[fields.TypedEmail, Meta(description="Passed on to the provider.")] = ""
    s: Annotated[str, Meta(max_length=8000, description="Of our own sign-in page, in place of what is above.")] = ""


class SamlBody(msgspec.Struct, frozen=True, rename="camel"):
    saml_response: Annotated[str, Meta(min_length=1, max_length=480 * 1024, extra_json_schema=BASE64)]
    relay_state: Annotated[str, Meta(max_length=2000)] = ""


class SamlForm(msgspec.Struct, frozen=True):
    """What a provider's page posts."""

    SAMLResponse: Annotated[str, Meta(extra_json_schema={"minLength": 1, **BASE64})]
    RelayState: str = ""


def _redirect_to_public_address(ctx: RequestContext, call: Call[Any], path: str) -> Answer[None] | None:
    """Redirects a browser on a client's subdomain to the public address: providers answer there, so the cookie that
    binds the sign-in must be set there."""
    settings, client = ctx.services.settings, ctx.client_hint.resolve(call.parameters.client)
    if not client or ctx.client_hint.subdomain is None:
        return None
    if call.parameters.invitation:  # the redirect, and logs on the way, would contain it
        raise ValidationError(details=[("invitation", f"Begin at {settings.public_url}, where providers answer")])
    query = urlencode({**query_values(call.query), "client": client})
    return redirect(f"{settings.public_url.rstrip('/')}{path}?{query}")


async def _start_request(ctx: RequestContext, call: Call[Any]) -> StartRequest | None:
    """What is asked for; None: by a page of ours that is too old, or another browser's."""
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
        provider_errors.note(ctx, Tried(call.parameters.client, call.parameters.provider))
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
    """A SAML response: the browser's form post, or a JSON body, at the same address."""
    kind = (call.head.content_type or "").partition(";")[0].strip().lower()
    client = ctx.client_hint.resolve(call.parameters.client)
    cookie_of: Callable[[str], str | None] = call.head.cookie
    if kind == _FORM:
        if call.head.content_encoding not in (None, "", "identity"):
            raise UnsupportedMediaType()
        form = from_texts(parse_form(call.body), SamlForm)
        if not form.SAMLResponse:
            raise ValidationError(details=[("SAMLResponse", _("Required"))])
        received = ReceivedResponse(form.SAMLResponse, form.RelayState, client)
        provider_errors.note(ctx, Tried(client or "", "", received.relay_state))
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
            provider_errors.note(ctx, Tried(call.path.get("client", ""), call.path.get("provider", ""), returned.state))
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
            refused=provider_errors.page_or_envelope,
            operation=f"end{shared}{kind.name.capitalize()}SignIn",
        )


_START_REFUSED = partial(provider_errors.page_or_envelope, parameters=parameters_of(StartQuery))
_START_REFUSALS = (ValidationError, NotFound, SsoFailed, AccountDisabled, RateLimited, ProviderUnavailable)
END_REFUSALS = (ValidationError, SsoFailed, AccountDisabled, MfaRequired, ProviderUnavailable)
ROUTES = (
    *(_start(kind) for kind in KINDS.values() if kind.start),
    Route("POST", saml_requests.START, _saml_response, Access.OPEN,
          "Sign in with a SAML response: JSON, or the provider's form post", body=SamlBody, data=SignInData,
          limit=SAML_LIMIT, raw=True, ignore_unknown=True, also_form=SamlForm, redirects=(303,), query=ClientQuery,
          refusals=(*END_REFUSALS, RateLimited, Overloaded),
          refused=provider_errors.page_or_envelope, operation="signInWithSaml"),
    *(route for kind in KINDS.values() for route in _callbacks(kind)),
)  # fmt: skip
