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


class UserCaller(NamedTuple):
    """A user of a tenant, as read from the store for this very request."""

    session_id: str
    tenant_id: int
    client: str
    client_name: str
    tenant_settings: str
    user_id: int
    email: str
    first_name: str
    last_name: str
    title: str
    roles: int
    method: str
    signed_in_at: int
    by_cookie: bool

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


Caller = Anonymous | UserCaller | AdminCaller
ANONYMOUS = Anonymous()


@dataclass(slots=True)
class Request:
    """Who asks, and from where. ``address``: of the caller, as text; ``user_agent``: as the caller sends it."""

    clock: Clock
    request_id: str
    address: str
    user_agent: str
    caller: Caller
    mail_until: float | None = None  # the loop's time until which the request waits for its e-mails

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.clock.now_ms()

    @property
    def origin(self) -> Origin:
        return Origin(self.now, self.caller.actor, self.address, self.request_id)

    @property
    def user(self) -> UserCaller:
        """The signed-in user. Only behind a route that admits users alone."""
        assert isinstance(self.caller, UserCaller)
        return self.caller

    @property
    def admin(self) -> AdminCaller:
        """The signed-in system admin. Only behind a route that admits system admins alone."""
        assert isinstance(self.caller, AdminCaller)
        return self.caller
