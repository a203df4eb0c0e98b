"""Adds, lists, changes, and finds service accounts, which can be OAuth 2.0 clients, and records their use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import BigInteger, bindparam, func, insert, or_, select, update

from manifest_auth import audit
from manifest_auth.accounts.service_accounts.credentials import Jwks, LiveSecretData, Secret
from manifest_auth.audit import Event
from manifest_auth.context import SERVICE, Acting
from manifest_auth.errors import Conflict, ValidationError, existing
from manifest_auth.permissions import permissions_in, role_names
from manifest_auth.store import Listing, Store, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import scim_connections, service_accounts, service_secrets, tenants, users
from manifest_auth.text.canonical import SERVICE_DOMAIN, SLUG, when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.machine_secrets import SecretKind
from manifest_auth.text.models import Time, Wire

# An account consists of a row of ``users`` of kind ``service``, and a row of ``service_accounts``.

MOST: Final = 50  # per client, not counting deleted ones


class ServiceAccount(NamedTuple):
    """A service account. ``scopes`` is a bit mask, or None for everything that the roles allow. ``addresses`` are
    networks, separated by commas. ``jwks`` is JSON, and ``created_by`` is the actor. Times are in milliseconds."""

    id: int
    tenant_id: int
    name: str
    roles: int
    created_at: int
    deactivated_at: int | None = None
    description: str = ""
    scopes: int | None = None
    addresses: str = ""
    may_introspect: int = 0
    may_forward_address: int = 0
    jwks: str | None = None
    created_by: str = ""
    deleted_at: int | None = None

    @property
    def subject(self) -> str:
        """The account's name in the audit trail."""
        return f"service:{self.id}"


class ServiceAccountData(Wire, frozen=True):
    """``oauthClientId``: the client ID at `/oauth2/token`; ``createdBy``: who created the account. The account doesn't
    depend on that user."""

    id: int
    oauth_client_id: str
    name: str
    description: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] | None
    addresses: tuple[str, ...]
    may_introspect: bool
    may_forward_address: bool
    jwks: Jwks | None
    created_by: str
    created_at: Time
    disabled_at: Time | None
    keys: tuple[LiveSecretData, ...]
    secrets: tuple[LiveSecretData, ...]

    @classmethod
    def of_row(cls, account: ServiceAccount, live: Iterable[Secret]) -> ServiceAccountData:
        """``live``: secrets, of other accounts too."""
        scopes = None if account.scopes is None else tuple(one.value for one in permissions_in(account.scopes))
        own = [one for one in live if one.user_id == account.id]
        keys, secrets = (
            tuple(LiveSecretData.of_row(one) for one in own if one.kind == kind.value)
            for kind in (SecretKind.API_KEY, SecretKind.CLIENT_SECRET)
        )
        return cls.of(
            account,
            oauth_client_id=f"svc_{account.id}",
            roles=role_names(account.roles),
            scopes=scopes,
            addresses=tuple(account.addresses.split(",")) if account.addresses else (),
            jwks=None if account.jwks is None else msgspec.json.decode(account.jwks, type=Jwks),
            disabled_at=None if account.deactivated_at is None else when(account.deactivated_at),
            keys=keys,
            secrets=secrets,
        )


_U = users.c
_A = service_accounts.c
_OF_USER = {
    "id": _U.id,
    "tenant_id": _U.tenant_id,
    "name": _U.first_name.label("name"),
    "roles": _U.roles,
    "created_at": _U.created_at,
    "deactivated_at": _U.deactivated_at,
}
_OWN = tuple(name for name in ServiceAccount._fields if name not in _OF_USER)
_ALL = (
    select(*_OF_USER.values(), *(_A[name] for name in _OWN))
    .select_from(users.join(service_accounts, (_A.tenant_id == _U.tenant_id) & (_A.user_id == _U.id)))
    .where(_U.kind == SERVICE)
)
_PRESENT = _ALL.where(_A.deleted_at.is_(None))
_BY_ID = tenant_scoped(_PRESENT.where(_U.id == bindparam("id")), ServiceAccount, every_kind=True)
_LOCKED = tenant_scoped(_PRESENT.where(_U.id == bindparam("id")).with_for_update(), ServiceAccount, every_kind=True)
_ANY = tenant_scoped(_ALL.where(_U.id == bindparam("id")), ServiceAccount, every_kind=True)
#: Accounts that aren't deleted. Filters take ``like`` (see :func:`manifest_auth.text.canonical.like`).
LISTING = Listing(
    _PRESENT,
    ServiceAccount,
    key=_U.id,
    sorts={"ID": _U.id},
    filters={
        "search": _U.email_key.like(bindparam("like"), escape="\\"),
        "active": _U.deactivated_at.is_(None),
        "inactive": _U.deactivated_at.is_not(None),
    },
    every_kind=True,
)
_COUNT = tenant_scoped(select(func.count()).select_from(service_accounts).where(_A.deleted_at.is_(None)), int)
_TAKEN = tenant_scoped(select(_U.id).where(_U.email_key == bindparam("email_key")), int, every_kind=True)
_ADD_USER = tenant_scoped(
    insert(users)
    .values({name: bindparam(name) for name in ("email", "email_key", "first_name", "roles", "created_at")})
    .values(kind=SERVICE, last_name="", title="")
    .returning(_U.id),
    int,
)
_PUT_IN = ("description", "scopes", "addresses", "may_introspect", "may_forward_address", "jwks")
_ADD = tenant_scoped(
    insert(service_accounts).values({name: bindparam(name) for name in ("user_id", *_PUT_IN, "created_by")})
)
_MANAGES_ADMINS = tenant_scoped(
    select(scim_connections.c.id).where(
        scim_connections.c.service_id == bindparam("of_id"), scim_connections.c.may_manage_admins != 0
    ),
    int,
)
_IS_IT = (_U.id == bindparam("of_id"), _U.kind == SERVICE)
_CHANGE_USER = tenant_scoped(
    update(users)
    .where(*_IS_IT)
    .values({name: bindparam(f"new_{name}") for name in ("email", "email_key", "first_name", "roles")}),
    every_kind=True,
)
_CHANGE = tenant_scoped(
    update(service_accounts)
    .where(_A.user_id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in (*_PUT_IN, "deleted_at")})
)
_SWITCH = tenant_scoped(
    update(users).where(*_IS_IT).values(deactivated_at=bindparam("deactivated_at")), every_kind=True
)


def manages_admins(unit: TenantUnit, account_id: int) -> bool:
    """Whether the account owns a SCIM connection that manages Admins."""
    return unit.first(_MANAGES_ADMINS, of_id=account_id) is not None


def find(unit: TenantUnit, account_id: int) -> ServiceAccount | None:
    """Returns the account, deleted or not."""
    return unit.first(_ANY, id=account_id)


def get(unit: TenantUnit, account_id: int, *, lock: bool = False) -> ServiceAccount:
    """Returns the account, unless it is deleted. ``lock`` locks it until the transaction ends. Raises NotFound."""
    return existing(unit.first(_LOCKED if lock else _BY_ID, id=account_id))


def add(unit: TenantUnit, account: ServiceAccount) -> ServiceAccount:
    """Adds an account. Ignores ``id`` and ``tenant_id``. Raises Conflict if the name is taken, or if the client already
    has :data:`MOST`."""
    if unit.one(_COUNT) >= MOST:
        raise Conflict(_("A client can have at most %(number)s service accounts", number=MOST))
    _check_free(unit, account.name)
    named = {"email": _address(account.name), "email_key": _address(account.name), "first_name": account.name}
    added = unit.one(_ADD_USER, **named, roles=account.roles, created_at=account.created_at)
    unit.change(_ADD, user_id=added, created_by=account.created_by, **_own_values(account, ""))
    return get(unit, added)


def put(unit: TenantUnit, before: ServiceAccount, after: ServiceAccount) -> None:
    """Stores the name, roles, and own members of a locked account. Deleting it frees its name. Raises Conflict if the
    name is taken."""
    if after.name != before.name:
        _check_free(unit, after.name)
    email = _address(after.name if after.deleted_at is None else f"{after.name}.{after.id}")
    unit.announce("user", after.id)
    named = {"new_email": email, "new_email_key": email, "new_first_name": after.name}
    unit.change(_CHANGE_USER, of_id=after.id, new_roles=after.roles, **named)
    unit.change(_CHANGE, of_id=after.id, new_deleted_at=after.deleted_at, **_own_values(after, "new_"))


def switch(unit: TenantUnit, account_id: int, deactivated_at: int | None) -> None:
    """Disables an account as of this time (milliseconds), or enables it (None). Takes effect immediately on every
    node."""
    unit.announce("user", account_id)
    unit.change(_SWITCH, of_id=account_id, deactivated_at=deactivated_at)


def check_name(name: str) -> str:
    """Returns the name if it is valid. Raises ValidationError."""
    if not SLUG.match(name):
        raise ValidationError(
            details=[
                ("name", "Must be 2 to 63 lowercase letters, digits, and hyphens, and can't start or end with a hyphen")
            ]
        )
    return name


def _check_free(unit: TenantUnit, name: str) -> None:
    if unit.first(_TAKEN, email_key=_address(name)) is not None:
        raise Conflict(_("A service account with this name already exists"))


def _address(name: str) -> str:
    return f"{name}@{SERVICE_DOMAIN}"


def _own_values(account: ServiceAccount, prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": getattr(account, name) for name in _PUT_IN}


_T = tenants.c


class OAuthAccount(NamedTuple):
    """A service account that calls ``/oauth2``. ``client`` is the tenant's identifier, and ``suspended_at`` is when the
    tenant was suspended. The other members are those of :class:`ServiceAccount`."""

    id: int
    tenant_id: int
    client: str
    roles: int
    scopes: int | None
    addresses: str
    may_introspect: int
    may_forward_address: int
    jwks: str | None
    deactivated_at: int | None
    suspended_at: int | None


_BY_CLIENT_ID = cross_tenant(
    select(
        *(_U.id, _U.tenant_id, _T.identifier, _U.roles),
        *(_A.scopes, _A.addresses, _A.may_introspect, _A.may_forward_address, _A.jwks),
        *(_U.deactivated_at, _T.suspended_at),
    )
    .select_from(
        users.join(service_accounts, (_A.tenant_id == _U.tenant_id) & (_A.user_id == _U.id)).join(
            tenants, _T.id == _U.tenant_id
        )
    )
    .where(_A.user_id == bindparam("id"), _U.kind == SERVICE),
    OAuthAccount,
    because="the client ID names the service account, which belongs to a tenant",
    every_kind=True,
)


async def find_oauth_account(store: Store, account_id: int) -> OAuthAccount | None:
    """Returns the account, even if it isn't allowed to sign in. Uses one statement, and never a cache."""
    return await store.look_up(_BY_CLIENT_ID, id=account_id)


TOUCH_EVERY_MS: Final = 60_000
RECORD_EVERY_MS: Final = 3_600_000
_S = service_secrets.c
_BEFORE = bindparam("before", type_=BigInteger())
_TOUCH = tenant_scoped(
    update(service_secrets)
    .where(_S.id == bindparam("of_id"), or_(_S.last_used_at.is_(None), _S.last_used_at <= _BEFORE))
    .values(last_used_at=bindparam("now"), last_address=bindparam("address"))
)


class _Hourly:
    """The statements for an event that is recorded at most once an hour per account."""

    def __init__(self, at: str, kept_back: str) -> None:
        one = _A.user_id == bindparam("of_id")
        self.left_out = tenant_scoped(select(_A[kept_back]).where(one), int)
        self.begin = tenant_scoped(
            update(service_accounts)
            .where(one, or_(_A[at].is_(None), _A[at] <= _BEFORE))
            .values({at: bindparam("now"), kept_back: 0})
        )
        self.leave_out = tenant_scoped(update(service_accounts).where(one).values({kept_back: _A[kept_back] + 1}))


_HOURLY = {
    Event.SERVICE_SIGNED_IN: _Hourly("use_recorded_at", "uses_kept_back"),
    Event.SERVICE_TOKEN_ISSUED: _Hourly("issue_recorded_at", "issues_kept_back"),
}


def touch_secret(unit: TenantUnit, who: Acting, secret_id: str) -> bool:
    """Stores that a secret was used, and from which address, at most once a minute across all nodes. Returns False if
    it was stored within the last minute."""
    now, address = who.origin.at, who.origin.address
    return unit.change(_TOUCH, of_id=secret_id, now=now, before=now - TOUCH_EVERY_MS, address=address) == 1


def touch(unit: TenantUnit, who: Acting, account_id: int, secret_id: str) -> None:
    """Like :func:`touch_secret`, for a request with an API key, which is recorded in the audit trail once an hour."""
    if touch_secret(unit, who, secret_id):
        record_hourly(unit, who, account_id, Event.SERVICE_SIGNED_IN, key=secret_id)


def record_hourly(unit: TenantUnit, who: Acting, account_id: int, event: Event, **detail: Any) -> None:
    """Records the event, unless one was recorded for the account within the last hour. The next event has the number of
    skipped ones as ``kept_back``."""
    statements, now = _HOURLY[event], who.origin.at
    left_out = unit.first(statements.left_out, of_id=account_id) or 0
    if unit.change(statements.begin, of_id=account_id, now=now, before=now - RECORD_EVERY_MS):
        more = {"kept_back": left_out} if left_out else {}
        audit.record(unit, who, event, f"service:{account_id}", **detail, **more)
    else:
        unit.change(statements.leave_out, of_id=account_id)
