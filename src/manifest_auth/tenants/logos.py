"""A client's logo, stored as the bytes that are served.

Owns ``client_logos``.
"""

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


_LOGO = tenant_scoped(select(*(_L[name] for name in Logo._fields)), Logo)
_PNG = tenant_scoped(select(_L.hash, _L.png))
_MEMBERS = ("hash", "png", "width", "height")
_PUT = tenant_scoped(
    upsert(client_logos)
    .values({name: bindparam(name) for name in _MEMBERS})
    .on_conflict_do_update(index_elements=["tenant_id"], set_={name: bindparam(name) for name in _MEMBERS})
)
_DROP = tenant_scoped(delete(client_logos))


def find(unit: TenantUnit) -> Logo | None:
    """The logo without its bytes; None without a logo."""
    return unit.first(_LOGO)


def bytes_of(unit: TenantUnit) -> tuple[str, bytes] | None:
    """Hash and bytes of the logo; None without a logo."""
    found = unit.first(_PNG)
    return None if found is None else (found[0], bytes(found[1]))


def put(unit: TenantUnit, png: Png) -> Logo:
    """Stores a logo. Replaces an earlier one."""
    logo = Logo(hashlib.sha256(png.data).hexdigest()[:16], png.width, png.height)
    unit.change(_PUT, hash=logo.hash, png=png.data, width=png.width, height=png.height)
    return logo


def drop(unit: TenantUnit) -> bool:
    """Deletes the logo. False when there was none."""
    return unit.change(_DROP) == 1
