"""E-mail domains that count for a client, put into the store as if the operator had vouched for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam

from manifest_auth import tenants
from manifest_auth.store import SystemUnit, TenantUnit, global_, tenant_scoped, upsert
from manifest_auth.store.tables import domain_claims, domain_owners
from tests.support.application import App

_CLAIM = tenant_scoped(
    upsert(domain_claims)
    .values(domain=bindparam("domain"), token="", state="proved", proof="vouched", contested=0, claimed_by="admin:1",
            reason="a test", claimed_at=1, proved_at=1, notices=0)
    .on_conflict_do_nothing(index_elements=["tenant_id", "domain"])
)  # fmt: skip
_OWNER = global_(
    upsert(domain_owners)
    .values(domain=bindparam("domain"), tenant_id=bindparam("of_tenant"))
    .on_conflict_do_update(index_elements=["domain"], set_={"tenant_id": bindparam("of_tenant")})
)


async def within(app: App, client: str, work: Callable[[TenantUnit], Any]) -> Any:
    """A unit of work of a client."""

    def run(unit: SystemUnit) -> Any:
        tenant = tenants.find(unit, client)
        assert tenant is not None
        return work(unit.of(tenant.id))

    return await app.services.store.write(run)


async def domain_counts(app: App, client: str, domain: str = "") -> None:
    """From now on the client's claim on a domain counts, and no one else's: CLIENT.example, unless one is named."""

    def work(unit: TenantUnit) -> None:
        unit.change(_CLAIM, domain=domain or f"{client}.example")
        unit.change(_OWNER, domain=domain or f"{client}.example", of_tenant=unit.tenant_id)

    await within(app, client, work)
