"""The services of a process, and a request that carries them.

Only ``sign_in`` and the layers above it use them; packages below take the few things that they need as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from manifest_auth.accounts.admins import AdminNetworks
from manifest_auth.accounts.mail_queue import AccountRequest, MailQueue
from manifest_auth.audit.events import Refusals
from manifest_auth.context import ANONYMOUS, Caller, Principal
from manifest_auth.licence import Gate, SeatCounter
from manifest_auth.protocols.microsoft import Microsoft
from manifest_auth.protocols.oidc import Client as OidcClient
from manifest_auth.runtime.bounded_thread import BoundedThread
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.files import FileStorage
from manifest_auth.runtime.hashing import Hasher
from manifest_auth.runtime.logs import FilteringBoundLogger, Outages
from manifest_auth.runtime.mail import Mail
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.runtime.settings import Settings
from manifest_auth.sessions import Principals
from manifest_auth.sessions.tokens import KeyRing, ServiceTokens, TokenTools, VerifiedTokens
from manifest_auth.store import Store, TenantStore
from manifest_auth.tenants import OriginIndex
from manifest_auth.tenants.claims import DomainRecords
from manifest_auth.tenants.tenants import ClientHint
from manifest_auth.throttle import AnonymousLimits, Bursts, Throttle, WrongSecrets

if TYPE_CHECKING:
    from manifest_auth.runtime.trace_export import Recorder

ExternalKey = tuple[bytes, str | None]


class EntraBearers(Protocol):
    """Verification of Microsoft's access tokens, with cached results (:mod:`.sign_in.providers.entra_bearer`)."""

    def key_of(self, ctx: RequestContext, token: str) -> ExternalKey | None: ...

    async def principal(self, ctx: RequestContext, token: str, key: ExternalKey) -> Principal: ...

    def end_of(self, session_id: str) -> int: ...


@dataclass(slots=True)
class Services:
    """The objects that live as long as the process. Built once, in ``maintenance/startup.py``."""

    settings: Settings
    clock: Clock
    random: Random
    log: FilteringBoundLogger
    metrics: Metrics
    store: Store
    sealer: Sealer
    hasher: Hasher
    keys: KeyRing
    tokens: TokenTools
    verified: VerifiedTokens
    service_tokens: ServiceTokens
    principals: Principals
    admin_networks: AdminNetworks
    licence: Gate
    seats: SeatCounter  # the license's, see licence/gate.py
    outgoing: Outgoing
    oidc: OidcClient
    microsoft: Microsoft
    entra: EntraBearers
    saml_thread: BoundedThread
    files: FileStorage
    file_outages: Outages
    mail: Mail
    mail_queue: MailQueue
    throttle: Throttle
    anonymous_limits: AnonymousLimits
    wrong_secrets: WrongSecrets
    scim_bursts: Bursts
    domain_records: DomainRecords
    origin_index: OriginIndex
    refusals: Refusals
    started_at: int  # start of this process, milliseconds
    recorder: Recorder | None  # None unless tracing is on
    draining: bool = False  # the process is shutting down but still serves
    jobs_failed_at: int = 0  # when background jobs of this process last failed, 0 after they succeed again


class Owner(NamedTuple):
    """The user whose data a response contains: settings of the client, and roles (a bit mask)."""

    tenant_settings: str
    roles: int


class Mutation(NamedTuple):
    """A GraphQL mutation for the log. ``operation``: the caller's name for it, or empty; ``fields``: the schema's
    fields."""

    operation: str
    fields: tuple[str, ...]


class RequestContext(AccountRequest):
    """One request, with the services to answer it.

    ``client_header``: ``X-Client-ID``; ``host``: ``Host``; ``named_client``: the client that body or query names, or
    empty; ``owner``: the owner of the response, after a sign-in or a refresh; ``renewed_cookies``: the ``Set-Cookie``
    lines of sessions whose idle time this request renews; ``license_warning``: the warning for the response header;
    ``loaded``: rows that GraphQL has loaded for this request; ``mutation``: the one that it runs.
    """

    __slots__ = (
        "client_header",
        "host",
        "license_warning",
        "loaded",
        "mutation",
        "named_client",
        "owner",
        "renewed_cookies",
        "services",
    )
    services: Services

    def __init__(
        self,
        services: Services,
        request_id: str,
        address: str,
        user_agent: str,
        caller: Caller = ANONYMOUS,
        client_header: str | None = None,
        host: str | None = None,
    ) -> None:
        super().__init__(services.clock, request_id, address, user_agent, caller)
        self.services = services
        self.client_header = client_header
        self.host = host
        self.renewed_cookies: tuple[tuple[bytes, bytes], ...] = ()
        self.license_warning = ""
        self.mutation: Mutation | None = None
        self.named_client = ""
        self.owner: Owner | None = None
        self.loaded: dict[Any, Any] = {}

    @property
    def client_hint(self) -> ClientHint:
        """The client that header and host of the request name."""
        return ClientHint(self.client_header, self.host, self.services.settings.public_url)

    @property
    def store(self) -> TenantStore:
        """The store, bound to the tenant of the signed-in user."""
        return self.services.store.of(self.user.tenant_id)
