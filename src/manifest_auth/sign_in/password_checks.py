"""Checks of passwords: the current one, a new one, and the decoy for an account that does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, func, select

from manifest_auth import audit, tenants
from manifest_auth.accounts import password_rules, users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidCredentials, ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.store import NO_SERVICE, SystemUnit, cell, global_, row_list, rows, tenant_condition, tenant_scoped
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.store.tables import users as users_table
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import origins, throttle
from manifest_auth.throttle.throttle import Counters, Wait

# Verification of the current password, before a signed-in user changes a credential of the account.
#
# It is throttled with the same counters for every kind of change, so that no change allows more guesses than another.

_WRONG = _("The current password is not right")


class Proved(NamedTuple):
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


async def prove_current(ctx: RequestContext, password: str, failed: Event = Event.PASSWORD_CHECK_FAILED) -> Proved:
    """``failed``: the event of a wrong password. Raises InvalidCredentials, RateLimited, Overloaded."""
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
    return Proved(user, counters)


# Checks a new password by the client's rules and hashes it, for every place where a user chooses one.


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
            raise ValidationError(details=[(field, _("Was used before"))])
    return await hasher.hash(new)


# Picks the hash to compute for an account that does not exist (docs/decisions/0036-decoy-hashes.md).
#
# Imported hashes and hashes of older settings take another time than new ones. So an account that does not exist, or
# has no password, uses kind and cost of an account of the same client that has one: always the same account, picked by
# a MAC of what was typed. When those accounts are rehashed, the decoys change with them. The same statement tells
# whether the user signed in from here before.

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
        select(origins.KNOWN, _U.password_hash)
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
    """The known origin (``looked_for``: see :func:`.origins.looked_for`), and a stored hash whose work is to be
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
    """The places in a span that a random number may have, one for each number of bits; 40 are more than any span has.
    When the span grows, a number moves to a new id or stays (linear hashing): a decoy that changed its kind whenever a
    user is added would reveal that the account does not exist."""
    return rows((place,) for place in {number & (1 << bits) - 1 for bits in range(41)})
