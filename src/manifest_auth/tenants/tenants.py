"""Tenants (clients, on the wire): the one that a request names, and their rows: create, change, suspend, delete."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import bindparam, case, delete, func, insert, or_, select, update

from manifest_auth.errors import Conflict, Forbidden, ValidationError, existing
from manifest_auth.store import Listing, SystemUnit, TenantUnit, global_
from manifest_auth.store.tables import tenants
from manifest_auth.tenants import origin_index
from manifest_auth.tenants.effective_settings import check
from manifest_auth.tenants.settings import StoredSettings, TenantSettings, settings_of
from manifest_auth.text.canonical import SLUG
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire


class Tenant(NamedTuple):
    id: int
    identifier: str
    name: str
    settings: str
    created_at: int
    suspended_at: int | None
    delete_at: int | None = None  # when it is deleted permanently, unless restored first


class ClientData(Wire, frozen=True):
    id: int
    identifier: str
    name: str
    settings: StoredSettings
    created_at: Time
    suspended_at: Time | None
    delete_at: Time | None

    @classmethod
    def of_tenant(cls, tenant: Tenant) -> ClientData:
        return cls.of(tenant, settings=settings_of(tenant.settings))


_C = tenants.c
_ALL = select(*(_C[name] for name in Tenant._fields))
_BY_IDENTIFIER = global_(_ALL.where(_C.identifier == bindparam("identifier")), Tenant)
_BY_ID = global_(_ALL.where(_C.id == bindparam("id")), Tenant)
_ONLY = global_(_ALL.order_by(_C.id).limit(2), Tenant)
# key_share: as strong as the following update, so that sign-ins, whose rows reference the tenant, needn't wait.
_LOCKED = global_(_ALL.where(_C.id == bindparam("id")).with_for_update(key_share=True), Tenant)
#: The clients. ``search`` takes ``like``, see :func:`manifest_auth.text.canonical.like`.
LISTING = Listing(
    _ALL,
    Tenant,
    key=_C.id,
    sorts={"ID": _C.id, "IDENTIFIER": _C.identifier, "NAME": _C.name, "CREATED": _C.created_at},
    filters={
        "search": or_(
            _C.identifier.like(bindparam("like"), escape="\\"), func.lower(_C.name).like(bindparam("like"), escape="\\")
        ),
        "active": _C.suspended_at.is_(None),
        "suspended": _C.suspended_at.is_not(None),
        "deleted": _C.delete_at.is_not(None),
    },
    owned=False,
)
_ADD = global_(
    insert(tenants)
    .values({name: bindparam(name) for name in ("identifier", "name", "settings", "created_at")})
    .returning(_C.id),
    int,
)
_CHANGE = global_(
    update(tenants)
    .where(_C.id == bindparam("id"))
    .values(name=bindparam("new_name"), settings=bindparam("new_settings"))
)
_SUSPEND = global_(
    update(tenants).where(_C.id == bindparam("id"), _C.suspended_at.is_(None)).values(suspended_at=bindparam("now"))
)
_RESTORE = global_(update(tenants).where(_C.id == bindparam("id")).values(suspended_at=None))
_TAKE_BACK = global_(
    update(tenants)
    .where(_C.id == bindparam("id"))
    .values(
        suspended_at=case((_C.suspended_by_deletion == 1, None), else_=_C.suspended_at),
        delete_at=None,
        suspended_by_deletion=None,
    )
)
_MARK = global_(
    update(tenants)
    .where(_C.id == bindparam("id"))
    .values(
        delete_at=bindparam("until"),
        suspended_at=func.coalesce(_C.suspended_at, bindparam("now")),
        suspended_by_deletion=case((_C.suspended_at.is_(None), 1), else_=0),
    )
)
_DUE = global_(_ALL.where(_C.delete_at <= bindparam("now")).order_by(_C.delete_at, _C.id).limit(10), Tenant)
_DROP = global_(delete(tenants).where(_C.id == bindparam("id"), _C.delete_at <= bindparam("now")))


def find(unit: SystemUnit, name: str) -> Tenant | None:
    """Returns a client by identifier or by number (an identifier never consists only of digits), each in its only
    spelling."""
    if name.isascii() and name.isdigit():
        return unit.first(_BY_ID, id=int(name)) if len(name) < 19 and name[0] != "0" else None
    return unit.first(_BY_IDENTIFIER, identifier=name) if SLUG.match(name) else None


def get_named(unit: SystemUnit, name: str, *, lock: bool = False) -> Tenant:
    """Returns a client like :func:`find`; ``lock`` is the same as in :func:`get`. Raises NotFound."""
    found = existing(find(unit, name))
    return get(unit, found.id, lock=True) if lock else found


def get(unit: SystemUnit | TenantUnit, tenant_id: int, *, lock: bool = False) -> Tenant:
    """Returns the client. ``lock``: lock the row until the transaction ends. Raises NotFound."""
    return existing(unit.first(_LOCKED if lock else _BY_ID, id=tenant_id))


def find_only(unit: SystemUnit) -> Tenant | None:
    """Returns the only client of the installation; None if there are several."""
    found = unit.all(_ONLY)
    return found[0] if len(found) == 1 else None


def list_page(unit: SystemUnit, after: int, limit: int) -> list[Tenant]:
    """Lists at most ``limit`` clients after the ID ``after``."""
    return LISTING.page(unit, first=limit, sort="ID", after=(after, after))


def check_identifier(identifier: str) -> None:
    """Checks the identifier. Raises ValidationError."""
    if not SLUG.match(identifier) or identifier.isdigit():
        sentence = "Must be 2 to 63 lowercase letters, digits, and hyphens (not first or last), and not only digits"
        raise ValidationError(details=[("identifier", sentence)])


def create(unit: SystemUnit, identifier: str, name: str, settings: TenantSettings, now: int) -> Tenant:
    """Creates a client. Raises ValidationError, and Conflict if the identifier is taken."""
    check_identifier(identifier)
    if unit.first(_BY_IDENTIFIER, identifier=identifier):
        raise Conflict(_("This identifier is already taken"))
    check(settings, "settings.")
    text = encode(StoredSettings(**msgspec.structs.asdict(settings)))
    added = unit.one(_ADD, identifier=identifier, name=name, settings=text, created_at=now)
    if settings.allowed_origins:
        origin_index.changed(unit)
    return Tenant(id=added, identifier=identifier, name=name, settings=text, created_at=now, suspended_at=None)


def change(unit: SystemUnit, tenant: Tenant, name: str, settings: StoredSettings) -> Tenant:
    """Replaces name and settings, which were already checked. Every node drops the client from its caches."""
    text = encode(settings)
    unit.change(_CHANGE, id=tenant.id, new_name=name, new_settings=text)
    unit.announce("tenant", tenant.id)
    if settings.allowed_origins != settings_of(tenant.settings).allowed_origins:
        origin_index.changed(unit)
    return tenant._replace(name=name, settings=text)


def suspend(unit: SystemUnit, tenant: Tenant, now: int) -> bool:
    """Suspends a client. Its users are rejected immediately; the caller ends their sessions. Returns False if it was
    already suspended."""
    _announce_active(unit, tenant)
    return unit.change(_SUSPEND, id=tenant.id, now=now) == 1


def restore(unit: SystemUnit, tenant: Tenant) -> Tenant:
    """Removes a mark for deletion, with the suspension that came with it, but not an earlier one. Without such a mark,
    ends the suspension of the client."""
    unit.change(_RESTORE if tenant.delete_at is None else _TAKE_BACK, id=tenant.id)
    _announce_active(unit, tenant)
    return get(unit, tenant.id)


def mark_for_deletion(unit: SystemUnit, tenant: Tenant, delete_at: int, now: int) -> Tenant:
    """Marks a client for deletion at ``delete_at``, and suspends it until then."""
    unit.change(_MARK, id=tenant.id, until=delete_at, now=now)
    _announce_active(unit, tenant)
    return tenant._replace(delete_at=delete_at, suspended_at=tenant.suspended_at or now)


def due_for_deletion(unit: SystemUnit, now: int) -> list[Tenant]:
    """Lists at most ten clients whose deletion is due, oldest first."""
    return unit.all(_DUE, now=now)


def drop(unit: SystemUnit, tenant: Tenant, now: int) -> bool:
    """Deletes the row of a client whose deletion is due. Returns False if it is gone, or was restored."""
    _announce_active(unit, tenant)
    return unit.change(_DROP, id=tenant.id, now=now) == 1


def _announce_active(unit: SystemUnit, tenant: Tenant) -> None:
    """Makes every node drop the client from its caches, because whether it is active can change."""
    unit.announce("tenant", tenant.id)
    if settings_of(tenant.settings).allowed_origins:
        origin_index.changed(unit)


def encode(settings: StoredSettings) -> str:
    """Returns the settings as stored text."""
    return msgspec.json.encode(settings).decode()


def shown_name(tenant: Tenant) -> str:
    """Returns the name that pages show."""
    return settings_of(tenant.settings).branding.name or tenant.name


def known_words(tenant: Tenant) -> tuple[str, ...]:
    """Returns the names that an attacker knows about the client, which passwords must not consist of."""
    return tenant.identifier, tenant.name, settings_of(tenant.settings).branding.name


class ClientHint(NamedTuple):
    """The client that a request names. ``header``: ``X-Client-ID``; ``host``: the ``Host`` header; ``public_url``: this
    server's address."""

    header: str | None
    host: str | None
    public_url: str

    @property
    def client(self) -> str | None:
        """The client of the header, or else of the host."""
        return self.subdomain if self.header is None else self.header.strip()

    @property
    def subdomain(self) -> str | None:
        """The label before the public host name, if the host is such a subdomain."""
        public = urlsplit(self.public_url).hostname or ""
        name, _, port = (self.host or "").rpartition(":")
        name = (name if port.isdigit() else self.host or "").lower()
        label = name.removesuffix(f".{public}")
        return label if public and label != name and "." not in label else None

    def resolve(self, given: str) -> str | None:
        """Returns the client of a body or query (``given``), or else :attr:`client`. Raises ValidationError if the two
        differ."""
        other = self.client
        if given and other is not None and given != other:
            raise ValidationError(details=[("client", "The header or host names a different client")])
        return given or other

    def check(self, client: str, tenant_id: int, credential: str) -> None:
        """Checks that the header, by identifier or number, matches the client of a credential. Raises Forbidden."""
        if self.header is not None and self.header != client and self.header != str(tenant_id):
            told = [("X-Client-ID", f"Names a different client than the {credential}")]
            raise Forbidden(details=told, reason=f"X-Client-ID disagrees with the {credential}")
