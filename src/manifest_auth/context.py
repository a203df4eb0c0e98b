"""A request and its caller, as the domain sees them: without the services and without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from manifest_auth.permissions import Permission, allowed
from manifest_auth.runtime.clock import Clock


class Origin(NamedTuple):
    """Actor, time (milliseconds since 1970) and source of an action, as the audit trail records them. ``told`` contains
    members of every event's detail."""

    at: int
    actor: str
    address: str
    request_id: str
    told: Mapping[str, str] = MappingProxyType({})

    @property
    def origin(self) -> Origin:
        return self


class Acting(Protocol):
    """Anything with an origin: a request, or the :class:`Origin` itself."""

    @property
    def origin(self) -> Origin: ...


@dataclass(slots=True, frozen=True)
class Anonymous:
    """A caller without a credential, or on a route that needs none."""

    @property
    def actor(self) -> str:
        return "anonymous"


PERSON, SERVICE = "person", "service"
#: Methods of sessions that a device holds: a person's own device, or a shared one with a badge.
DEVICE, BADGE = "device", "badge"


class Principal(NamedTuple):
    """A session with its user and tenant, active or not, as one read returns them. A service account that presents a
    key or a token has one too: its credential takes the place of a session, and ``cookie_seen_at`` is when it was last
    used. ``held_roles`` are the user's; a session can have fewer, see :attr:`roles`."""

    session_id: str
    user_id: int
    created_at: int
    ends_at: int
    ended_at: int | None
    cookie_seen_at: int
    authenticated_at: int | None  # when; None if unknown
    email: str
    first_name: str
    last_name: str
    # The following members are the same in many sessions, see sessions/principals.py.
    tenant_id: int
    method: str
    title: str
    language: str | None  # the user's choice, see text/languages.py
    held_roles: int
    deactivated_at: int | None
    client: str
    client_name: str
    tenant_settings: str
    suspended_at: int | None
    keys: str | None  # the stamp of the signing keys, as of this read
    claims: int  # stamp of the claims on an external token's directory; 0 for sessions
    amr: str  # the methods used (RFC 8176), separated by spaces
    factors: int  # bit mask of the user's second factors, see accounts/factors
    has_password: int
    kind: str  # PERSON or SERVICE: see accounts/service_accounts
    scopes: int | None  # bit mask that limits the permissions of the roles to those of the credential; None: no limit
    addresses: str  # networks that can use the credential, separated by commas; empty: any
    role_cap: int | None  # bit mask that limits the user's roles in the session; None: no limit
    idle_s: int | None  # the session ends after this many seconds without use of any key; None: no limit
    has_parent: int  # whether the session came from another, see sessions/sessions.py

    @property
    def roles(self) -> int:
        """The current roles of the session, as a bit mask."""
        return self.capped(self.held_roles)

    def capped(self, held: int) -> int:
        """Returns which of the user's roles the session has. Only this method applies the cap, also for roles that are
        read again in the transaction of an action."""
        return held if self.role_cap is None else held & self.role_cap

    @property
    def is_device(self) -> bool:
        """Whether a device holds the session. Such a session can't be used for actions that require
        re-authentication."""
        return self.method in (DEVICE, BADGE)

    @property
    def is_service(self) -> bool:
        """Whether the caller is a machine, with a credential of a service account."""
        return self.kind == SERVICE

    @property
    def is_app(self) -> bool:
        """Whether an app calls for the user, with only the access that the user granted."""
        return self.scopes is not None and self.kind != SERVICE

    @property
    def is_program(self) -> bool:
        """Whether nobody is there to re-authenticate, because a machine or an app calls."""
        return self.is_service or self.is_app

    @property
    def permissions(self) -> frozenset[Permission]:
        """The caller's permissions with this credential."""
        return allowed(self.roles, self.scopes)

    def is_alive(self, now: int) -> bool:
        """Whether session, user and tenant are all active."""
        is_idle = self.idle_s is not None and now - self.cookie_seen_at >= self.idle_s * 1000
        return (
            self.ended_at is None
            and self.ends_at > now
            and self.deactivated_at is None
            and self.suspended_at is None
            and not is_idle
        )

    @property
    def actor(self) -> str:
        return f"service:{self.user_id}" if self.kind == SERVICE else f"user:{self.user_id}"


@dataclass(slots=True, frozen=True)
class AdminCaller:
    """A system admin, who belongs to no tenant."""

    session_id: str
    admin_id: int
    username: str
    limited: bool = False  # can only enroll a second factor
    proved_at: int | None = None  # when password and code were last verified; None if unknown

    @property
    def actor(self) -> str:
        return f"admin:{self.admin_id}"


@dataclass(slots=True, frozen=True)
class SystemCaller:
    """The server itself and its command line. No rule of rank applies to it, and it doesn't re-authenticate."""

    @property
    def actor(self) -> str:
        return "system"


@dataclass(slots=True, frozen=True)
class ServiceClient:
    """A service account that authenticated with the request itself, at ``/oauth2``. It has no session."""

    account_id: int

    @property
    def actor(self) -> str:
        return f"service:{self.account_id}"


@dataclass(slots=True, frozen=True)
class ScimCaller:
    """A connection of an identity provider that manages a client's users, identified by its token. ``client`` is the
    tenant's identifier. It has no session."""

    tenant_id: int
    client: str
    connection_id: int
    name: str

    @property
    def actor(self) -> str:
        return f"scim:{self.connection_id}"


HOUR_MS = 3_600_000
VIA = " via "  # in :attr:`Request.source`
#: How long a re-authentication is valid, in milliseconds.
RECENT_MS = 10 * 60_000
Caller = Anonymous | Principal | AdminCaller | SystemCaller | ServiceClient | ScimCaller
ANONYMOUS, SYSTEM = Anonymous(), SystemCaller()


@dataclass(slots=True)
class Request:
    """A request: who calls, and from where. ``address`` is the caller's IP address; ``user_agent`` is the header as
    sent."""

    clock: Clock
    request_id: str
    address: str
    user_agent: str
    caller: Caller
    by_cookie: bool = False  # the session cookie is the credential
    mail_until: float | None = None  # loop time until which the request waits for its emails
    asked: int = 0  # bit mask of the actions for which re-authentication was checked, see tenants/step_up.py
    may_end: bool = False  # the action can end the caller's own session, see audit/events.py
    via: str = ""  # the service account that forwarded the address, as the audit trail names it
    by_app: str = ""  # the app that acts for the user

    @property
    def now(self) -> int:
        """The current time in milliseconds since 1970."""
        return self.clock.now_ms()

    @property
    def origin(self) -> Origin:
        told = {name: who for name, who in (("via", self.via), ("by_app", self.by_app)) if who}
        return Origin(self.now, self.caller.actor, self.address, self.request_id, told)

    @property
    def source(self) -> str:
        """The address under which attempts are counted. If a service account forwarded it, that account and the hour
        are part of it."""
        return f"{self.address}{VIA}{self.via}/{self.now // HOUR_MS}" if self.via else self.address

    @property
    def user(self) -> Principal:
        """The signed-in user. Use it only in routes for users."""
        assert isinstance(self.caller, Principal)
        return self.caller

    @property
    def admin(self) -> AdminCaller:
        """The signed-in system admin. Use it only in routes for system admins."""
        assert isinstance(self.caller, AdminCaller)
        return self.caller
