"""Sign-in with email and password: throttle, verify, complete.

Exactly one password hash is computed for each attempt that the throttle lets through: a stored one, or a decoy for an
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
    """The caller, whose password was just verified."""

    user: User
    counters: Counters

    def check_again(self, unit: SystemUnit, now_user: User) -> None:
        """Checks, in the transaction of the change, that the password is still the one that was verified. Raises
        InvalidCredentials."""
        if now_user.password_hash != self.user.password_hash:
            raise InvalidCredentials(_WRONG, field="currentPassword")
        self.was_right(unit)

    def was_right(self, unit: SystemUnit) -> None:
        """The attempt was no failed guess, whatever becomes of the change."""
        throttle.succeeded(unit, self.counters)


async def prove_current(
    ctx: RequestContext, password: str, failed: Event = Event.PASSWORD_CHECK_FAILED
) -> ProvedCaller:
    """Verifies the caller's password, before a credential of the account changes. It is throttled with the same
    counters for every kind of change, so that no change allows more guesses than another. ``failed``: the event of a
    wrong password. Raises InvalidCredentials, RateLimited, Overloaded."""
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
    """The hash of ``new``. ``field``: name of the password in the body, for the error's details.

    Raises ValidationError by the client's rules, Overloaded.
    """
    hasher, store = ctx.services.hasher, ctx.services.store.of(user.tenant_id)
    tenant = await store.read(lambda unit: tenants.get(unit, user.tenant_id))
    rules = tenants.password_rules(tenants.settings_of(tenant.settings), user.factors)
    password_rules.check(new, rules, (user.email, user.first_name, user.last_name, *tenants.known_words(tenant)), field)
    for stored in await store.read(lambda unit: users.former_hashes(unit, user, rules.history)):
        if (await hasher.verify(stored, new)).matches:
            raise ValidationError(details=[(field, _("You used this password before. Enter a different one."))])
    return await hasher.hash(new)


# Imported hashes and hashes of older settings take another time than new ones. So an account that does not exist, or
# has no password, uses kind and cost of an account of the same client that has one: always the same account, picked by
# a MAC of what was typed. When those accounts are rehashed, the decoys change with them. The same statement tells
# whether the user signed in from here before (docs/decisions/0036-decoy-hashes.md).

_U, _T = users_table.c, tenants_table.c


def _begin(column: Column[int], *of: ColumnElement[bool]) -> ColumnElement[int]:
    """The id to begin at: the first id and the largest of :func:`places` that stays in the span. It is the place by the
    bits that the span's size has, or by one bit less."""
    first, last = (select(end(column)).where(*of).correlate(None).scalar_subquery() for end in (func.min, func.max))
    place = cell(row_list("places"), 0, column)
    return first + select(func.max(place)).where(place <= last - first).correlate(None).scalar_subquery()


_CLIENT = global_(select(_T.id).where(_T.id >= _begin(_T.id)).order_by(_T.id).limit(1), int)
#: Several rows, since accounts that sign in through a provider have no password; of the first few PostgreSQL expects
#: that they are worth no plan of their own, and so plans them once.
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
    """The known origin (``looked_for``: see :func:`.throttle.looked_for`), and a stored hash whose work is to be
    imitated; None: imitate a hash of the current settings. Called for every attempt, so that the number of statements
    is the same too. Without a client, one of all clients is picked first."""
    macs = ctx.services.store.macs
    assert macs is not None, "the server's store has them"
    spread = places(int(macs.make(b"decoy\0" + account.encode("utf-8", "surrogatepass")), 16))
    client, known = tenant_id if tenant_id is not None else unit.first(_CLIENT, places=spread), None
    if client is None:
        return None, None
    first = rows([(0,)])  # after the last row, go on there
    for statement, begin in ((_PICK, spread), (_PICK_MORE, spread), (_PICK_MORE, first)):
        for known, hashed in unit.of(client).all(statement, places=begin, **looked_for):
            if hashed is not None:
                return known, hashed
    return known, None


def places(number: int) -> str:
    """The places in a span that a random number can have, one for each number of bits; 40 are more than any span has.
    When the span grows, a number moves to a new id or stays (linear hashing): a decoy that changed its kind whenever a
    user is added would reveal that the account does not exist."""
    return rows((place,) for place in {number & (1 << bits) - 1 for bits in range(41)})


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
    beside: tuple[str, ...] = ()

    @property
    def browser(self) -> BrowserCookies:
        return BrowserCookies(self.cookie, self.claim.devices, self.trust, self.beside)


class Attempt(NamedTuple):
    """An attempt after it was counted. ``user``: None if there is no user who can sign in with a password;
    ``decoy``: the hash whose work is done where there is none to verify."""

    tenant: Tenant | None
    user: User | None
    decoy: str | None
    counters: Counters
    wait: Wait | None


class Proved(NamedTuple):
    """A right password of a user who can sign in with one. ``stored``: the hash that it matches; ``outdated``: made by
    older settings, or by another system; ``decoy``: as the attempt has it, should the password be removed in the
    meantime."""

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
async def sign_in_for_code(ctx: RequestContext, credentials: Credentials, pending: Pending) -> tuple[Account, str]:
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
    """Opens the session. Raises AccountDisabled, MfaRequired; InvalidCredentials if the password was changed
    in the meantime."""
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
    raise InvalidCredentials()


async def _settle(ctx: RequestContext, proved: Proved, pending: Pending, end: _End[T]) -> T:
    """The result of ``end`` for a correct password, in the unit of work that takes the counted attempt back; then the
    hash is brought up to date."""
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
        # Replaced while this one hashed: a parallel sign-in might have hashed the same password again.
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
    user_id, account = user.id if user else 0, account_of(tenant, claim.email)
    looked_for = throttle.looked_for(user_id, browser_identity.device_of_user(ctx, user_id, claim.devices), ctx.source)
    known, decoy = pick_decoy(unit, ctx, tenant.id if tenant else None, account, looked_for)
    counters = throttle.counters(entry_point, account, ctx.source, known)
    wait = ctx.services.throttle.count(unit, counters, ctx.now)
    if wait:
        chain = unit.of(tenant.id if tenant else audit.INSTALLATION)
        ctx.services.anonymous_limits.record(
            chain, ctx, Event.THROTTLED, f"user:{user.id}" if user else "", wait_ms=wait.ms
        )
    return Attempt(tenant, user, decoy, counters, wait)


def account_of(tenant: Tenant | None, email: str) -> str:
    """The account as attempts with a password count it."""
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
