"""House (per process), Context (per request) and Caller: what every verb gets first. Knows no web framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.settings import Settings

if TYPE_CHECKING:  # the floors above: the house holds them, this floor only names their types
    from structlog.typing import FilteringBoundLogger

    from manifest_auth.accounts.admins import AdminRange
    from manifest_auth.audit.refusals import Refusals
    from manifest_auth.licence import Gate
    from manifest_auth.protocols.microsoft import Microsoft
    from manifest_auth.protocols.oidc import Client as OidcClient
    from manifest_auth.protocols.saml.threads import SamlThreads
    from manifest_auth.runtime.files import Keeper
    from manifest_auth.runtime.hashing import Hasher
    from manifest_auth.runtime.mail import Mail
    from manifest_auth.runtime.metrics import Metrics
    from manifest_auth.runtime.outgoing import Outgoing
    from manifest_auth.runtime.sealing import Sealer
    from manifest_auth.sessions import Principals
    from manifest_auth.sessions.tokens import KeyRing, VerifiedTokens
    from manifest_auth.sign_in.providers.entra_bearer import EntraTokens
    from manifest_auth.store import Store, TenantStore
    from manifest_auth.tenants.claims import DomainRecords


@dataclass(slots=True)
class House:
    """What lives as long as the process. Built once, in ``app.py``."""

    settings: Settings
    clock: Clock
    random: Random
    log: FilteringBoundLogger
    metrics: Metrics
    store: Store
    sealer: Sealer
    hasher: Hasher
    keys: KeyRing
    verified: VerifiedTokens
    principals: Principals
    admin_range: AdminRange
    licence: Gate
    outgoing: Outgoing
    oidc: OidcClient
    microsoft: Microsoft
    entra: EntraTokens
    saml_threads: SamlThreads
    files: Keeper
    mail: Mail
    domain_records: DomainRecords
    refusals: Refusals
    started_at: int  # when this process built it


@dataclass(slots=True, frozen=True)
class Anonymous:
    """Nobody: no credential was shown, or the route asks for none."""

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
class Context:
    """One request: who asks, from where, and the house to do it with."""

    house: House
    request_id: str
    address: str
    user_agent: str
    caller: Caller = ANONYMOUS
    renewed_cookie: str = ""  # the session cookie whose idle time this request started anew
    loaded: dict[Any, Any] = field(default_factory=dict)  # what GraphQL read for this request
    license_warning: str = ""  # what the answer says of the licence, see the front door
    mail_until: float | None = None  # until when all letters of this request must be gone, see mail.Mail

    @property
    def now(self) -> int:
        return self.house.clock.now_ms()

    @property
    def store(self) -> TenantStore:
        """The store, bound to the tenant of the signed-in user."""
        return self.house.store.of(self.user.tenant_id)

    @property
    def user(self) -> UserCaller:
        """The signed-in user. Only behind a route that lets nobody else in."""
        assert isinstance(self.caller, UserCaller)
        return self.caller

    @property
    def admin(self) -> AdminCaller:
        """The signed-in system admin. Only behind a route that lets nobody else in."""
        assert isinstance(self.caller, AdminCaller)
        return self.caller
