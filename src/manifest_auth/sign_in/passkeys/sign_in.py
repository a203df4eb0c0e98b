"""Sign-in with only a passkey, which user verification makes two factors, and which identifies its owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from manifest_auth import audit, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.accounts.factors.challenges import OPENS_SESSION, Pending
from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidCredentials, OtherClient
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import WebauthnRefused
from manifest_auth.runtime.metrics import EntryPoint, Method
from manifest_auth.runtime.settings import MINUTE
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA
from manifest_auth.sign_in import completion, exchange_codes
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.completion import Account, SignedIn
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait

T = TypeVar("T")
METHOD: Method = "passkey"
ENTRY_POINT: EntryPoint = "passkey"
#: Options are cheap, but no person needs this many from one address in a minute.
_OPTIONS = Policy(free=600, longest_ms=5_000, memory_ms=MINUTE * 1000, ceiling=None)
_UNKNOWN = (("credential", "unknown"),)


class PasskeyAnswer(NamedTuple):
    """A browser's response. ``holder`` is the cookie to which the challenge was given. ``client`` is the one named by
    header, host or page."""

    credential: dict[str, Any]
    holder: str
    client: str | None
    browser: BrowserCookies


async def options(ctx: RequestContext, holder: str) -> dict[str, Any]:
    """Returns the options with which a browser offers its passkeys. ``holder`` is the browser's cookie. Raises Conflict
    if passkeys are off, RateLimited."""

    def work(unit: SystemUnit) -> dict[str, Any] | Wait:
        party = ceremonies.current_party(unit, ctx.services.settings)
        counters = throttle.by_address(
            _OPTIONS,
            lambda network: throttle.span_key(ENTRY_POINT, "options", network, now=ctx.now, span_s=MINUTE),
            ctx.source,
        )
        if wait := _count(unit, ctx, counters):
            return wait
        return webauthn.request(party.id, ceremonies.new_challenge(ctx, "sign-in", holder), [])

    found = await ctx.services.store.write_quickly(work)
    if isinstance(found, Wait):
        raise ctx.services.throttle.refusal(ENTRY_POINT, found)
    return found


@counts(METHOD)
async def sign_in(ctx: RequestContext, given: PasskeyAnswer, pending: Pending = OPENS_SESSION) -> SignedIn:
    """Signs in the owner of a passkey. Raises InvalidCredentials, OtherClient, AccountDisabled, RateLimited, and
    Conflict if passkeys are off."""

    work = await _counted(ctx, given, pending, completion.complete_sign_in)
    return await completion.run(ctx, METHOD, work)


@counts(METHOD, "code")
async def sign_in_for_code(ctx: RequestContext, given: PasskeyAnswer, pending: Pending) -> tuple[Account, str]:
    """Signs in the owner for an app, which exchanges the returned code. ``pending`` includes the app's own challenge
    (RFC 7636). Raises the errors of :func:`sign_in`."""

    work = await _counted(ctx, given, pending, exchange_codes.complete_for_code)
    return await ctx.services.store.write_quickly(work)


async def _counted(
    ctx: RequestContext, given: PasskeyAnswer, pending: Pending, end: Callable[..., T]
) -> Callable[[SystemUnit], T]:
    """Runs the unit of work that verifies the response, after the attempt was counted for its address."""
    await webauthn.load()
    counters = throttle.address_counters(ENTRY_POINT, ctx.source)
    if wait := await ctx.services.store.write_quickly(lambda unit: _count(unit, ctx, counters)):
        raise ctx.services.throttle.refusal(ENTRY_POINT, wait)

    def work(unit: SystemUnit) -> T:
        row, identity = _prove(unit, ctx, given)
        if ctx.services.throttle.is_on:
            throttle.decrement(unit, counters)
        return end(unit, ctx, row.tenant_id, identity, given.browser, pending)

    return work


def _prove(unit: SystemUnit, ctx: RequestContext, given: PasskeyAnswer) -> tuple[Passkey, Identity]:
    """Returns the passkey and its owner, and locks the owner's row. Raises InvalidCredentials, OtherClient."""
    party = ceremonies.current_party(unit, ctx.services.settings)
    row: Passkey | None = None
    try:
        row = passkey_rows.find(unit, webauthn.credential_id_of(given.credential))
        if row is None:
            raise _failed(unit, ctx, None, "unknown credential", _UNKNOWN)
        challenge = webauthn.challenge_of(given.credential)
        if why := ceremonies.why_not_valid(ctx, "sign-in", given.holder, challenge):
            raise WebauthnRefused(why)
        asserted = ceremonies.verify(unit.of(row.tenant_id), party, row, given.credential, challenge, named=False)
    except WebauthnRefused as refused:
        raise _failed(unit, ctx, row, str(refused)) from None
    bound = unit.of(row.tenant_id)
    user, tenant = users.get_with_tenant(bound, row.user_id)
    _check_client(unit, ctx, tenant, row, given.client)
    if not ceremonies.use_challenge(unit, challenge):
        refusal = _failed(unit, ctx, row, "the challenge was already used")
        refusal.replay = "passkey"
        raise refusal
    if not ceremonies.accept(bound, ctx, user, row, asserted):
        raise _failed(unit, ctx, row, "its counter didn't increase, or it was removed")
    return row, Identity(METHOD, user.id, ("passkey", MFA), authenticated_at=ctx.now, needs_factor=False)


def _check_client(unit: SystemUnit, ctx: RequestContext, tenant: Tenant, row: Passkey, named: str | None) -> None:
    """Raises OtherClient if another client is named, and InvalidCredentials if the owner's client doesn't allow sign-in
    with only a passkey. Otherwise a former employee could bypass the company's provider."""
    if named is not None and named not in (tenant.identifier, str(tenant.id)):
        raise OtherClient(tenant.identifier)
    if not tenants.passkeys_sign_in(tenants.settings_of(tenant.settings)):
        raise _failed(unit, ctx, row, "the client doesn't allow sign-in with only a passkey")


def _failed(
    unit: SystemUnit, ctx: RequestContext, row: Passkey | None, why: str, details: Sequence[tuple[str, str]] = ()
) -> InvalidCredentials:
    chain = unit.of(row.tenant_id if row is not None else audit.INSTALLATION)
    subject = f"user:{row.user_id}" if row is not None else ""
    ctx.services.anonymous_limits.record(chain, ctx, Event.SIGN_IN_FAILED, subject, method=METHOD)
    return InvalidCredentials(OtherClient.words, details=details, reason=f"passkey: {why}")


def _count(unit: SystemUnit, ctx: RequestContext, counters: tuple[Counter, ...]) -> Wait | None:
    if not ctx.services.throttle.is_on:
        return None
    paused = throttle.count_each(unit, counters, ctx.now)
    return None if paused is None else Wait(paused.ms, "address")
