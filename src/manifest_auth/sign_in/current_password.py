"""Verification of the current password, before a signed-in user changes a credential of the account.

It is throttled with the same counters for every kind of change, so that no change allows more guesses than another.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidCredentials
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

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


async def prove(ctx: RequestContext, password: str, failed: Event = Event.PASSWORD_CHECK_FAILED) -> Proved:
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
