"""E-mail domains of a client, for system admins under ``/api/admin/clients/{client}/domains`` and for the client's own
Admin and User Admin under ``/api/client/domains``. System admins may also vouch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.api.admin import lists
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.api.admin.providers import Deleted, client_of
from manifest_auth.errors import Conflict, NotFound, RateLimited
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.operations.domains import watch
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import claims
from manifest_auth.tenants.claims import Claim, domains
from manifest_auth.text.canonical import when

State = Literal["pending", "proved", "failing", "lapsed"]


class DomainsQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC"], Meta(description="Order, by the domain.")] = "ID"
    state: Annotated[Literal["", "pending", "proved", "failing", "lapsed"], Meta(description="Only those.")] = ""


class DomainBody(msgspec.Struct, frozen=True):
    domain: Annotated[str, Meta(min_length=1, max_length=253, description="In lower case, like `acme.example`.")]


class VouchBody(msgspec.Struct, frozen=True):
    reason: Annotated[str, Meta(min_length=10, max_length=500, description="How you know; it stands in the trail.")]


class RecordData(msgspec.Struct, frozen=True):
    """The TXT record that proves the claim."""

    name: str
    type: Literal["TXT"]
    value: str


class DomainData(msgspec.Struct, frozen=True, rename="camel"):
    """A claim. It counts while it is `proved` or `failing`. ``message``: what is known to stand in its way."""

    domain: str
    state: State
    proof: Literal["dns", "vouched", "upgrade"] | None
    by: str
    record: RecordData
    proved_at: str | None
    checked_at: str | None
    failing_since: str | None
    lapses_at: str | None
    contested: bool
    message: str | UnsetType = UNSET


class DomainsData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[DomainData, ...]
    next_cursor: str | None


def wire(claim: Claim, why: str = "") -> dict[str, Any]:
    """``why``: what the look did not find that was just taken."""
    record = claims.record_of(claim.domain, claim.token)
    message = domains.HELD if claim.contested and not claim.counts else why
    return {
        "domain": claim.domain,
        "state": claim.state,
        "proof": claim.proof,
        "by": claim.claimed_by,
        "record": {"name": record.name, "type": "TXT", "value": record.value},
        "provedAt": _when(claim.proved_at),
        "checkedAt": _when(claim.checked_at),
        "failingSince": _when(claim.failing_since),
        "lapsesAt": _when(claim.lapses_at),
        "contested": bool(claim.contested),
        **({"message": message} if message else {}),
    }


def _when(at: int | None) -> str | None:
    return when(at) if at is not None else None


async def _claim(ctx: RequestContext, call: Call[DomainBody]) -> Answer:
    def work(unit: SystemUnit) -> dict[str, Any]:
        own, _ = client_of(unit, ctx, call)
        return wire(domains.claim(own, ctx, call.body.domain, ctx.services.random))

    return ok(await ctx.services.store.write(work), status=201)


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> dict[str, Any]:
        own, _ = client_of(unit, ctx, call)
        filters = Filters("state" if asked.state else None, in_state=asked.state).search(page.q)
        wanted = Asked(page.first, page.after, asked.sort)
        found = lists.read(own, domains.LISTING, wanted, filters, value_of=lambda claim, _sort: claim.domain)
        return {"items": [wire(claim) for claim in found.items], "nextCursor": found.next_cursor}

    return ok(await ctx.services.store.read(work))


async def _get(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> dict[str, Any]:
        own, _ = client_of(unit, ctx, call)
        return wire(domains.get(own, call.path["domain"]))

    return ok(await ctx.services.store.read(work))


async def _delete(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> None:
        own, _ = client_of(unit, ctx, call)
        domains.release(unit, own.tenant_id, ctx, call.path["domain"])

    await ctx.services.store.write(work)
    return ok({})


async def _check(ctx: RequestContext, call: Call[None]) -> Answer:
    tenant_id = await ctx.services.store.read(lambda unit: client_of(unit, ctx, call)[0].tenant_id)
    claim, why = await watch.check_now(ctx, tenant_id, call.path["domain"])
    return ok(wire(claim, why))


async def _vouch(ctx: RequestContext, call: Call[VouchBody]) -> Answer:
    def work(unit: SystemUnit) -> dict[str, Any]:
        own, _ = client_of(unit, ctx, call)
        return wire(domains.vouch(own, ctx, call.path["domain"], call.body.reason, ctx.services.random))

    return ok(await ctx.services.store.write(work))


def _routes(base: str, access: Access, permission: Permission | None) -> tuple[Route, ...]:
    one = f"{base}/{{domain}}"
    may: dict[str, Any] = {"permission": permission}
    return (
        Route("POST", base, _claim, access, "Claim an e-mail domain; a DNS record proves it", DomainBody, DomainData,
              status=201, refusals=(NotFound, Conflict), **may),
        Route("GET", base, _list, access, "Domains that a client claims", None, DomainsData, paged=True,
              query=DomainsQuery, refusals=(NotFound,), **may),
        Route("GET", one, _get, access, "One claimed domain, with the record that proves it", None, DomainData,
              refusals=(NotFound,), **may),
        Route("DELETE", one, _delete, access, "Release a domain; it proves nothing from then on", None, Deleted,
              refusals=(NotFound,), **may),
        Route("POST", f"{one}/check", _check, access, "Look at the record now, once in ten seconds", None, DomainData,
              refusals=(NotFound, Conflict, RateLimited), **may),
    )  # fmt: skip


_ADMIN = "/api/admin/clients/{client}/domains"
ROUTES = (
    *_routes(_ADMIN, Access.ADMIN, None),
    *_routes("/api/client/domains", Access.CLIENT, Permission.SETTINGS_MANAGE),
    Route("POST", f"{_ADMIN}/{{domain}}/vouch", _vouch, Access.ADMIN, "Vouch for a domain: it counts without end and "
          "without checks", VouchBody, DomainData, refusals=(NotFound, Conflict)),
)  # fmt: skip
