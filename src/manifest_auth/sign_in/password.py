"""Sign-in with e-mail and password: throttle, verify, complete.

Exactly one password hash is computed for each attempt that the throttle lets through: a stored one, or a decoy for an
account that does not exist or has no password (:func:`.password_checks.pick_decoy`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from manifest_auth import audit, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors.challenges import OPENS_SESSION, Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidCredentials, MfaRequired, Overloaded
from manifest_auth.runtime.metrics import EntryPoint, Method
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import browser_identity, completion, exchange_codes, password_checks
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.exchange_codes import Coded
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text.canonical import email_key
from manifest_auth.throttle import origins, throttle
from manifest_auth.throttle.throttle import Counters, Wait

T = TypeVar("T")
_End = Callable[..., T]  # completion.complete_sign_in, or exchange_codes.complete_for_code
METHOD: Method = "password"
ENTRY_POINT: EntryPoint = "client"


class Claim(NamedTuple):
    """The account that an attempt names, and the markers of the device that it came from."""

    email: str
    client: str | None
    devices: tuple[str, ...]


class Credentials(NamedTuple):
    """The inputs of an attempt."""

    claim: Claim
    password: str
    cookie: str | None
    trust: str | None = None

    @property
    def browser(self) -> BrowserCookies:
        return BrowserCookies(self.cookie, self.claim.devices, self.trust)


class Attempt(NamedTuple):
    """An attempt after it was counted. ``user``: None where there is no user who may sign in with a password;
    ``decoy``: the hash whose work is done where there is none to verify."""

    tenant: Tenant | None
    user: User | None
    decoy: str | None
    counters: Counters
    wait: Wait | None


class Proved(NamedTuple):
    """A right password of a user who may sign in with one. ``stored``: the hash that it matches; ``outdated``: made by
    older settings, or by another system; ``decoy``: as the attempt has it, should the password be removed meanwhile."""

    tenant: Tenant
    user: User
    counters: Counters
    credentials: Credentials
    stored: str
    outdated: bool
    decoy: str | None


@counts(METHOD)
async def sign_in(ctx: RequestContext, credentials: Credentials, pending: Pending = OPENS_SESSION) -> SignedIn:
    """Signs a user in. ``pending``: where a page goes on after a second factor. Raises InvalidCredentials,
    AccountDisabled, MfaRequired, RateLimited, Overloaded."""
    return await complete(ctx, await prove(ctx, credentials), pending)


@counts(METHOD, "code")
async def sign_in_for_code(ctx: RequestContext, credentials: Credentials, pending: Pending) -> Coded:
    """The same for an app, which exchanges the code. ``pending``: with the app's own challenge (RFC 7636). Raises as
    :func:`sign_in`."""
    return await _settle(ctx, await prove(ctx, credentials), pending, exchange_codes.complete_for_code)


async def prove(ctx: RequestContext, credentials: Credentials) -> Proved:
    """Counts the attempt and verifies the password. Raises InvalidCredentials, RateLimited, Overloaded."""
    services = ctx.services
    services.hasher.check_capacity()  # before counting: an attempt that is not tried must not count
    counted = await services.store.write_quickly(lambda unit: find_and_count(unit, ctx, credentials.claim, ENTRY_POINT))
    if counted.wait is not None:
        raise services.throttle.refusal(ENTRY_POINT, counted.wait)
    return await _verify(ctx, credentials, counted, counted.user.password_hash if counted.user else None)


async def complete(ctx: RequestContext, proved: Proved, pending: Pending = OPENS_SESSION) -> SignedIn:
    """Opens the session. Raises AccountDisabled, MfaRequired; InvalidCredentials where the password was changed
    meanwhile."""
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    signed_in = await _settle(ctx, proved, pending, completion.complete_sign_in)
    completion.log(ctx, signed_in, METHOD)
    return signed_in


async def _verify(ctx: RequestContext, credentials: Credentials, attempt: Attempt, stored: str | None) -> Proved:
    proof = await throttle.prove(
        ctx.services.hasher, ctx.services.store, attempt.counters, stored, credentials.password, attempt.decoy
    )
    if proof.matches and attempt.user is not None and attempt.tenant is not None and stored is not None:
        return Proved(
            tenant=attempt.tenant,
            user=attempt.user,
            counters=attempt.counters,
            credentials=credentials,
            stored=stored,
            outdated=proof.outdated,
            decoy=attempt.decoy,
        )
    await ctx.services.store.write_quickly(lambda unit: _failed(unit, ctx, attempt, credentials))
    raise InvalidCredentials()


async def _settle(ctx: RequestContext, proved: Proved, pending: Pending, end: _End[T]) -> T:
    """What ``end`` makes of a right password, in the unit of work that takes the counted attempt back; then the hash is
    brought up to date."""
    identity = Identity(METHOD, proved.user.id, ("pwd",), proved.stored, authenticated_at=ctx.now)
    work = partial(
        end,
        ctx=ctx,
        tenant_id=proved.tenant.id,
        identity=identity,
        browser=proved.credentials.browser,
        pending=pending,
        counters=proved.counters,
    )
    try:
        done = await ctx.services.store.write_quickly(work)
    except completion.PasswordReplaced as replaced:
        # Replaced while this one hashed: a parallel sign-in may have hashed the same password again.
        attempt = Attempt(proved.tenant, proved.user, proved.decoy, proved.counters, None)
        return await _settle(ctx, await _verify(ctx, proved.credentials, attempt, replaced.stored), pending, end)
    except MfaRequired:  # the password was right all the same
        await _rehash(ctx, proved)
        raise
    await _rehash(ctx, proved)
    return done


def find_and_count(unit: SystemUnit, ctx: RequestContext, claim: Claim, entry_point: EntryPoint) -> Attempt:
    """Looks for the account and counts the attempt, in the same way whether the account exists or not. Each entry point
    has its own counters."""
    tenant, user = _find(unit, claim)
    if tenant is not None and not tenants.settings_of(tenant.settings).password_sign_in:
        user = None  # answered, counted and timed like an account that does not exist
    user_id, account = user.id if user else 0, _account(tenant, claim.email)
    device = browser_identity.device_of_user(ctx, user_id, claim.devices)
    looked_for = origins.looked_for(user_id, device, ctx.address)
    known, decoy = password_checks.pick_decoy(unit, ctx, tenant.id if tenant else None, account, looked_for)
    counters = throttle.counters(entry_point, account, ctx.address, known)
    wait = ctx.services.throttle.count(unit, counters, ctx.now)
    if wait:
        chain = unit.of(tenant.id if tenant else audit.INSTALLATION)
        ctx.services.anonymous_limits.record(
            chain, ctx, Event.THROTTLED, f"user:{user.id}" if user else "", wait_ms=wait.ms
        )
    return Attempt(tenant, user, decoy, counters, wait)


def counters_of(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, devices: tuple[str, ...]
) -> Counters:
    """The counters of an attempt of this user with a password, from this request's address and device."""
    device = browser_identity.device_of_user(ctx, user.id, devices)
    known = origins.known(unit.of(tenant.id), user.id, device, ctx.address)
    return throttle.counters(ENTRY_POINT, _account(tenant, user.email), ctx.address, known)


def _account(tenant: Tenant | None, email: str) -> str:
    return f"{tenant.id if tenant else 0}:{email_key(email)}"


def _find(unit: SystemUnit, claim: Claim) -> tuple[Tenant | None, User | None]:
    if claim.client is not None:
        tenant = tenants.find(unit, claim.client)
        return tenant, users.find_by_email(unit.of(tenant.id), claim.email) if tenant else None
    found = users.find_without_client(unit, claim.email, map(throttle.device_origin, claim.devices))
    return (found[1], found[0]) if found else (None, None)


def _failed(unit: SystemUnit, ctx: RequestContext, attempt: Attempt, credentials: Credentials) -> None:
    chain = unit.of(attempt.tenant.id if attempt.tenant else audit.INSTALLATION)
    subject = f"user:{attempt.user.id}" if attempt.user else ""
    ctx.services.anonymous_limits.record(
        chain, ctx, Event.SIGN_IN_FAILED, subject, method=METHOD, named=credentials.claim.client or ""
    )


async def _rehash(ctx: RequestContext, proved: Proved) -> None:
    """Replaces a hash of older settings or of another system, now that the password is known."""
    if not proved.outdated:
        return
    try:
        fresh = await ctx.services.hasher.hash(proved.credentials.password)
    except Overloaded:
        return  # the sign-in succeeds; the next one rehashes

    def work(unit: SystemUnit) -> None:
        bound = unit.of(proved.tenant.id)
        if users.rehash(bound, proved.user.id, proved.stored, fresh):
            audit.record(bound, ctx, Event.PASSWORD_REHASHED, f"user:{proved.user.id}")

    await ctx.services.store.write_quickly(work)
