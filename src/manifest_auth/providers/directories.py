"""Microsoft directories that providers speak for: claimed when one is saved, and looked up for bearer tokens."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from manifest_auth.context import Acting
from manifest_auth.protocols.microsoft import Clouds
from manifest_auth.providers.providers import Provider
from manifest_auth.providers.settings import KindSettings
from manifest_auth.store import SystemUnit, TenantUnit, crossing
from manifest_auth.store.tables import directory_claims, providers
from manifest_auth.tenants.claims import directories
from manifest_auth.tenants.claims.directories import PROVED

_C, _P = directory_claims.c, providers.c
_COUNTING = crossing(
    select(*(_P[name] for name in Provider._fields))
    .select_from(providers.join(directory_claims, (_C.tenant_id == _P.tenant_id) & (_C.directory == _P.issuer)))
    .where(
        _P.issuer == bindparam("directory"), _P.kind == bindparam("kind"), _P.disabled_at.is_(None), _C.state == PROVED
    )
    .order_by(_P.id)
    .limit(bindparam("limit")),
    Provider,
    because="a bearer token names its directory, and the clients whose claim on the directory counts may be meant",
)


def counting_providers(unit: SystemUnit, kind: str, directory: str, limit: int) -> list[Provider]:
    """The providers of a directory's bearer tokens, of clients whose claim counts; those that are switched on."""
    return unit.all(_COUNTING, kind=kind, directory=directory, limit=limit)


def saved(unit: TenantUnit, who: Acting, clouds: Clouds, own: KindSettings, *, vouched: bool = False) -> None:
    """A provider was saved: its directory is claimed by that. ``vouched``: a system admin says that it is the client's.
    Raises ValidationError, Conflict."""
    named = own.microsoft_directory(clouds)
    if named is None:
        return
    directories.check(named.id, f"{own.kind}.directory")
    if vouched:
        directories.vouch(unit, who, named.id, "vouched for when its provider was saved", named.cloud)
    else:
        directories.claim(unit, who, named.id, named.cloud)
