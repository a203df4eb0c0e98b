"""The current password, asked for again before a signed-in user changes what opens the account.

Throttled, with the same counters whatever it is asked for: to guess at one change is to guess at all of them.
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
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

_WRONG = "The current password is not right"


class Proved(NamedTuple):
    """The caller, whose password was right a moment ago."""

    user: User
    counters: Counters

    def check_again(self, unit: SystemUnit, now_user: User) -> None:
        """In the transaction of the change: the password is still the one that was proved. Raises
        InvalidCredentials."""
        if now_user.password_hash != self.user.password_hash:
            raise InvalidCredentials(_WRONG)
        throttle.succeeded(unit, self.counters)


async def prove(ctx: RequestContext, password: str) -> Proved:
    """Raises InvalidCredentials, RateLimited, Overloaded."""
    services, caller = ctx.services, ctx.user
    services.hasher.check_room()
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
        await ctx.store.write_quickly(lambda unit: audit.record(unit, ctx, Event.PASSWORD_CHECK_FAILED, subject))
        raise InvalidCredentials(_WRONG)
    return Proved(user, counters)
