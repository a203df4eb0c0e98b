"""Responses of SAML providers (SAML 2.0 profiles, section 4.1): counted, verified once, and read as a person."""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam

from manifest_auth import providers, tenants
from manifest_auth.audit import Event
from manifest_auth.errors import Reason, SsoFailed, ValidationError
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.runtime.tracing import spanned
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import refusal_reasons
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.providers import provider_flow, provider_proofs
from manifest_auth.sign_in.providers.account_matching import Person, ProviderProof
from manifest_auth.sign_in.providers.kind import CookieOf
from manifest_auth.sign_in.providers.provider_flow import Outcome
from manifest_auth.sign_in.providers.saml_requests import SamlSettings, acs, entity_id
from manifest_auth.sign_in.refusal_reasons import NO_CLIENT, OTHER_BROWSER, START_AGAIN, SWITCHED_OFF, ClientRefusal
from manifest_auth.store import SystemUnit, TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import seen_assertions
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import throttle
from manifest_auth.throttle.limits import ENTRY_POINT, FLOW_LIFE_S
from manifest_auth.throttle.throttle import Counter, Pause, Wait
from manifest_auth.throttle.throttle import Policy as ThrottlePolicy

if TYPE_CHECKING:
    from manifest_auth.protocols.saml import Assertion, Policy, UnverifiedResponse


# Anyone can send responses, and verifying them takes time. Each counts as a failure of its address until it is verified
# and used for the first time. While an address must wait, a browser that started the sign-in here has a few attempts of
# its own, so that an attacker behind the same address does not block it. The number of sign-ins that can start is also
# limited.

#: Responses from one address, at all clients.
RESPONSES = ThrottlePolicy(free=200, longest_ms=5_000, memory_ms=60 * 60_000, ceiling=None)
#: Responses to one sign-in that started here, in addition to the limit of its address.
ANSWERS = ThrottlePolicy(free=3, longest_ms=60_000, memory_ms=FLOW_LIFE_S * 1000, ceiling=None)


async def take_response(ctx: RequestContext, state: str, cookie_of: CookieOf) -> tuple[Counter, ...]:
    """Counts a response before it is read. Returns the counters that counted it. ``state`` belongs to the sign-in that
    it claims to answer. Raises RateLimited."""
    if not ctx.services.throttle.is_on:
        return ()
    taken = await ctx.services.store.write_quickly(lambda unit: _count(unit, ctx, state, cookie_of))
    if isinstance(taken, Pause):
        raise ctx.services.throttle.refusal(ENTRY_POINT, Wait(taken.ms, "address"))
    return taken


def _count(unit: SystemUnit, ctx: RequestContext, state: str, cookie_of: CookieOf) -> tuple[Counter, ...] | Pause:
    counters = throttle.by_address(RESPONSES, lambda network: _key("from", network), ctx.address)
    blocked = throttle.count_each(unit, counters, ctx.now)
    if blocked is None:
        return counters
    flow = sign_in_flows.find_by_state(unit, state, ctx.now) if state else None
    if flow is None or flow.is_used or not flow.is_from(cookie_of(flow.cookie)):
        return blocked
    own = (Counter(_key("to", flow.key), ANSWERS),)
    return throttle.count_each(unit, own, ctx.now) or own


def _key(*parts: str) -> str:
    return throttle.key_of("responses", *parts)


_REMEMBER = tenant_scoped(
    upsert(seen_assertions)
    .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
)


def remember_assertion(unit: TenantUnit, issuer: str, assertion_id: str, until: int) -> bool:
    """Stores an assertion as used until ``until`` (milliseconds), for all nodes (SAML 2.0 profiles, section 4.1.4.5).
    Returns False if it was already used."""
    key = hashlib.sha256(f"{issuer}\0{assertion_id}".encode()).hexdigest()
    return unit.change(_REMEMBER, key=key, expires_at=until) == 1


_EMAIL = (
    "email",
    "Email",
    "mail",
    "emailAddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:1.2.840.113549.1.9.1",
)
_FIRST = (
    "firstName",
    "FirstName",
    "first_name",
    "givenName",
    "given_name",
    "urn:oid:2.5.4.42",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
)
_LAST = (
    "lastName",
    "LastName",
    "last_name",
    "sn",
    "surname",
    "family_name",
    "urn:oid:2.5.4.4",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
)
_GROUPS = (
    "groups",
    "Groups",
    "group",
    "memberOf",
    "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
)
_TRANSIENT_NAME = Reason(
    "NameID is transient, and no attribute is set that identifies the user",
    cause="The name changes at each sign-in",
    cure="Use another NameID format, or `attributes.subject`",
)
_NO_SUBJECT = Reason(
    "the assertion contains no subject",
    cause="There is no NameID (ADFS sends one only if configured), or `attributes.subject` is empty for the user",
    cure="Send one, or set `attributes.subject`",
)
_IN_RESPONSE_TO = Reason(
    "InResponseTo: …",
    cause="The response arrived twice, too late, or in another sign-in, or it is unsolicited but names a request",
    cure="Start again; see [any other provider](generic.md#saml)",
)
_NO_IN_RESPONSE_TO = _IN_RESPONSE_TO.also("InResponseTo is missing, although the server sent a request")
_ANSWERED_BEFORE = _IN_RESPONSE_TO.also("the request already got a response")
_OTHER_CLIENT = _IN_RESPONSE_TO.also("the request belongs to a different client")
_OTHER_SIGN_IN = _IN_RESPONSE_TO.also("RelayState: from a different sign-in")
_OTHER_BROWSER = OTHER_BROWSER.also("the request came from a different browser")
_NAMED_CLIENT = NO_CLIENT.also("the named client does not exist")
_RELAY_STATE = Reason(
    "RelayState: … is not a listed return address",
    cause="The provider sends an address that isn't listed",
    cure="List it, or send none",
)
_NO_PROVIDER = Reason(
    "response: no provider with this issuer and audience",
    cause="`entityId` here isn't the provider's `Issuer`, or the audience names no client of this server",
    cure="Check both names",
)
_REPLAY = Reason(
    "replay: the assertion was used before",
    cause="The page was reloaded, or another person has a copy",
    cure="Start again; see also `assertion_replayed` in the audit trail",
)
_TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def person_of(assertion: Assertion, settings: SamlSettings) -> Person:
    """Returns the person of a verified assertion. Raises SsoFailed if it has no permanent subject."""
    from manifest_auth.protocols import saml

    attributes, names, instant = assertion.attributes, settings.attributes, assertion.authn_instant or ""
    subject = assertion.name_id
    if names.subject:
        subject = _first(attributes, (names.subject,))
    elif assertion.name_id_format == _TRANSIENT:
        raise SsoFailed(reason=_TRANSIENT_NAME)
    if not subject:
        raise SsoFailed(reason=_NO_SUBJECT)
    groups = (names.groups,) if names.groups else _GROUPS
    email = _first(attributes, (names.email,) if names.email else _EMAIL)
    if not email and not names.email and "@" in assertion.name_id:
        email = assertion.name_id
    return Person(
        subject=subject,
        email=email or None,
        email_verified=True,  # account_matching checks whether the provider can vouch for the domain
        first_name=_first(attributes, (names.first_name,) if names.first_name else _FIRST),
        last_name=_first(attributes, (names.last_name,) if names.last_name else _LAST),
        groups=next((attributes[name] for name in groups if name in attributes), ()),
        claims=attributes,
        proof=ProviderProof((), assertion.authn_context or "", instant, saml.read_time(instant) if instant else None),
    )


def _first(attributes: dict[str, tuple[str, ...]], names: Iterable[str]) -> str:
    return next((value for name in names for value in attributes.get(name, ()) if value), "")


# The unverified content of a response is used only to pick the provider, and that provider's pinned keys then verify
# it. The provider comes from the request that the response answers, or else from the named client, from the audience,
# or from the Destination if the audience is encrypted. Everything else is read only from verified bytes, and every
# failure gets the same response.


class ReceivedResponse(NamedTuple):
    """A response as received. ``client`` is the client that the request names."""

    response: str
    relay_state: str
    client: str | None


class _Candidate(NamedTuple):
    provider: Provider
    client: str
    flow: Flow | None


async def finish(
    ctx: RequestContext, received: ReceivedResponse, cookie_of: CookieOf, browser: BrowserCookies
) -> tuple[Flow | None, Outcome]:
    """Verifies a response and completes the sign-in. Raises SsoFailed, AccountDisabled, RateLimited, Overloaded, and
    ValidationError for a response that is not base64."""
    with ctx.services.saml_thread.slot():  # before counting: a dropped attempt must not count
        return await _finish(ctx, received, cookie_of, browser)


async def _finish(
    ctx: RequestContext, received: ReceivedResponse, cookie_of: CookieOf, browser: BrowserCookies
) -> tuple[Flow | None, Outcome]:
    taken = await take_response(ctx, received.relay_state, cookie_of)
    # The libraries take hundreds of milliseconds to import.
    await ctx.services.saml_thread.run(lambda: importlib.import_module("manifest_auth.protocols.saml"))
    from manifest_auth.protocols import saml

    try:
        shown = await ctx.services.saml_thread.run(lambda: saml.read_response(received.response))
        reading = ctx.services.store.read(lambda unit: _candidates(unit, ctx, received, shown, cookie_of))
        found = await refusal_reasons.recorded(ctx, SamlSettings.kind, reading)
    except saml.NotBase64 as error:
        raise ValidationError(details=[("samlResponse", "Must be base64")]) from error
    except saml.SamlRefused as error:
        raise SsoFailed(reason=error.reason) from error
    flow = found[0].flow  # a solicited response can come from only one provider

    async def judged() -> Outcome:
        return await _complete(ctx, received, browser, taken, *await _verify(ctx, shown, found))

    if flow is None:
        return None, await judged()
    return flow, await provider_proofs.try_recorded(ctx, flow, found[0].provider, browser, judged, Outcome.of_try(flow))


async def _complete(
    ctx: RequestContext,
    received: ReceivedResponse,
    browser: BrowserCookies,
    taken: tuple[Counter, ...],
    candidate: _Candidate,
    assertion: Assertion,
) -> Outcome:
    provider, flow = candidate.provider, candidate.flow
    settings = provider.own(SamlSettings)
    try:
        person = person_of(assertion, settings)
        return_to = flow.return_to if flow else await _unsolicited_return_address(ctx, provider, received.relay_state)
    except SsoFailed as refusal:
        raise await provider_flow.refuse(ctx, provider, refusal.why) from refusal
    if provider.disabled_at is not None and not (flow is not None and flow.is_try):
        raise await provider_flow.refuse(ctx, provider, SWITCHED_OFF)

    def use(unit: TenantUnit) -> None:
        if flow is not None and flow.is_try:  # its row holds the only request that the assertion answers
            throttle.decrement(unit, taken)
            return
        if flow is not None and not sign_in_flows.take(unit, flow):
            raise SsoFailed(START_AGAIN, reason=_ANSWERED_BEFORE, replay="saml_response")
        if not remember_assertion(unit, settings.entity_id, assertion.id, assertion.remember_until):
            detail: dict[str, Any] = {"provider": provider.id, "assertion": assertion.id[:256]}
            ctx.services.anonymous_limits.record(unit, ctx, Event.ASSERTION_REPLAYED, "", **detail)
            raise SsoFailed(START_AGAIN, reason=_REPLAY, replay="saml_assertion")
        throttle.decrement(unit, taken)

    return await provider_flow.complete(ctx, provider, person, browser, flow=flow, return_to=return_to, use=use)


def _candidates(
    unit: SystemUnit, ctx: RequestContext, received: ReceivedResponse, shown: UnverifiedResponse, cookie_of: CookieOf
) -> list[_Candidate]:
    """Returns the providers that might have sent a response, at least one. Nothing is trusted here, since the keys of
    each provider verify the response. Raises SsoFailed."""
    named = None
    if received.client is not None:
        named = tenants.find(unit, received.client)
        if named is None:
            raise SsoFailed(reason=_NAMED_CLIENT)
    if shown.in_response_to is not None:
        flow = sign_in_flows.find_by_request(unit, shown.in_response_to, ctx.now)
        if flow is None:
            unknown = SsoFailed(START_AGAIN, reason=_IN_RESPONSE_TO.with_("no open request of this server"))
            raise _with_client(unit, ctx, named, shown, unknown)
        if refusal := _mismatch(ctx, received, named, flow, cookie_of(flow.cookie)):
            raise ClientRefusal(flow.tenant_id, flow.provider_id, refusal)
        provider = providers.get_by_id(unit.of(flow.tenant_id), flow.provider_id)
        return [_Candidate(provider, tenants.get(unit, flow.tenant_id).identifier, flow)]
    asked = sign_in_flows.find_by_state(unit, received.relay_state, ctx.now) if received.relay_state else None
    if asked is not None and not asked.is_used:
        refusal = SsoFailed(reason=_NO_IN_RESPONSE_TO)
        raise ClientRefusal(asked.tenant_id, asked.provider_id, refusal)
    issuer = shown.issuer or ""
    candidates = []
    for identifier in [named.identifier] if named else _named_clients(ctx, shown):
        tenant = tenants.find(unit, identifier)
        fitting = (
            providers.find_with_issuer(unit.of(tenant.id), SamlSettings.kind, issuer) if tenant is not None else None
        )
        if tenant is not None and fitting is not None:
            candidates.append(_Candidate(fitting, tenant.identifier, None))
    if not candidates:
        raise _with_client(unit, ctx, named, shown, SsoFailed(reason=_NO_PROVIDER))
    return candidates


def _named_clients(ctx: RequestContext, shown: UnverifiedResponse) -> list[str]:
    """Returns the identifiers of the clients that a response names in its audiences, or in its Destination if those are
    encrypted. Raises ValidationError if an encrypted response names none."""
    if not shown.is_encrypted:
        prefix = entity_id(ctx, "")
        return [a.removeprefix(prefix) for a in shown.audiences if a.startswith(prefix)][:5]
    prefix, destination = f"{acs(ctx)}?client=", shown.destination or ""
    if not destination.startswith(prefix):
        raise ValidationError(
            details=[("client", "Required, because the response is encrypted and this server didn't request it")]
        )
    return [destination.removeprefix(prefix)]


def _with_client(
    unit: SystemUnit, ctx: RequestContext, named: Tenant | None, shown: UnverifiedResponse, refusal: SsoFailed
) -> Exception:
    """Returns the refusal with the client that the request or an audience of the response names, if any, so that its
    audit trail records it."""
    prefix = entity_id(ctx, "")
    mine = [audience.removeprefix(prefix) for audience in shown.audiences[:1] if audience.startswith(prefix)]
    client = named or next((found for one in mine if (found := tenants.find(unit, one)) is not None), None)
    return refusal if client is None else ClientRefusal(client.id, None, refusal)


def _mismatch(
    ctx: RequestContext, received: ReceivedResponse, named: Tenant | None, flow: Flow, cookie: str | None
) -> SsoFailed | None:
    """Returns why a response does not answer this request; None if it does."""
    if flow.is_used:
        return SsoFailed(START_AGAIN, reason=_IN_RESPONSE_TO.with_(_ANSWERED_BEFORE), replay="saml_response")
    if named is not None and named.id != flow.tenant_id:
        return SsoFailed(reason=_OTHER_CLIENT)
    if received.relay_state and not sign_in_flows.has_state(flow, received.relay_state):
        return SsoFailed(reason=_OTHER_SIGN_IN)
    if not flow.is_from(cookie):
        return SsoFailed(refusal_reasons.other_browser(ctx), reason=_OTHER_BROWSER)
    return None


@spanned("saml.verify")
async def _verify(
    ctx: RequestContext, shown: UnverifiedResponse, found: list[_Candidate]
) -> tuple[_Candidate, Assertion]:
    from manifest_auth.protocols import saml

    reasons: list[saml.SamlRefused] = []
    for candidate in found:
        try:
            request_id = candidate.flow.request_id if candidate.flow else None
            policy = policy_of(ctx, candidate.provider, candidate.client)
            if candidate.flow is None and shown.destination == acs(ctx, candidate.client):
                policy = policy._replace(acs=shown.destination)
            verifying = partial(saml.verify, shown, policy, request_id, ctx.now)
            return candidate, await ctx.services.saml_thread.run(verifying)
        except saml.SamlRefused as error:
            reasons.append(error)
    if len(found) == 1:
        raise await provider_flow.refuse(ctx, found[0].provider, reasons[0].reason)
    raise SsoFailed(reason=saml.RESPONSE.with_("; ".join(map(str, reasons))))


async def _unsolicited_return_address(ctx: RequestContext, provider: Provider, relay_state: str) -> str:
    """Returns the return address of a sign-in that started at the provider. Its RelayState can be a listed address.
    Text that looks like another address is rejected; any other text is ignored. Raises SsoFailed."""
    is_plain = relay_state.isascii() and relay_state.isprintable()  # other texts might be parsed as an address
    is_address = not is_plain or any(mark in relay_state for mark in ":/\\.%@")
    asked = relay_state if is_address else ""
    tenant = await ctx.services.store.read(lambda unit: tenants.get(unit, provider.tenant_id))
    try:
        return provider_flow.return_address(tenant, provider, asked)
    except ValidationError as error:
        raise SsoFailed(reason=_RELAY_STATE.with_(repr(asked[:200]))) from error


def policy_of(ctx: RequestContext, provider: Provider, client: str) -> Policy:
    """Returns the rules for verifying a response of the provider."""
    from manifest_auth.protocols import saml

    settings = provider.own(SamlSettings)
    secrets = providers.open_secrets(ctx.services.sealer, provider)
    return saml.Policy(
        issuer=settings.entity_id,
        audience=entity_id(ctx, client),
        acs=acs(ctx),
        certificates=tuple(base64.b64decode(text) for text in settings.certificates),
        accept_expired_certificates=settings.expired_certificates == "accept",
        decryption_keys=tuple(key.encode() for key in secrets.keys),
        allow_idp_initiated=settings.allow_idp_initiated,
    )
