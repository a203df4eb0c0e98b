"""Creates the first system admin of an installation in a browser, with a setup code from the server's terminal."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit
from manifest_auth.accounts import password_rules
from manifest_auth.accounts.admins import admins, management
from manifest_auth.audit import Event, Origin
from manifest_auth.errors import Conflict, InvalidCredentials, NotFound
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import PasswordRules
from manifest_auth.text.models import ErrorCollector
from manifest_auth.throttle import throttle

ENTRY_POINT: EntryPoint = "setup"


class SetupCode(NamedTuple):
    """A setup code for the operator. ``code`` None: a code that was printed before is valid until ``ends_at``
    (milliseconds)."""

    code: str | None
    ends_at: int


async def is_open(ctx: RequestContext) -> bool:
    """Whether there is no system admin yet."""
    return await ctx.services.store.read(admins.is_first_needed)


async def set_up(ctx: RequestContext, code: str, username: str, password: str) -> int:
    """Creates the first system admin; its number. Of concurrent calls only one succeeds. Attempts are counted by
    address: the code cannot be guessed, and an attacker cannot block the operator.

    Raises NotFound once there is an admin, InvalidCredentials for a wrong or expired code, ValidationError,
    RateLimited, Overloaded.
    """
    services = ctx.services
    services.hasher.check_capacity()
    counters = throttle.counters(ENTRY_POINT, "", ctx.address, None)._replace(account=None)

    def begin(unit: SystemUnit) -> throttle.Wait | None:
        if not admins.is_first_needed(unit):
            raise NotFound()
        wait = services.throttle.count(unit, counters, ctx.now)
        if wait is None and not admins.is_setup_code(admins.find_setup_code(unit, ctx.now), code):
            raise _failed(unit, ctx)
        return wait

    if wait := await services.store.write(begin):
        raise services.throttle.refusal(ENTRY_POINT, wait)
    _check(username, password)
    stored = await services.hasher.hash(password)

    def work(unit: SystemUnit) -> int:
        stored_code = admins.lock_setup_code(unit, ctx.now)
        if not admins.is_first_needed(unit):
            raise NotFound()
        if not admins.is_setup_code(stored_code, code):
            raise _failed(unit, ctx)
        throttle.succeeded(unit, counters)
        return management.create(unit, ctx, username, stored)

    return await services.store.write(work)


def _check(username: str, password: str) -> None:
    """Raises ValidationError for an invalid user name or password."""
    with ErrorCollector() as each:
        with each:
            admins.check_username(username)
        with each:
            password_rules.check(password, PasswordRules(), (username,))


def _failed(unit: SystemUnit, ctx: RequestContext) -> InvalidCredentials:
    """Records the failed attempt; the refusal to raise."""
    installation = unit.of(audit.INSTALLATION)
    ctx.services.anonymous_limits.record(installation, ctx, Event.SETUP_CODE_FAILED, "")
    sentence = "The setup code is not right, or its hour is over"
    return InvalidCredentials(sentence, details=[("code", sentence)])


async def at_start(services: Services) -> SetupCode | None:
    """The setup code for the terminal, while there is no system admin; else None. A valid code that was printed before
    stays valid, since several nodes may start at once."""

    def work(unit: SystemUnit) -> SetupCode | None:
        if not admins.is_first_needed(unit):
            return None
        now = services.clock.now_ms()
        stored_code = admins.lock_setup_code(unit, now)
        if stored_code is not None:
            return SetupCode(None, stored_code.ends_at)
        return _create(unit, services, Origin(now, "system", "", "start"))

    return await services.store.write(work)


async def new_code(services: Services, origin: Origin) -> SetupCode:
    """A new setup code, which replaces an earlier one. Raises Conflict once there is a system admin."""

    def work(unit: SystemUnit) -> SetupCode:
        if not admins.is_first_needed(unit):
            raise Conflict("A system admin exists: manifest-auth admin create NAME makes another one")
        return _create(unit, services, origin)

    return await services.store.write(work)


def _create(unit: SystemUnit, services: Services, origin: Origin) -> SetupCode:
    code, ends_at = admins.make_setup_code(unit, services.random, origin.at), origin.at + admins.LIFE_S * 1000
    audit.record_installation(unit, origin, Event.SETUP_CODE_MADE)
    return SetupCode(code, ends_at)
