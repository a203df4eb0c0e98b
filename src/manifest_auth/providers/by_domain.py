"""Which providers an e-mail domain leads to: those of the one client whose claim on it counts."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, select

from manifest_auth.store import SystemUnit, crossing
from manifest_auth.store.tables import domain_owners, provider_domains, providers, tenants

MOST = 50


class Offered(NamedTuple):
    """A provider as the way in of a domain that its client owns."""

    client: str
    name: str
    display_name: str
    kind: str


_C, _D, _O, _T = providers.c, provider_domains.c, domain_owners.c, tenants.c
_BY_DOMAIN = crossing(
    select(_T.identifier, _C.name, _C.display_name, _C.kind)
    .select_from(
        domain_owners.join(provider_domains, and_(_D.domain == _O.domain, _D.tenant_id == _O.tenant_id))
        .join(providers, _C.id == _D.provider_id)
        .join(tenants, _T.id == _C.tenant_id)
    )
    .where(_O.domain == bindparam("domain"), _C.disabled_at.is_(None), _T.suspended_at.is_(None))
    .order_by(_C.name)
    .limit(MOST),
    Offered,
    because="an address is typed in before any client is known; its domain names the one client that owns it",
)


def find_by_domain(unit: SystemUnit, domain: str) -> list[Offered]:
    """The switched-on providers that list a domain, of the one client whose claim on it counts."""
    return unit.all(_BY_DOMAIN, domain=domain)
