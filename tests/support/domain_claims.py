"""Claims on email domains: created, verified with name servers, or stored as if the operator had approved them."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from sqlalchemy import bindparam

from manifest_auth.store import TenantUnit, global_, tenant_scoped, upsert
from manifest_auth.store.tables import domain_claims, domain_owners
from manifest_auth.tenants.claims import DomainRecords
from tests.support.accounts import new_client, store_of, trail
from tests.support.application import App, Reply
from tests.support.name_servers import NameServer, txt

HELD = "Another client of this installation has this domain"
LABEL = "_manifest-auth-challenge"


@dataclass
class Claimed:
    """A client's claim on a domain, as its system admin sees it."""

    app: App
    client: str
    domain: str

    async def send(self, method: str, path: str = "", body: Any = None) -> Reply:
        """A system admin's request about it: ``""`` itself, ``/check``, ``/vouch``."""
        address = f"/api/admin/clients/{self.client}/domains/{self.domain}{path}"
        return await self.app.send(method, address, body, token=await self.app.admin_token())

    async def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.send("GET")).data
        return found

    async def state(self) -> str:
        return str((await self.shown())["state"])

    async def check(self) -> dict[str, Any]:
        """Check the record, after the required wait since the last check."""
        self.app.clock.advance(11)
        found: dict[str, Any] = (await self.send("POST", "/check")).data
        return found

    async def value(self) -> str:
        """The content that the record must have."""
        return str((await self.shown())["record"]["value"])

    @property
    def name(self) -> str:
        """The name that the record must have."""
        return f"{LABEL}.{self.domain}"

    async def events(self) -> list[str]:
        """The client's audit events about domains."""
        return [event.event for event in await trail(self.app, self.client) if event.event.startswith("domain_")]


async def claimed(app: App, client: str = "", domain: str = "") -> Claimed:
    """A new claim, for a new client unless one is named."""
    client = client or await new_client(app)
    domain = domain or f"{client}.example"
    path = f"/api/admin/clients/{client}/domains"
    reply = await app.post(path, {"domain": domain}, token=await app.admin_token())
    assert reply.status == 201, reply.text
    return Claimed(app, client, domain)


async def proved(app: App, zone: NameServer, client: str = "", domain: str = "") -> Claimed:
    """A claim that its DNS record verifies."""
    claim = await claimed(app, client, domain)
    zone.publish(txt(claim.name, await claim.value()))
    assert (await claim.check())["state"] == "proved"
    return claim


async def vouch_for(app: App, client: str, domain: str) -> None:
    """Approve the domain for the client."""
    claim = Claimed(app, client, domain)
    assert (await claim.send("POST", "/vouch", {"reason": "a test says so"})).status == 200


async def offered(app: App, email: str) -> Any:
    found = await app.post("/api/client/auth/discover", {"email": email})
    return found.data["clientId"]


async def release_all(app: App, client: str) -> None:
    """Release all of the client's domain claims."""
    token = await app.admin_token()
    found = await app.get(f"/api/admin/clients/{client}/domains?first=100", token=token)
    for claim in found.data["items"]:
        await Claimed(app, client, claim["domain"]).send("DELETE")


def after_each_look(patch: pytest.MonkeyPatch, app: App, act: Callable[[], Awaitable[None]]) -> None:
    """Run ``act`` after each look-up of a record, before the server continues."""
    look = app.services.domain_records.look_up

    async def slow(*given: Any) -> Any:
        verdict = await look(*given)
        await act()
        return verdict

    patch.setattr(app.services.domain_records, "look_up", slow)


@contextlib.contextmanager
def asking(app: App, *servers: str, **settings: str) -> Iterator[None]:
    """Look up domain records at these name servers, under these settings, inside the block."""
    before = app.services.domain_records
    changed = msgspec.structs.replace(app.services.settings, dns_servers=",".join(servers), **settings)
    app.services.domain_records = DomainRecords(changed, app.services.log, app.clock)
    yield
    app.services.domain_records = before


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


async def domain_counts(app: App, client: str, domain: str = "") -> None:
    """Give the client the only valid claim on a domain: CLIENT.example, unless another one is named."""

    def work(unit: TenantUnit) -> None:
        unit.change(_CLAIM, domain=domain or f"{client}.example")
        unit.change(_OWNER, domain=domain or f"{client}.example", of_tenant=unit.tenant_id)

    await (await store_of(app, client)).write(work)
