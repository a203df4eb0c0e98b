"""People of the demo: their accounts, their sessions, and the clock that is moved forward for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from manifest_auth import accounts, sessions
from manifest_auth.accounts import Draft
from manifest_auth.accounts.admins import management
from manifest_auth.clients import client_lifecycle
from manifest_auth.context import ANONYMOUS, SYSTEM, Caller
from manifest_auth.permissions import Role
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import DAY, MINUTE
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in import completion, session_lifecycle
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.password import METHOD
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import TenantSettings
from manifest_auth.tenants.claims import domains
from manifest_auth.work import Actor, actor_of

# Clients and accounts of the demo: a user for each role in one client, an Admin in another, and a system admin.


ADMIN = "admin"
CLIENTS = {"acme": "Acme Corporation", "globex": "Globex Corporation"}
_NAMES = {
    Role.ADMIN: ("Ada", "Admin"),
    Role.USER_ADMIN: ("Uma", "Users"),
    Role.AUTHOR: ("Arthur", "Author"),
    Role.OPERATOR: ("Olga", "Operator"),
    Role.APPROVER: ("April", "Approver"),
    Role.PUBLISHER: ("Paul", "Publisher"),
    Role.VIEWER: ("Vera", "Viewer"),
}


def users() -> list[tuple[str, str, Role]]:
    """(client, e-mail, role) of every demo user with a password."""
    slug = {role: role.value.lower().replace(" ", "-") for role in _NAMES}
    return [("acme", f"{slug[role]}@acme.example", role) for role in _NAMES] + [
        ("globex", "admin@globex.example", Role.ADMIN)
    ]


def write(unit: SystemUnit, services: Services, hashes: dict[str, str]) -> None:
    """Creates everything. ``hashes``: of the passwords, by account name."""
    by = RequestContext(services, "demo", "", "", SYSTEM)
    for identifier, name in CLIENTS.items():
        bound = unit.of(client_lifecycle.create(unit, by, identifier, name, TenantSettings()).id)
        for client, email, role in users():
            if client == identifier:
                first, last = _NAMES[role]
                draft = Draft(email, role.bit, {"first_name": first, "last_name": last, "title": role.value})
                accounts.add(bound, by, draft, hashes[email])
        # Otherwise no e-mail address could link an account when a provider is tried out: these domains are not in DNS.
        domains.vouch(bound, by, f"{identifier}.example", "a made-up name of the demo", services.random)
    management.create(unit, by, ADMIN, hashes[ADMIN])


# The clock of the demo data: starts a fortnight ago, and is moved forward up to the present.


DAYS = 14


class PastClock(Clock):
    """Stands still unless it is moved, and never passes the time at which it was made. ``present``: the true clock."""

    def __init__(self, present: Clock) -> None:
        self._present = present.now_ms()
        self._now = self._present - DAYS * DAY * 1000

    def now_ms(self) -> int:
        return self._now

    def move_to(self, days_ago: float) -> None:
        """Moves forward to so many days before the present; an earlier time changes nothing."""
        self._now = max(self._now, self._present - int(days_ago * DAY * 1000))

    def move_by(self, minutes: int) -> None:
        self._now = min(self._now + minutes * MINUTE * 1000, self._present)


# Sessions of the demo's users.
#
# They are opened by the completion of every sign-in, without verifying a password, which would cost a hash for each.


T = TypeVar("T")


class Browser(NamedTuple):
    address: str
    user_agent: str


_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
# Addresses: RFC 5737 and RFC 3849, which no machine has.
CHROME = Browser("192.0.2.10", f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36")
EDGE = Browser("192.0.2.24", f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0")
FIREFOX = Browser("198.51.100.7", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
IPHONE = Browser(
    "2001:db8:12::5",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
    "Mobile/15E148 Safari/604.1",
)
TABLET = Browser(
    "203.0.113.41",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
)
HEADSET = Browser(
    "203.0.113.42",
    "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/40.2.0 "
    "Chrome/138.0.0.0 VR Safari/537.36",
)


def request(services: Services, browser: Browser, caller: Caller = ANONYMOUS) -> RequestContext:
    """A request of its own, from that browser."""
    return RequestContext(services, services.random.text(12), *browser, caller=caller)


class Visit:
    """A session of a user in one browser."""

    def __init__(self, services: Services, browser: Browser, caller: Caller) -> None:
        self._services, self._browser, self._caller = services, browser, caller

    @property
    def ctx(self) -> RequestContext:
        """The session's next request."""
        return request(self._services, self._browser, self._caller)

    async def act(self, work: Callable[[TenantUnit, RequestContext], T]) -> T:
        """One request that writes."""
        ctx = self.ctx
        return await ctx.store.write(lambda unit: work(unit, ctx))

    async def work(self, work: Callable[[TenantUnit, Actor], T]) -> T:
        """The same, for templates and jobs."""
        return await self.act(lambda unit, ctx: work(unit, actor_of(ctx)))

    async def sign_out(self) -> None:
        await session_lifecycle.sign_out(self.ctx)


async def sign_in(services: Services, tenant_id: int, user_id: int, browser: Browser) -> Visit:
    """Opens a session."""
    ctx = request(services, browser)
    identity = Identity(METHOD, user_id, ("pwd",), authenticated_at=ctx.now)
    signed_in = await services.store.write_quickly(
        lambda unit: completion.complete_sign_in(unit, ctx, tenant_id, identity, BrowserCookies(None, ()))
    )
    principal, _ = await sessions.look_up_with_chain(services.store, signed_in.session_id)
    assert principal is not None, "it was opened just now"
    return Visit(services, browser, principal)
