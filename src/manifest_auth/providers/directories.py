"""Microsoft directories that providers speak for: claimed when one is saved, and looked up for bearer tokens."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from manifest_auth.context import Acting
from manifest_auth.protocols.microsoft import CONSUMERS, Clouds
from manifest_auth.providers.providers import Provider
from manifest_auth.providers.settings import Settings
from manifest_auth.store import SystemUnit, TenantUnit, crossing
from manifest_auth.store.tables import directory_claims, providers
from manifest_auth.tenants.claims import directories
from manifest_auth.tenants.claims.directories import PROVED

_C, _P = directory_claims.c, providers.c
_COUNTING = crossing(
    select(*(_P[name] for name in Provider._fields))
    .select_from(providers.join(directory_claims, (_C.tenant_id == _P.tenant_id) & (_C.directory == _P.issuer)))
    .where(_P.issuer == bindparam("directory"), _P.kind == "entra", _P.disabled_at.is_(None), _C.state == PROVED)
    .order_by(_P.id)
    .limit(bindparam("limit")),
    Provider,
    because="a bearer token names its directory, and the clients whose claim on the directory counts may be meant",
)


def counting_providers(unit: SystemUnit, directory: str, limit: int) -> list[Provider]:
    """The providers of a directory's bearer tokens, of clients whose claim counts; those that are switched on."""
    return unit.all(_COUNTING, directory=directory, limit=limit)


def named_by(clouds: Clouds, settings: Settings) -> tuple[str, str] | None:
    """Cloud and directory that a provider speaks for; None for one that speaks for none. Personal accounts have a
    directory of Microsoft's own: people may sign in from there, and nobody claims it."""
    if settings.oidc is not None:
        found = clouds.directory_of(settings.oidc.issuer)
        return found if found is not None and found[1] != CONSUMERS else None
    microsofts = settings.dynamics or settings.entra
    return (microsofts.cloud, microsofts.directory) if microsofts is not None else None


def saved(unit: TenantUnit, who: Acting, clouds: Clouds, settings: Settings, *, vouched: bool = False) -> None:
    """A provider was saved: its directory is claimed by that. ``vouched``: a system admin says that it is the client's.
    Raises ValidationError, Conflict."""
    named = named_by(clouds, settings)
    if named is None:
        return
    cloud, directory = named
    directories.check(directory, f"{settings.kind}.directory")
    if vouched:
        directories.vouch(unit, who, directory, "vouched for when its provider was saved", cloud)
    else:
        directories.claim(unit, who, directory, cloud)
