"""Provider names that a system admin pinned to one client, for sign-ins that name no client.

An unpinned name means a client's provider only where the installation has one client. So the names that one client
chooses do not affect other clients.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from manifest_auth import audit, tenants
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.store import Listing, SystemUnit, global_, upsert
from manifest_auth.store.tables import provider_names
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import Tenant, step_up

DYNAMICS = "ms-dynamics"  # the name meant by a start that names neither client nor provider
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")


class Pin(NamedTuple):
    """A pinned name, and the identifier of its client."""

    name: str
    client: str

    @property
    def id(self) -> str:
        """The key that lists are ordered by."""
        return self.name


_C, _T = provider_names.c, tenants_table.c
LISTING = Listing(
    select(_C.name, _T.identifier).select_from(provider_names.join(tenants_table, _T.id == _C.tenant_id)),
    Pin,
    key=_C.name,
    sorts={"NAME": _C.name},
    filters={"search": _C.name.like(bindparam("like"), escape="\\")},
    owned=False,
)
_FIND = global_(select(_C.tenant_id).where(_C.name == bindparam("name")), int)
_PIN = global_(
    upsert(provider_names)
    .values(name=bindparam("name"), tenant_id=bindparam("client"))
    .on_conflict_do_update(index_elements=["name"], set_={"tenant_id": bindparam("client")})
)
_UNPIN = global_(delete(provider_names).where(_C.name == bindparam("of_name")))


def client_of(unit: SystemUnit, name: str) -> Tenant | None:
    """The client whose provider a name means; None: no client."""
    found = unit.first(_FIND, name=name)
    return tenants.get(unit, found) if found is not None else tenants.find_only(unit)


def pin(unit: SystemUnit, who: Acting, name: str, tenant: Tenant) -> Pin:
    """Pins the name to the client. Raises ValidationError."""
    step_up.check(who, Act.PROVIDERS)
    if not _NAME.match(name):
        raise ValidationError(details=[("name", "No provider can have this name")])
    before = unit.first(_FIND, name=name)
    unit.change(_PIN, name=name, client=tenant.id)
    _record(unit, who, name, before, tenant.id)
    return Pin(name, tenant.identifier)


def unpin(unit: SystemUnit, who: Acting, name: str) -> None:
    """Unpins the name. Raises NotFound."""
    step_up.check(who, Act.PROVIDERS)
    before = unit.first(_FIND, name=name)
    if before is None or not unit.change(_UNPIN, of_name=name):
        raise NotFound()
    _record(unit, who, name, before, None)


def _record(unit: SystemUnit, who: Acting, name: str, before: int | None, after: int | None) -> None:
    change = {"before": before, "after": after}
    audit.record_installation(unit, who, Event.PROVIDER_NAME_PINNED, f"provider-name:{name}", **change)
