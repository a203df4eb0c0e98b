"""A client's logo, kept as the bytes that are served. Owns ``client_logos``."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import client_logos
from manifest_auth.tenants.png import Png

_L = client_logos.c


class Logo(NamedTuple):
    """``hash``: part of its address; ``width`` and ``height``: pixels."""

    hash: str
    width: int
    height: int


_SEEN = tenant_scoped(select(*(_L[name] for name in Logo._fields)), Logo)
_PNG = tenant_scoped(select(_L.hash, _L.png))
_MEMBERS = ("hash", "png", "width", "height")
_PUT = tenant_scoped(
    upsert(client_logos)
    .values({name: bindparam(name) for name in _MEMBERS})
    .on_conflict_do_update(index_elements=["tenant_id"], set_={name: bindparam(name) for name in _MEMBERS})
)
_DROP = tenant_scoped(delete(client_logos))


def find(unit: TenantUnit) -> Logo | None:
    """Without its bytes."""
    return unit.first(_SEEN)


def bytes_of(unit: TenantUnit) -> tuple[str, bytes] | None:
    """Hash and bytes."""
    found = unit.first(_PNG)
    return None if found is None else (found[0], bytes(found[1]))


def put(unit: TenantUnit, png: Png) -> Logo:
    """In place of any other."""
    logo = Logo(hashlib.sha256(png.data).hexdigest()[:16], png.width, png.height)
    unit.change(_PUT, hash=logo.hash, png=png.data, width=png.width, height=png.height)
    return logo


def drop(unit: TenantUnit) -> bool:
    """False when there was none."""
    return unit.change(_DROP) == 1
