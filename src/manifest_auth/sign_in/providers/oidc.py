"""OpenID providers: their settings, and sign-in.

The issuer comes from the stored provider, never from the callback. ``protocols.oidc`` verifies the claims; this module
turns them into a :class:`Person`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from msgspec import UNSET, Meta

from manifest_auth import providers
from manifest_auth.errors import Forbidden, ProviderUnavailable, Reason, Refusal, SsoFailed, ValidationError
from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import CONSUMERS, Clouds, Throttled
from manifest_auth.protocols.oidc import CallbackAddresses, Finding
from manifest_auth.providers import Directory, GroupClaim, KindSettings, Provider, Secrets, sign_in_flows
from manifest_auth.providers.sign_in_flows import TRY, Flow, StartedFlow
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import NotPublic, Unreachable
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in import refusal_reasons
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.providers import account_matching, provider_flow, provider_proofs
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.kind import Callback, CallbackState, CookieOf, Kind, OurselvesData, SignInStart
from manifest_auth.sign_in.providers.provider_flow import Outcome, ProviderChoice
from manifest_auth.sign_in.refusal_reasons import (
    OTHER_BROWSER,
    START_AGAIN,
    STATE_TAKEN,
    STATE_UNKNOWN,
    STATE_USED,
    SWITCHED_OFF,
)
from manifest_auth.text import base64url
from manifest_auth.text.canonical import check_web_address
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector

# The code flow (OpenID Connect Core; RFC 9700) is shared by every kind of provider that sends browsers back with
# ``state`` and ``code``.

_UNREACHABLE = Reason(
    "unreachable: …",
    cause="The provider was down or slow, redirected, or is at an address that the server can't call. If a "
    "User Admin saved it last, only a test by an Admin shows which",
    cure="Run `test`; check [`MANIFEST_OUTGOING_PRIVATE`](../settings.md)",
)
_WITHHELD = "a test by an Admin says why"


class CallbackParams(NamedTuple):
    """Parameters of the callback. ``callback_address`` is the address that was called. ``description`` is
    ``error_description``, which anyone can write."""

    state: str
    code: str
    iss: str | None
    error: str
    callback_address: str
    description: str = ""


async def start_code_flow(
    ctx: RequestContext,
    chosen: ProviderChoice,
    registration: oidc.Registration,
    addresses: CallbackAddresses,
    login_hint: str,
) -> SignInStart:
    """Returns the address at the provider to send the browser to. Raises ProviderUnavailable, SsoFailed."""
    provider, services = chosen.provider, ctx.services
    try:
        found = await services.oidc.discover(registration.issuer, services.outgoing.deadline(provider.tenant_id))
    except (Unreachable, oidc.OidcRefused) as error:
        raise await _not_begun(ctx, chosen, error) from error
    callback = addresses.chosen(found)
    started = await provider_flow.begin(ctx, chosen, callback)
    authorization = authorization_of(started, callback.redirect_uri, login_hint=login_hint or None)
    of_microsoft = services.microsoft.clouds.directory_of(registration.issuer) is not None
    authorization = provider_proofs.asking(authorization, provider.rules, of_microsoft=of_microsoft)
    if provider_proofs.asks_anew(chosen.request):  # both, since some providers or proxies ignore or remove one of them
        authorization = authorization._replace(prompt="login", max_age=0)
    return SignInStart(started, oidc.request_address(found, registration, authorization))


async def _not_begun(ctx: RequestContext, chosen: ProviderChoice, error: Unreachable | oidc.OidcRefused) -> Refusal:
    """Records why a person could not be sent to the provider. Returns the refusal to raise. A test sign-in has its own
    event."""
    provider = chosen.provider
    refusal: Refusal = ProviderUnavailable(reason=f"discovery: {error}")
    told: Refusal = ProviderUnavailable(reason=_UNREACHABLE.with_(_WITHHELD).text)
    if not _is_withheld(ctx, provider, error):
        if isinstance(error, oidc.OidcRefused):
            refusal = SsoFailed(error.sentence, reason=error.reason)
        told = refusal
    if chosen.request.response != TRY:
        bound = ctx.services.store.of(provider.tenant_id)
        await bound.write(lambda unit: provider_flow.record(unit, ctx, provider, told))
    return refusal


def _is_withheld(ctx: RequestContext, provider: Provider, error: Unreachable | oidc.OidcRefused) -> bool:
    """Whether the audit trail withholds why a server's response was unexpected. A User Admin chooses the address and
    reads the trail, which must not become a scan of the operator's network."""
    may_be_private = isinstance(error, NotPublic) or any(ctx.services.settings.private_targets)
    return not provider.reaches_admins and may_be_private


def authorization_of(
    begun: StartedFlow, redirect_uri: str, *, login_hint: str | None = None, prompt: str | None = None
) -> oidc.Authorization:
    """Returns the parameters of the authorization request."""
    challenge = base64url.encode(hashlib.sha256(begun.verifier.encode()).digest())
    return oidc.Authorization(
        state=begun.state,
        nonce=begun.nonce,
        challenge=challenge,
        redirect_uri=redirect_uri,
        login_hint=login_hint,
        prompt=prompt,
    )


@contextlib.asynccontextmanager
async def calling_provider(ctx: RequestContext, provider: Provider) -> AsyncIterator[None]:
    """Wraps calls to the provider. Failures are recorded, and become ProviderUnavailable or SsoFailed."""
    try:
        yield
    except Unreachable as error:
        why = _WITHHELD if _is_withheld(ctx, provider, error) else error
        await provider_flow.refuse(ctx, provider, _UNREACHABLE.with_(why))
        wait = error.seconds if isinstance(error, Throttled) else None
        raise ProviderUnavailable(reason=str(error), retry_after=wait) from error
    except oidc.OidcRefused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error


async def end_code_flow(
    ctx: RequestContext,
    method: str,
    issuer_of: Callable[[Provider], str],
    returned: CallbackParams,
    cookie_of: CookieOf,
    browser: BrowserCookies,
    judge: Callable[[Flow, Provider], Awaitable[Outcome]],
) -> tuple[Flow, Outcome]:
    """Returns the flow of a callback and its outcome. ``judge`` decides on a code that the provider issued for a
    sign-in of this browser. Raises SsoFailed and the errors of ``judge``."""
    flow, provider = await _open_flow(ctx, method, issuer_of, returned, cookie_of)

    async def judged() -> Outcome:
        await _check_address(ctx, flow, provider, issuer_of, returned)
        if provider.disabled_at is not None and not flow.is_try:
            raise await provider_flow.refuse(ctx, provider, SWITCHED_OFF)
        if returned.error or not returned.code:
            why = oidc.redirect_reason(returned.error, returned.description)
            raise await provider_flow.refuse(ctx, provider, why, oidc.sentence_for(returned.error))
        return await judge(flow, provider)

    return flow, await provider_proofs.try_recorded(ctx, flow, provider, browser, judged, Outcome.of_try(flow))


async def _open_flow(
    ctx: RequestContext,
    method: str,
    issuer_of: Callable[[Provider], str],
    returned: CallbackParams,
    cookie_of: CookieOf,
) -> tuple[Flow, Provider]:
    """Returns the flow that a response belongs to, marked as used, and its provider.

    Raises SsoFailed. Nothing is marked as used and no request goes out before state, browser, callback address and
    issuer are verified. The issuer is the one of the start, since changing it would have deleted the flow.
    """
    services = ctx.services
    flow = await services.store.read(lambda unit: sign_in_flows.find_by_state(unit, returned.state, ctx.now))
    if flow is None:
        raise SsoFailed(START_AGAIN, reason=STATE_UNKNOWN)
    owner = (flow.tenant_id, flow.provider_id)
    if flow.is_used:
        refusal = SsoFailed(START_AGAIN, reason=STATE_USED, replay="oidc_state")
        raise await refusal_reasons.refuse(ctx, method, *owner, refusal)
    if not flow.is_from(cookie_of(flow.cookie)):
        refusal = SsoFailed(refusal_reasons.other_browser(ctx), reason=OTHER_BROWSER)
        raise await refusal_reasons.refuse(ctx, method, *owner, refusal)
    bound = services.store.of(flow.tenant_id)
    provider = await bound.read(lambda unit: providers.get_by_id(unit, flow.provider_id))
    if not flow.is_try:  # for a test sign-in, this is a result
        await _check_address(ctx, flow, provider, issuer_of, returned)
    if not await bound.write_quickly(lambda unit: sign_in_flows.take(unit, flow)):
        refusal = SsoFailed(START_AGAIN, reason=STATE_TAKEN, replay="oidc_state")
        raise await refusal_reasons.refuse(ctx, method, *owner, refusal)
    return flow, provider


async def _check_address(
    ctx: RequestContext, flow: Flow, provider: Provider, issuer_of: Callable[[Provider], str], returned: CallbackParams
) -> None:
    """Raises SsoFailed for a response at another callback address, or from another issuer."""
    if not flow.callback.matches(returned.callback_address, returned.iss, lambda: issuer_of(provider)):
        raise await provider_flow.refuse(ctx, provider, oidc.ELSEWHERE)


START = "/api/client/auth/oidc"
CALLBACK = f"{START}/callback"
#: Issuers of Microsoft's directories, which identify a person differently to each application.
_OF_DIRECTORY = re.compile(r"/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/(?:v2\.0)?\Z", re.IGNORECASE)
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}\Z")

AudienceName = Annotated[str, Meta(min_length=1, max_length=256)]
Audiences = Annotated[
    tuple[AudienceName, ...],
    Meta(max_length=20, description="Audiences that its ID tokens can have in addition to `clientId` (`aud`)."),
]


class OidcSettings(KindSettings, frozen=True, rename="camel"):
    """An OpenID provider, and this server's registration there."""

    kind: ClassVar[str] = "oidc"

    issuer: Annotated[str, Meta(min_length=1, max_length=500, description="Exactly as in its discovery document.")]
    client_id: Annotated[str, Meta(min_length=1, max_length=500)]
    scopes: Annotated[tuple[str, ...], Meta(max_length=30)] = ("openid", "profile", "email")
    client_authentication: Annotated[
        Literal["auto", "basic", "post", "none"],
        Meta(description="How the client secret is sent. `auto`: as the provider announces."),
    ] = "auto"
    group_claim: GroupClaim = "groups"
    trust_email: Annotated[
        bool, Meta(description="Accepts an address in `domains` as verified if `email_verified` isn't sent.")
    ] = False
    audiences: Audiences = ()
    shared_callback: Annotated[
        bool,
        Meta(
            description="Uses the shared redirect URI while the provider announces `iss` (RFC 9207). Only an "
            "Admin or a system admin can set it. New providers don't need it."
        ),
    ] = False

    @property
    def identifier(self) -> str:
        return self.issuer

    @property
    def subjects_in(self) -> str:
        return f"{self.issuer} {self.client_id}" if _OF_DIRECTORY.search(self.issuer) else self.issuer

    def check(self) -> None:
        with ErrorCollector() as each:
            with each:
                check_web_address(self.issuer, "oidc.issuer", query=False)
            with each:
                if "openid" not in self.scopes or not are_scopes(self.scopes):
                    raise ValidationError(
                        details=[("oidc.scopes", _("Must contain openid, and scopes can't contain spaces"))]
                    )

    def check_rank(self, before: Self | None, by_admin: bool) -> None:
        """Raises Forbidden if a caller who is not an Admin turns on ``sharedCallback``, or changes the issuer while it
        is on."""
        if by_admin or not self.shared_callback:
            return
        if before is None or not before.shared_callback or before.issuer != self.issuer:
            sentence = "Only an Admin can give a provider the shared redirect URI. Set oidc.sharedCallback to false"
            raise Forbidden(sentence)

    def microsoft_directory(self, clouds: Clouds) -> Directory | None:
        """Returns Microsoft's directory. Personal accounts share one; their users can sign in, but no client can claim
        it."""
        found = clouds.directory_of(self.issuer)
        return Directory(*found, self.client_id) if found is not None and found[1] != CONSUMERS else None


def are_scopes(scopes: tuple[str, ...]) -> bool:
    """Whether all are scope tokens under RFC 6749, section 3.3."""
    return all(_SCOPE.match(scope) for scope in scopes)


def shared_callback(ctx: RequestContext) -> str:
    """Returns the callback address of all providers that have ``sharedCallback`` set and announce ``iss``."""
    return ctx.services.settings.public_url.rstrip("/") + CALLBACK


def own_callback(ctx: RequestContext, client: str, provider: str) -> str:
    """Returns the callback address of one provider of one client. It consists of the configured
    public address, never a Host header, and their names. These never change, so the address is known before either side
    is set up."""
    return f"{shared_callback(ctx)}/{client}/{provider}"


def callbacks_of(ctx: RequestContext, client: str, provider: Provider) -> CallbackAddresses:
    """Returns the addresses to which the provider can send browsers. ``client`` is the identifier of the provider's
    client."""
    shared = shared_callback(ctx) if provider.own(OidcSettings).shared_callback else None
    return CallbackAddresses(own_callback(ctx, client, provider.name), shared)


class _Oidc(Kind[OidcSettings, CallbackParams]):
    settings = OidcSettings
    start = START
    summary = "Sign in at an OpenID provider: redirects to it"
    callbacks = (
        Callback(f"{CALLBACK}/{{client}}/{{provider}}", "Redirect URI for an OpenID provider"),
        Callback(CALLBACK, "Redirect URI of providers with `sharedCallback` that announce `iss`"),
    )

    def check_here(self, services: Services, own: OidcSettings) -> None:
        try:
            services.outgoing.check(own.issuer)
        except ValueError as error:
            raise ValidationError(details=[("oidc.issuer", _("The URL %(error)s", error=error.args[0]))]) from error

    def values_by_name(self, ctx: RequestContext, client: str, name: str) -> OurselvesData:
        return OurselvesData(callback_url=own_callback(ctx, client, name))

    def registration_values(
        self, ctx: RequestContext, client: str, provider: Provider, secrets: Secrets
    ) -> OurselvesData:
        addresses = callbacks_of(ctx, client, provider)
        return OurselvesData(callback_url=addresses.own, shared_callback_url=addresses.shared or UNSET)

    async def callback_state(self, ctx: RequestContext, client: str, provider: Provider) -> CallbackState:
        services, addresses = ctx.services, callbacks_of(ctx, client, provider)
        try:
            registration = registration_of(ctx, provider)
            callback, state = await services.oidc.callback(registration, addresses, services.random, provider.tenant_id)
        except (Unreachable, oidc.OidcRefused, CannotOpen) as error:
            unsure = f"; if it doesn't announce iss, register {addresses.own}" if addresses.shared else ""
            return CallbackState(addresses.own, f"unknown: {error}{unsure}")
        return _callback_state(addresses, callback, state)

    async def diagnose(
        self, ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing, *, is_quiet: bool = False
    ) -> AsyncIterator[Finding]:
        registration, addresses = registration_of(ctx, provider), callbacks_of(ctx, client, provider)
        random, calls = ctx.services.random, ctx.services.oidc
        examined = calls.examine(registration, addresses, random, provider.tenant_id, outgoing, is_quiet=is_quiet)
        async for found in examined:
            yield found

    async def _begin(self, ctx: RequestContext, chosen: ProviderChoice, login_hint: str) -> SignInStart:
        provider = chosen.provider
        addresses = callbacks_of(ctx, chosen.tenant.identifier, provider)
        return await start_code_flow(ctx, chosen, registration_of(ctx, provider), addresses, login_hint)

    async def _end(
        self, ctx: RequestContext, returned: CallbackParams, cookie_of: CookieOf, browser: BrowserCookies
    ) -> tuple[Flow, Outcome]:
        async def judge(flow: Flow, provider: Provider) -> Outcome:
            person = await _redeem(ctx, provider, flow, returned)
            return await provider_flow.complete(ctx, provider, person, browser, flow=flow, return_to=flow.return_to)

        return await end_code_flow(
            ctx, self.name, lambda asked: asked.own(OidcSettings).issuer, returned, cookie_of, browser, judge
        )


KIND = _Oidc()


def _callback_state(
    addresses: oidc.CallbackAddresses, callback: oidc.Callback, found: oidc.CallbackState
) -> CallbackState:
    address, (state, why) = callback.redirect_uri, found
    which = "shared" if address == addresses.shared else "own"
    line = CallbackState(address, f"{which}, {state}" + (f": {why}" if why else ""))
    if state == "registered":
        return line
    announces = "the provider doesn't announce iss, so it no longer has the shared address; "
    if addresses.shared is not None and which == "own":
        return line._replace(act=f"{announces}register {address}")
    return line._replace(act=f"register {address}") if state == "not registered" else line


async def _redeem(ctx: RequestContext, provider: Provider, flow: Flow, returned: CallbackParams) -> Person:
    settings = provider.own(OidcSettings)
    nonce, verifier = sign_in_flows.open_secrets(ctx.services.sealer, flow)
    answer = oidc.Answer(returned.code, verifier, nonce, flow.redirect_uri)
    wants = {"email", *([settings.group_claim] if provider.rules.group_roles or flow.is_try else ())}
    async with calling_provider(ctx, provider):
        registration, deadline = registration_of(ctx, provider), ctx.services.outgoing.deadline(provider.tenant_id)
        claims = await ctx.services.oidc.redeem(registration, answer, frozenset(wants - {""}), deadline)
    return person_of(claims, settings)


def person_of(claims: dict[str, Any], settings: OidcSettings) -> Person:
    """Returns the person of verified claims."""
    email, verified = claims.get("email"), claims.get("email_verified")
    if isinstance(verified, str):  # some providers send booleans as text
        verified = {"true": True, "false": False}.get(verified.lower())
    if not isinstance(verified, bool):
        verified = True if settings.trust_email and "email_verified" not in claims else None
    first, last = _text(claims.get("given_name")), _text(claims.get("family_name"))
    if not first and not last:
        first, _, last = _text(claims.get("name")).partition(" ")
    return Person(
        subject=claims["sub"],
        email=email if isinstance(email, str) and email else None,
        email_verified=verified,
        first_name=first,
        last_name=last,
        groups=account_matching.groups_of(claims, settings.group_claim),
        subjects_in=settings.subjects_in,
        claims=claims,
        proof=account_matching.proof_of(claims),
    )


def registration_of(ctx: RequestContext, provider: Provider) -> oidc.Registration:
    """Returns this server's registration at the provider."""
    settings = provider.own(OidcSettings)
    secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
    return oidc.Registration(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=secret,
        scopes=settings.scopes,
        authentication=settings.client_authentication,
        audiences=settings.audiences,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
