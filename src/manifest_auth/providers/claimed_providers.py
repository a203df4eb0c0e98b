"""Look-up of providers by e-mail domain or Microsoft directory: those of clients whose claim on it counts."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, select

from manifest_auth.providers.providers import Provider
from manifest_auth.store import SystemUnit, cross_tenant
from manifest_auth.store.tables import directory_claims, domain_owners, provider_domains, providers, tenants
from manifest_auth.tenants.claims.directories import PROVED

MOST = 50


class ProviderOption(NamedTuple):
    """A provider that a user of the domain may sign in with."""

    client: str
    name: str
    display_name: str
    kind: str


_C, _D, _K, _O, _T = providers.c, provider_domains.c, directory_claims.c, domain_owners.c, tenants.c
_BY_DOMAIN = cross_tenant(
    select(_T.identifier, _C.name, _C.display_name, _C.kind)
    .select_from(
        domain_owners.join(provider_domains, and_(_D.domain == _O.domain, _D.tenant_id == _O.tenant_id))
        .join(providers, and_(_C.tenant_id == _D.tenant_id, _C.id == _D.provider_id))
        .join(tenants, _T.id == _C.tenant_id)
    )
    .where(_O.domain == bindparam("domain"), _C.disabled_at.is_(None), _T.suspended_at.is_(None))
    .order_by(_C.name)
    .limit(MOST),
    ProviderOption,
    because="an e-mail address is entered before any client is known; its domain names the one client that owns it",
)
_BY_DIRECTORY = cross_tenant(
    select(*(_C[name] for name in Provider._fields))
    .select_from(providers.join(directory_claims, (_K.tenant_id == _C.tenant_id) & (_K.directory == _C.issuer)))
    .where(
        _C.issuer == bindparam("directory"), _C.kind == bindparam("kind"), _C.disabled_at.is_(None), _K.state == PROVED
    )
    .order_by(_C.id)
    .limit(bindparam("limit")),
    Provider,
    because="a bearer token names its directory, and thereby the clients whose claim on it counts",
)


def find_by_domain(unit: SystemUnit, domain: str) -> list[ProviderOption]:
    """The enabled providers that list a domain, of the client whose claim on it counts."""
    return unit.all(_BY_DOMAIN, domain=domain)


def find_by_directory(unit: SystemUnit, kind: str, directory: str, limit: int) -> list[Provider]:
    """The enabled providers of that kind for a directory, of the clients whose claim on it counts."""
    return unit.all(_BY_DIRECTORY, kind=kind, directory=directory, limit=limit)
