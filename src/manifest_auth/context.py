"""What is known of a request, and who makes it. The domain takes these; it names neither the services nor HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from manifest_auth.runtime.clock import Clock


class Origin(NamedTuple):
    """Who acts, when (milliseconds since 1970) and from where, as the audit trail has it."""

    at: int
    actor: str
    address: str
    request_id: str

    @property
    def origin(self) -> Origin:
        return self


class Acting(Protocol):
    """Whatever has an origin: a request, or the command line's :class:`Origin` itself."""

    @property
    def origin(self) -> Origin: ...


@dataclass(slots=True, frozen=True)
class Anonymous:
    """No credential was shown, or the route asks for none."""

    @property
    def actor(self) -> str:
        return "anonymous"


class Principal(NamedTuple):
    """A user who calls: the session with its user and tenant, dead or alive, as one read of the store has them."""

    session_id: str
    tenant_id: int
    user_id: int
    method: str
    created_at: int
    ends_at: int
    ended_at: int | None
    cookie_hash: str
    cookie_seen_at: int
    refresh_current: str
    refresh_previous: str | None
    refresh_changed_at: int
    email: str
    first_name: str
    last_name: str
    title: str
    language: str | None
    roles: int
    deactivated_at: int | None
    client: str
    client_name: str
    tenant_settings: str
    suspended_at: int | None
    keys: str | None  # the stamp of the signing keys, as of this read
    claims: int  # on whose standing the judgement of an external token rests; 0 for all others

    def is_alive(self, now: int) -> bool:
        """Whether session, user and tenant all let it in."""
        return (
            self.ended_at is None and self.ends_at > now and self.deactivated_at is None and self.suspended_at is None
        )

    @property
    def actor(self) -> str:
        return f"user:{self.user_id}"


@dataclass(slots=True, frozen=True)
class AdminCaller:
    """A system admin; a user of no tenant."""

    session_id: str
    admin_id: int
    username: str
    limited: bool = False  # may do nothing but enrol a second factor

    @property
    def actor(self) -> str:
        return f"admin:{self.admin_id}"


Caller = Anonymous | Principal | AdminCaller
ANONYMOUS = Anonymous()


@dataclass(slots=True)
class Request:
    """Who asks, and from where. ``address``: of the caller, as text; ``user_agent``: as the caller sends it."""

    clock: Clock
    request_id: str
    address: str
    user_agent: str
    caller: Caller
    by_cookie: bool = False  # the session cookie is the credential
    mail_until: float | None = None  # the loop's time until which the request waits for its e-mails

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.clock.now_ms()

    @property
    def origin(self) -> Origin:
        return Origin(self.now, self.caller.actor, self.address, self.request_id)

    @property
    def user(self) -> Principal:
        """The signed-in user. Only behind a route that admits users alone."""
        assert isinstance(self.caller, Principal)
        return self.caller

    @property
    def admin(self) -> AdminCaller:
        """The signed-in system admin. Only behind a route that admits system admins alone."""
        assert isinstance(self.caller, AdminCaller)
        return self.caller
