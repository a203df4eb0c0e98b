"""Values of the whole installation, by name.

Other code reads the table ``installation`` only in conditions inside other statements, and in databases with an older
schema.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from manifest_auth.store.statements import global_, upsert
from manifest_auth.store.store import Store
from manifest_auth.store.tables import installation
from manifest_auth.store.unit import SystemUnit, TenantUnit

_I = installation.c
_QUERY = select(_I.value).where(_I.name == bindparam("name"))
_GET, _LOCK = global_(_QUERY, str), global_(_QUERY.with_for_update(), str)
_WRITE = upsert(installation).values(name=bindparam("name"), value=bindparam("value"))
_BEGIN = global_(_WRITE.on_conflict_do_nothing(index_elements=["name"]))
_PUT = global_(_WRITE.on_conflict_do_update(index_elements=["name"], set_={"value": bindparam("value")}))
_TAKE = global_(delete(installation).where(_I.name == bindparam("name")))


def get(unit: SystemUnit | TenantUnit, name: str) -> str | None:
    """Returns the value, or None."""
    return unit.first(_GET, name=name)


async def look_up(store: Store, name: str) -> str | None:
    """Returns the value, or None, by a key read outside a unit of work."""
    return await store.look_up(_GET, name=name)


def lock(unit: SystemUnit, name: str) -> str:
    """Returns the value, locked until the transaction ends; empty if there was none."""
    unit.change(_BEGIN, name=name, value="")
    return unit.first(_LOCK, name=name) or ""


def put(unit: SystemUnit, name: str, value: str) -> None:
    """Sets the value."""
    unit.change(_PUT, name=name, value=value)


def take(unit: SystemUnit, name: str) -> bool:
    """Deletes the value. Returns whether there was one; only one of several concurrent calls gets True."""
    return unit.change(_TAKE, name=name) > 0
