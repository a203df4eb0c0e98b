"""Sign-in with email and password: throttle, verify, complete.

Exactly one password hash is computed for each attempt that the throttle accepts: a stored one, or a decoy for an
account that does not exist or has no password (:func:`pick_decoy`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Column, ColumnElement, func, select

from manifest_auth import audit, tenants
from manifest_auth.accounts import password_rules, users
from manifest_auth.accounts.factors.challenges import OPENS_SESSION, Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidCredentials, MfaRequired, Overloaded, ValidationError
from manifest_auth.runtime.metrics import EntryPoint, Method
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import browser_identity, completion, exchange_codes
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.completion import Account, SignedIn
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import NO_SERVICE, SystemUnit, cell, global_, row_list, rows, tenant_condition, tenant_scoped
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.store.tables import users as users_table
from manifest_auth.tenants import Tenant
from manifest_auth.text.canonical import email_key
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

_WRONG = _("The current password is incorrect")


class ProvedCaller(NamedTuple):
    """The caller, after their password was verified."""

    user: User
    counters: Counters

    def check_again(self, unit: SystemUnit, now_user: User) -> None:
        """Checks, in the transaction of the change, that the verified password is still current. Raises
        InvalidCredentials."""
        if now_user.password_hash != self.user.password_hash:
            raise InvalidCredentials(_WRONG, field="currentPassword")
        self.was_right(unit)

    def was_right(self, unit: SystemUnit) -> None:
        """Records that the attempt was no failed guess, whatever the result of the change."""
        throttle.succeeded(unit, self.counters)


async def prove_current(
    ctx: RequestContext, password: str, failed: Event = Event.PASSWORD_CHECK_FAILED
) -> ProvedCaller:
    """Verifies the caller's password before a credential of the account changes. All kinds of change share the same
    counters, so none of them allows extra guesses. ``failed`` is the event of a wrong password. Raises
    InvalidCredentials, RateLimited, Overloaded."""
    services, caller = ctx.services, ctx.user
    services.hasher.check_capacity()
    counters = throttle.counters("change", f"{caller.tenant_id}:{caller.user_id}", ctx.address, None)
    subject = f"user:{caller.user_id}"

    def count(unit: SystemUnit) -> tuple[Wait | None, User]:
        wait = ctx.services.throttle.count(unit, counters, ctx.now)
        bound = unit.of(caller.tenant_id)
        if wait:
            audit.record(bound, ctx, Event.THROTTLED, subject, method="password_change", wait_ms=wait.ms)
        return wait, users.get(bound, caller.user_id)

    wait, user = await services.store.write(count)
    if wait:
        raise ctx.services.throttle.refusal("change", wait)
    proof = await throttle.prove(ctx.services.hasher, ctx.services.store, counters, user.password_hash, password)
    if not proof.matches:
        await ctx.store.write_quickly(lambda unit: audit.record(unit, ctx, failed, subject))
        raise InvalidCredentials(_WRONG, field="currentPassword")
    return ProvedCaller(user, counters)


async def hash_of_new(ctx: RequestContext, user: User, new: str, field: str) -> str:
    """Hashes the password ``new``. ``field`` is the name of the password in the body, for the error's details.

    Raises ValidationError under the client's rules, Overloaded.
    """
    hasher, store = ctx.services.hasher, ctx.services.store.of(user.tenant_id)
    tenant = await store.read(lambda unit: tenants.get(unit, user.tenant_id))
    rules = tenants.password_rules(tenants.settings_of(tenant.settings), user.factors)
    password_rules.check(new, rules, (user.email, user.first_name, user.last_name, *tenants.known_words(tenant)), field)
    for stored in await store.read(lambda unit: users.former_hashes(unit, user, rules.history)):
        if (await hasher.verify(stored, new)).matches:
            raise ValidationError(details=[(field, _("You used this password before. Enter a different one."))])
    return await hasher.hash(new)


# Imported hashes and hashes with older settings take a different time than new ones. So an account that does not exist,
# or has no password, uses the kind and cost of an account of the same client that has one. It is always the same
# account, picked by a MAC of the typed email. When those accounts are rehashed, the decoys change with them. The same
# statement also returns whether the user signed in from here before (docs/decisions/0036-decoy-hashes.md).

_U, _T = users_table.c, tenants_table.c


def _begin(column: Column[int], *of: ColumnElement[bool]) -> ColumnElement[int]:
    """Selects the ID to start at: the first ID plus the largest of :func:`places` that fits in the span. That place has
    as many bits as the span's size, or one bit fewer."""
    first, last = (select(end(column)).where(*of).correlate(None).scalar_subquery() for end in (func.min, func.max))
    place = cell(row_list("places"), 0, column)
    return first + select(func.max(place)).where(place <= last - first).correlate(None).scalar_subquery()


_CLIENT = global_(select(_T.id).where(_T.id >= _begin(_T.id)).order_by(_T.id).limit(1), int)
#: Several rows, since accounts that sign in through a provider have no password. PostgreSQL's estimate for a few rows
#: makes it cache the plan.
_PICK, _PICK_MORE = (
    tenant_scoped(
        select(throttle.KNOWN_ORIGIN, _U.password_hash)
        .where(_U.id >= _begin(_U.id, tenant_condition(users_table, every_kind=True), NO_SERVICE), NO_SERVICE)
        .order_by(_U.id)
        .limit(most),
        every_kind=True,
    )
    for most in (4, 32)
)


def pick_decoy(
    unit: SystemUnit, ctx: RequestContext, tenant_id: int | None, account: str, looked_for: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """Returns the known origin (``looked_for``: see :func:`.throttle.looked_for`), and a stored hash to imitate; None
    means a hash with the current settings. Runs for every attempt, so that the number of statements is always the same.
    Without a client, it first picks one of all clients."""
    macs = ctx.services.store.macs
    assert macs is not None, "the server's store has them"
    spread = places(int(macs.make(b"decoy\0" + account.encode("utf-8", "surrogatepass")), 16))
    client, known = tenant_id if tenant_id is not None else unit.first(_CLIENT, places=spread), None
    if client is None:
        return None, None
    first = rows([(0,)])  # wrap around after the last row
    for statement, begin in ((_PICK, spread), (_PICK_MORE, spread), (_PICK_MORE, first)):
        for known, hashed in unit.of(client).all(statement, places=begin, **looked_for):
            if hashed is not None:
                return known, hashed
    return known, None


def places(number: int) -> str:
    """Returns the places in a span that a random number can have, one for each number of bits; 40 exceed any span. When
    the span grows, a number stays or moves to a new ID (linear hashing). A decoy that changed whenever a user is added
    would reveal that the account does not exist."""
    return rows((place,) for place in {number & (1 << bits) - 1 for bits in range(41)})


T = TypeVar("T")
_End = Callable[..., T]  # completion.complete_sign_in, or exchange_codes.complete_for_code
METHOD: Method = "password"
ENTRY_POINT: EntryPoint = "client"


class Claim(NamedTuple):
    """The account that an attempt names, and the markers of its device."""

    email: str
    client: str | None
    devices: tuple[str, ...]


class Credentials(NamedTuple):
    """The inputs of an attempt."""

    claim: Claim
    password: str
    cookie: str | None
    trust: str | None = None
    beside: tuple[str, ...] = ()

    @property
    def browser(self) -> BrowserCookies:
        return BrowserCookies(self.cookie, self.claim.devices, self.trust, self.beside)


class Attempt(NamedTuple):
    """A counted attempt. ``user`` is None if no such user can sign in with a password; ``decoy`` is the hash to compute
    if there is none to verify."""

    tenant: Tenant | None
    user: User | None
    decoy: str | None
    counters: Counters
    wait: Wait | None


class Proved(NamedTuple):
    """A correct password of a user who can sign in with one. ``stored``: the hash that it matches; ``outdated``: the
    hash has older settings, or comes from another system; ``decoy``: as in the attempt, in case the password is removed
    in the meantime."""

    tenant: Tenant
    user: User
    counters: Counters
    credentials: Credentials
    stored: str
    outdated: bool
    decoy: str | None


@counts(METHOD)
async def sign_in(ctx: RequestContext, credentials: Credentials, pending: Pending = OPENS_SESSION) -> SignedIn:
    """Signs in a user. ``pending`` says where a page continues after a second factor. Raises InvalidCredentials,
    AccountDisabled, MfaRequired, RateLimited, Overloaded."""
    return await complete(ctx, await prove(ctx, credentials), pending)


@counts(METHOD, "code")
async def sign_in_for_code(ctx: RequestContext, credentials: Credentials, pending: Pending) -> tuple[Account, str]:
    """Signs in a user for an app, which exchanges the returned code. ``pending`` includes the app's own challenge (RFC
    7636). Raises the errors of :func:`sign_in`."""
    return await _settle(ctx, await prove(ctx, credentials), pending, exchange_codes.complete_for_code)


async def prove(ctx: RequestContext, credentials: Credentials) -> Proved:
    """Counts the attempt and verifies the password. Raises InvalidCredentials, RateLimited, Overloaded."""
    services = ctx.services
    services.hasher.check_capacity()  # before counting: a dropped attempt must not count
    counted = await services.store.write_quickly(lambda unit: find_and_count(unit, ctx, credentials.claim, ENTRY_POINT))
    if counted.wait is not None:
        raise services.throttle.refusal(ENTRY_POINT, counted.wait)
    return await _verify(ctx, credentials, counted, counted.user.password_hash if counted.user else None)


async def complete(ctx: RequestContext, proved: Proved, pending: Pending = OPENS_SESSION) -> SignedIn:
    """Opens the session. Raises AccountDisabled, MfaRequired, and InvalidCredentials if the password was changed in the
    meantime."""
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    signed_in = await _settle(ctx, proved, pending, completion.complete_sign_in)
    completion.log(ctx, signed_in.tenant, signed_in.user.id, METHOD)
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
    raise InvalidCredentials(reason=f"password: {_why_failed(attempt)}")


def _why_failed(attempt: Attempt) -> str:
    if attempt.tenant is None:
        return "unknown client or account"
    if attempt.user is None:
        return f"{attempt.tenant.identifier} has no such account, or doesn't allow passwords"
    what = "incorrect" if attempt.user.password_hash else "none is set"
    return f"{what}, user:{attempt.user.id} of {attempt.tenant.identifier}"


async def _settle(ctx: RequestContext, proved: Proved, pending: Pending, end: _End[T]) -> T:
    """Returns the result of ``end`` for a correct password, in the unit of work that reverses the attempt's count. Then
    updates an outdated hash."""
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
        done = await ctx.services.store.write_at_once(proved.tenant.id, work)
    except completion.PasswordReplaced as replaced:
        # The password was replaced during hashing: a parallel sign-in might have rehashed the same one.
        attempt = Attempt(proved.tenant, proved.user, proved.decoy, proved.counters, None)
        return await _settle(ctx, await _verify(ctx, proved.credentials, attempt, replaced.stored), pending, end)
    except MfaRequired:  # the password was still correct
        await _rehash(ctx, proved)
        raise
    await _rehash(ctx, proved)
    return done


def find_and_count(unit: SystemUnit, ctx: RequestContext, claim: Claim, entry_point: EntryPoint) -> Attempt:
    """Looks up the account and counts the attempt, in the same way whether or not the account exists. Each entry point
    has its own counters."""
    tenant, user = _find(unit, claim)
    if tenant is not None and not tenants.settings_of(tenant.settings).password_sign_in:
        user = None  # same response, count and time as for a missing account
    user_id, account = user.id if user else 0, account_of(tenant, claim.email)
    looked_for = throttle.looked_for(user_id, browser_identity.device_of_user(ctx, user_id, claim.devices), ctx.source)
    known, decoy = pick_decoy(unit, ctx, tenant.id if tenant else None, account, looked_for)
    counters = throttle.counters(entry_point, account, ctx.source, known)
    wait = ctx.services.throttle.count(unit, counters, ctx.now)
    if tenant is not None and user is not None:
        users.expect_sign_in(unit.of(tenant.id), user, tenant)
    if wait:
        chain = unit.of(tenant.id if tenant else audit.INSTALLATION)
        ctx.services.anonymous_limits.record(
            chain, ctx, Event.THROTTLED, f"user:{user.id}" if user else "", wait_ms=wait.ms
        )
    return Attempt(tenant, user, decoy, counters, wait)


def account_of(tenant: Tenant | None, email: str) -> str:
    """Returns the account in the form in which password attempts are counted."""
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
    """Replaces a hash with older settings or from another system, now that the password is known."""
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
