"""Connections of a client, their tokens, and the connection that a request belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import BigInteger, bindparam, delete, func, insert, select, update

from manifest_auth import audit, providers, tenants
from manifest_auth.accounts import rank
from manifest_auth.accounts.mail_queue import AccountRequest
from manifest_auth.accounts.service_accounts import rows
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, Forbidden, ValidationError, existing
from manifest_auth.permissions import Permission, Role, mask_of, role_names, roles_of
from manifest_auth.store import Store, TenantUnit, columns, cross_tenant, tenant_scoped
from manifest_auth.store.tables import scim_connections, scim_tokens, scim_users
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import step_up
from manifest_auth.text import machine_secrets
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.machine_secrets import SecretKind
from manifest_auth.text.models import exactly_one

#: The maximum numbers of connections per client, and of live tokens and group roles per connection.
MOST, MOST_TOKENS, MOST_LINES = 5, 2, 500
DEFAULT_DAYS, LEAST_DAYS, MOST_DAYS = 365, 30, 730
TOUCH_EVERY_MS: Final = 60_000
#: How to install the libraries, which a connection needs.
EXTRA = "pip install 'manifest-auth[scim]'"
_DAY_MS = 86_400_000
_GroupText = Annotated[str, Meta(min_length=1, max_length=255)]


class ScimGroupRoles(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The roles of a group's members. ``group``: its display name; ``externalId``: its ID at the identity provider."""

    MORE_SCHEMA = exactly_one("group", "externalId")

    roles: Annotated[list[Role], Meta(min_length=1, max_length=7)]
    group: _GroupText | UnsetType = UNSET
    external_id: _GroupText | UnsetType = UNSET


class Connection(NamedTuple):
    """A connection. ``provider_id`` names the identity provider whose users it manages, ``group_roles`` is JSON,
    ``default_roles`` is a bit mask, and ``service_id`` names the service account whose access tokens act as the
    connection. ``failures`` counts rejected requests. Times are in milliseconds."""

    id: int
    tenant_id: int
    name: str
    provider_id: int | None = None
    group_roles: str = "[]"
    default_roles: int = Role.VIEWER.bit
    adopt_users: int = 0
    may_manage_admins: int = 0
    service_id: int | None = None
    created_at: int = 0
    created_by: str = ""
    changed_at: int = 0
    last_call_at: int | None = None
    failures: int = 0
    last_failure_at: int | None = None
    last_failure: str = ""

    @property
    def subject(self) -> str:
        """The connection's name in the audit trail, also as an actor."""
        return f"scim:{self.id}"

    @property
    def of_groups(self) -> tuple[ScimGroupRoles, ...]:
        """The roles of groups."""
        return _LINES.decode(self.group_roles)

    @property
    def grants(self) -> int:
        """All roles that it can grant, as a bit mask."""
        return mask_of([*roles_of(self.default_roles), *(role for one in self.of_groups for role in one.roles)])

    @property
    def lines(self) -> tuple[tuple[str | None, str | None, int], ...]:
        """The roles of groups: display name or external ID, and a bit mask."""
        return tuple((one.group or None, one.external_id or None, mask_of(one.roles)) for one in self.of_groups)


class Token(NamedTuple):
    """A token, without the secret. Times are in milliseconds."""

    id: str
    connection_id: int
    hint: str
    created_at: int
    created_by: str
    ends_at: int
    ended_at: int | None = None
    last_used_at: int | None = None


class NewToken(NamedTuple):
    """A new token. ``text`` is the secret, which only the response that creates it contains."""

    token: Token
    text: str


class Bearer(NamedTuple):
    """A token with its connection and client, whether it is valid or not. ``client`` is the client's identifier."""

    token_id: str
    tenant_id: int
    client: str
    connection_id: int
    name: str
    ends_at: int
    ended_at: int | None
    last_used_at: int | None
    suspended_at: int | None


_LINES = msgspec.json.Decoder(tuple[ScimGroupRoles, ...])
_C, _K, _T = scim_connections.c, scim_tokens.c, tenants_table.c
_ALL = select(*(_C[name] for name in Connection._fields))
_NAME: Any = bindparam("of_name")
_ID: Any = bindparam("of_id")
_NOW = bindparam("now", type_=BigInteger())
_LIST = tenant_scoped(_ALL.order_by(_C.name), Connection)
_BY_NAME = tenant_scoped(_ALL.where(_C.name == _NAME), Connection)
_LOCKED = tenant_scoped(_ALL.where(_C.name == _NAME).with_for_update(), Connection)
_BY_ID = tenant_scoped(_ALL.where(_C.id == _ID), Connection)
_SHARED = tenant_scoped(_ALL.where(_C.id == _ID).with_for_update(read=True), Connection)
_OF_SERVICE = tenant_scoped(_ALL.where(_C.service_id == _ID), Connection)
_GIVEN = columns("provider_id group_roles default_roles adopt_users may_manage_admins service_id changed_at")
_NEW = ("name", *_GIVEN, "created_at", "created_by")
_ADD = tenant_scoped(insert(scim_connections).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_CHANGE = tenant_scoped(
    update(scim_connections).where(_C.id == _ID).values({name: bindparam(f"new_{name}") for name in _GIVEN})
)
_USERS = tenant_scoped(
    select(scim_users.c.user_id)
    .where(
        scim_users.c.connection_id == _ID, scim_users.c.removed_at.is_(None), scim_users.c.user_id > bindparam("after")
    )
    .order_by(scim_users.c.user_id)
    .limit(bindparam("limit")),
    int,
)
_DELETE = tenant_scoped(delete(scim_connections).where(_C.id == _ID))
_CALLED = tenant_scoped(update(scim_connections).where(_C.id == _ID).values(last_call_at=_NOW))
_FAILED = tenant_scoped(
    update(scim_connections)
    .where(_C.id == _ID)
    .values(failures=_C.failures + 1, last_failure_at=_NOW, last_failure=bindparam("sentence"))
)
_OF_TOKEN = select(*(_K[name] for name in Token._fields)).where(_K.ended_at.is_(None), _K.ends_at > _NOW)
_TOKENS = tenant_scoped(_OF_TOKEN.order_by(_K.created_at, _K.id), Token)
_ADD_TOKEN = tenant_scoped(insert(scim_tokens).values({name: bindparam(name) for name in ("hash", *Token._fields[:6])}))
_END_TOKEN = tenant_scoped(update(scim_tokens).where(_K.id == _ID).values(ended_at=_NOW))
_TOUCH_TOKEN = tenant_scoped(update(scim_tokens).where(_K.id == _ID).values(last_used_at=_NOW))
_BEARER = cross_tenant(
    select(
        *(_K.id, _C.tenant_id, _T.identifier, _C.id, _C.name, _K.ends_at, _K.ended_at, _K.last_used_at),
        _T.suspended_at,
    )
    .select_from(
        scim_tokens.join(scim_connections, (_C.tenant_id == _K.tenant_id) & (_C.id == _K.connection_id)).join(
            tenants_table, _T.id == _K.tenant_id
        )
    )
    .where(_K.hash == bindparam("hash")),
    Bearer,
    because="the token's hash identifies the connection, which belongs to a tenant",
)


class Used(NamedTuple):
    """The use of a connection of any client. ``client`` is the client's identifier, ``ends_at`` is when its last valid
    token expires, and ``service_id`` the account that owns it. Times are in milliseconds."""

    client: str
    name: str
    last_call_at: int | None
    failures: int
    last_failure: str
    service_id: int | None
    ends_at: int | None


_ENDS_AT = (
    select(func.max(_K.ends_at))
    .where(_K.tenant_id == _C.tenant_id, _K.connection_id == _C.id, _K.ended_at.is_(None))
    .correlate(scim_connections)
    .scalar_subquery()
)
#: All connections, for the operator.
USED = cross_tenant(
    select(_T.identifier, *(_C[name] for name in Used._fields[1:-1]), _ENDS_AT)
    .select_from(scim_connections.join(tenants_table, _T.id == _C.tenant_id))
    .order_by(_T.identifier, _C.name),
    Used,
    because="the operator checks the connections of all clients",
)


def base_url(public: str, client: str) -> str:
    """Returns the address of a client's SCIM endpoints. ``public`` is the server's address."""
    return f"{public}/scim/v2/{client}"


def list_all(unit: TenantUnit) -> list[Connection]:
    """The connections of the client, by name."""
    return unit.all(_LIST)


def get(unit: TenantUnit, name: str, *, lock: bool = False) -> Connection:
    """Returns the connection of that name. ``lock`` locks it until the transaction ends. Raises NotFound."""
    return existing(unit.first(_LOCKED if lock else _BY_NAME, of_name=name))


def get_by_id(unit: TenantUnit, connection_id: int, *, shared: bool = False) -> Connection:
    """Returns the connection. ``shared`` prevents changes until the transaction ends. Raises NotFound."""
    return existing(unit.first(_SHARED if shared else _BY_ID, of_id=connection_id))


def find_of_service(unit: TenantUnit, account_id: int) -> Connection | None:
    """Returns the connection that a service account owns."""
    return unit.first(_OF_SERVICE, of_id=account_id)


def user_ids(unit: TenantUnit, connection_id: int, after: int, limit: int) -> list[int]:
    """The first users with a higher ID than ``after`` whom the connection manages."""
    return unit.all(_USERS, of_id=connection_id, after=after, limit=limit)


def live_tokens(unit: TenantUnit, now: int) -> list[Token]:
    """The valid tokens of all connections of the client, oldest first."""
    return unit.all(_TOKENS, now=now)


async def find_bearer(store: Store, token: str) -> Bearer | None:
    """Returns the connection of a token, valid or not. Uses one statement, and never a cache, so that a revoked token
    is rejected immediately on every node. Junk is rejected without a query."""
    if machine_secrets.kind_of(token) is not SecretKind.SCIM:
        return None
    return await store.look_up(_BEARER, hash=machine_secrets.hash_of(token))


def called(unit: TenantUnit, connection_id: int, token_id: str | None, now: int) -> None:
    """Stores the time of a request, and of the use of its token, if it has one."""
    unit.change(_CALLED, of_id=connection_id, now=now)
    if token_id is not None:
        unit.change(_TOUCH_TOKEN, of_id=token_id, now=now)


def failed(unit: TenantUnit, connection_id: int, sentence: str, now: int) -> None:
    """Counts a rejected request. ``sentence`` is the error message, which administrators see."""
    unit.change(_FAILED, of_id=connection_id, sentence=sentence[:500], now=now)


def create(unit: TenantUnit, who: AccountRequest, name: str, given: Mapping[str, Any]) -> tuple[Connection, NewToken]:
    """Creates a connection with its first token. ``given`` contains members of the wire model: ``provider`` is the name
    of a provider or None, ``service_account`` a number or None, and ``default_roles`` a bit mask. Raises Forbidden,
    ReauthenticationRequired, ValidationError, or Conflict if there are too many or the name is taken."""
    is_admin = _check_manages(unit, who)
    if find_spec("scim2_server") is None:
        raise Conflict(_("SCIM isn't installed. Run %(command)s, and try again", command=EXTRA))
    rows.check_name(name)
    tenants.get(unit, unit.tenant_id, lock=True)  # the limits depend on the others
    others = list_all(unit)
    if len(others) >= MOST:
        raise Conflict(_("A client can have at most %(number)s SCIM connections. Delete one first", number=MOST))
    if any(one.name == name for one in others):
        raise Conflict(_("This name is already taken"))
    fresh = Connection(id=0, tenant_id=unit.tenant_id, name=name, created_at=who.now, created_by=who.caller.actor)
    made = _changed(unit, fresh, given, is_admin=is_admin)._replace(changed_at=who.now)
    step_up.check_gain(who, made.grants)
    made = get_by_id(unit, unit.one(_ADD, **{name: getattr(made, name) for name in _NEW}))
    audit.record(unit, who, Event.SCIM_CONNECTION_CREATED, made.subject, **_shown(made))
    return made, _add_token(unit, who, made, DEFAULT_DAYS)


def change(unit: TenantUnit, who: Request, name: str, given: Mapping[str, Any]) -> Connection:
    """Changes the ``given`` members. A connection that a User Admin saves no longer manages Admins. Raises NotFound and
    the errors of :func:`create`."""
    is_admin = _check_manages(unit, who)
    before = get(unit, name, lock=True)
    after = _changed(unit, before, given, is_admin=is_admin)
    step_up.check_gain(who, after.grants)
    if after != before:
        after = after._replace(changed_at=who.now)
        unit.change(_CHANGE, of_id=after.id, **{f"new_{name}": getattr(after, name) for name in _GIVEN})
        changed = audit.difference(_shown(before), _shown(after))
        audit.record(unit, who, Event.SCIM_CONNECTION_CHANGED, after.subject, **changed)
    return after


def remove(unit: TenantUnit, who: Request, name: str) -> None:
    """Deletes a connection with its tokens and groups. Its users stay, with their roles, and can be edited again.
    Raises NotFound, Forbidden, or ReauthenticationRequired."""
    is_admin = _check_manages(unit, who)
    connection = get(unit, name, lock=True)
    _check_rank(connection, is_admin=is_admin)
    unit.change(_DELETE, of_id=connection.id)
    audit.record(unit, who, Event.SCIM_CONNECTION_DELETED, connection.subject, **_shown(connection))


def create_token(unit: TenantUnit, who: AccountRequest, name: str, days: int) -> NewToken:
    """Creates another token of a connection, valid for ``days``. Raises NotFound, Forbidden, ReauthenticationRequired,
    ValidationError, or Conflict if the connection already has two."""
    is_admin = _check_manages(unit, who)
    connection = get(unit, name, lock=True)
    _check_rank(connection, is_admin=is_admin)
    if not LEAST_DAYS <= days <= MOST_DAYS:
        raise ValidationError(details=[("expiresInDays", f"Must be {LEAST_DAYS} to {MOST_DAYS}")])
    if len(_tokens_of(unit, connection, who.now)) >= MOST_TOKENS:
        raise Conflict(_("A SCIM connection can have at most %(number)s tokens. Revoke one first", number=MOST_TOKENS))
    return _add_token(unit, who, connection, days)


def revoke_token(unit: TenantUnit, who: Request, name: str, token_id: str) -> None:
    """Revokes a token immediately on every node. Raises NotFound or Forbidden."""
    _check_caller(unit, who)
    connection = get(unit, name, lock=True)
    token = existing(next((one for one in _tokens_of(unit, connection, who.now) if one.id == token_id), None))
    unit.change(_END_TOKEN, of_id=token.id, now=who.now)
    detail = {"name": connection.name, "token": token.id, "hint": token.hint}
    audit.record(unit, who, Event.SCIM_TOKEN_REVOKED, connection.subject, **detail)


def _add_token(unit: TenantUnit, who: AccountRequest, connection: Connection, days: int) -> NewToken:
    now, random = who.now, who.services.random
    text = machine_secrets.make(SecretKind.SCIM, random.bytes(machine_secrets.RANDOM_BYTES))
    token = Token(
        id=random.text(12),
        connection_id=connection.id,
        hint=machine_secrets.hint_of(text),
        created_at=now,
        created_by=who.caller.actor,
        ends_at=now + days * _DAY_MS,
    )
    values = {name: getattr(token, name) for name in Token._fields[:6]}
    unit.change(_ADD_TOKEN, hash=machine_secrets.hash_of(text), **values)
    detail = {"name": connection.name, "token": token.id, "hint": token.hint, "ends": when(token.ends_at)}
    audit.record(unit, who, Event.SCIM_TOKEN_CREATED, connection.subject, **detail)
    return NewToken(token, text)


def _tokens_of(unit: TenantUnit, connection: Connection, now: int) -> list[Token]:
    return [token for token in live_tokens(unit, now) if token.connection_id == connection.id]


def _check_manages(unit: TenantUnit, who: Request) -> bool:
    """Checks whether ``who`` can manage connections. Returns whether they rank as an Admin."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    return _check_caller(unit, who)


def _check_caller(unit: TenantUnit, who: Request) -> bool:
    step_up.not_for_machines(who)
    return rank.manager(unit, who, Permission.SETTINGS_MANAGE).is_admin


def _check_rank(connection: Connection, *, is_admin: bool) -> None:
    if connection.may_manage_admins and not is_admin:
        raise Forbidden(_("Only an Admin can do this for a SCIM connection that manages Admins"))


def _changed(unit: TenantUnit, before: Connection, given: Mapping[str, Any], *, is_admin: bool) -> Connection:
    """Returns the connection with the ``given`` members. Raises Forbidden, ValidationError, or Conflict."""
    after = before._replace(
        default_roles=given.get("default_roles", before.default_roles),
        adopt_users=int(given.get("adopt_users", before.adopt_users)),
        may_manage_admins=int(given.get("may_manage_admins", is_admin and before.may_manage_admins)),
    )
    if "group_roles" in given:
        lines = given["group_roles"]
        _check_lines(lines)
        after = after._replace(group_roles=msgspec.json.encode(lines).decode())
    if given.get("may_manage_admins") and not is_admin:
        raise Forbidden(_("Only an Admin can let a SCIM connection manage Admins"))
    if after.default_roles & Role.ADMIN.bit or not after.default_roles:
        raise ValidationError(details=[("defaultRoles", _("Choose at least one role other than Admin"))])
    if any(Role.ADMIN in line.roles for line in after.of_groups) and not after.may_manage_admins:
        told = _("Only a connection that manages Admins can grant the Admin role")
        raise ValidationError(details=[("groupRoles", told)])
    if "provider" in given:
        after = after._replace(provider_id=_provider_of(unit, given["provider"]))
    if "service_account" in given:
        after = after._replace(service_id=_service_of(unit, before, given["service_account"]))
    return after


def _check_lines(lines: Sequence[ScimGroupRoles]) -> None:
    for number, line in enumerate(lines):
        if (line.group is UNSET) == (line.external_id is UNSET):
            raise ValidationError(details=[(f"groupRoles[{number}]", _("Enter either the group's name or its ID"))])


def _provider_of(unit: TenantUnit, name: str | None) -> int | None:
    if name is None:
        return None
    found = providers.find(unit, name)
    if found is None:
        raise ValidationError(details=[("provider", _("There is no provider with this name"))])
    return found.id


def _service_of(unit: TenantUnit, connection: Connection, account_id: int | None) -> int | None:
    if account_id is None:
        return None
    account = rows.find(unit, account_id)
    if account is None or account.deleted_at is not None:
        raise ValidationError(details=[("serviceAccount", _("There is no service account with this ID"))])
    owned = find_of_service(unit, account_id)
    if owned is not None and owned.id != connection.id:
        raise Conflict(_("The service account already owns the SCIM connection %(name)s", name=owned.name))
    return account_id


def _shown(connection: Connection) -> dict[str, Any]:
    """The connection's representation in the audit trail."""
    return {
        "name": connection.name,
        "provider": connection.provider_id,
        "group_roles": msgspec.json.decode(connection.group_roles),
        "default_roles": list(role_names(connection.default_roles)),
        "adopt_users": bool(connection.adopt_users),
        "may_manage_admins": bool(connection.may_manage_admins),
        "service_account": connection.service_id,
    }
