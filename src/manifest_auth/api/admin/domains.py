"""Routes for a client's e-mail domains: claim, prove, release, and vouch.

System admins call them under ``/api/admin/clients/{client}/domains``, the client's own Admin and User Admin under
``/api/client/domains``. System admins alone may vouch.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT, client_of
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.errors import Conflict, NotFound, RateLimited
from manifest_auth.http import Access, Call, Items, Page, Route, Time, Wire
from manifest_auth.operations.domains import watch
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.tenants import claims
from manifest_auth.tenants.claims import Claim, domains
from manifest_auth.text import fields
from manifest_auth.text.canonical import DOMAIN
from manifest_auth.text.json_schema import matching

State = Literal["pending", "proved", "failing", "lapsed"]


class DomainsQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC"], Meta(description="Order, by the domain.")] = "ID"
    state: Annotated[Literal["", "pending", "proved", "failing", "lapsed"], Meta(description="Only those.")] = ""


class DomainBody(msgspec.Struct, frozen=True):
    domain: Annotated[
        str,
        Meta(
            min_length=4,
            max_length=189,
            description="In lower case, like `acme.example`.",
            extra_json_schema=matching(DOMAIN),
        ),
    ]


class VouchBody(msgspec.Struct, frozen=True):
    reason: Annotated[str, fields.CLAIM_REASON.meta, Meta(description="How you know; recorded in the audit trail.")]


class RecordData(Wire, frozen=True):
    """The TXT record that proves the claim."""

    name: str
    type: Literal["TXT"]
    value: str


class DomainData(Wire, frozen=True):
    """A claim. It counts while it is `proved` or `failing`. ``message``: why it is not proved, if known."""

    domain: str
    state: State
    proof: Literal["dns", "vouched"] | None
    by: str
    record: RecordData
    proved_at: Time | None
    checked_at: Time | None
    failing_since: Time | None
    lapses_at: Time | None
    contested: bool
    message: str | UnsetType = UNSET


class DomainsData(Items[DomainData], frozen=True): ...


def wire(claim: Claim, why: str = "") -> DomainData:
    """``why``: what the check that just ran did not find."""
    message = domains.CLAIMED_ELSEWHERE if claim.contested and not claim.counts else why
    record = RecordData.of(claims.record_of(claim.domain, claim.token), type="TXT")
    return DomainData.of(claim, by=claim.claimed_by, record=record, message=message or UNSET)


async def _claim(ctx: RequestContext, call: Call[DomainBody]) -> DomainData:
    random = ctx.services.random
    return wire(await client_scope.write(ctx, call, lambda own: domains.claim(own, ctx, call.body.domain, random)))


async def _list(ctx: RequestContext, call: Call[None]) -> DomainsData:
    asked: DomainsQuery = call.parameters
    filters = Filters("state" if asked.state else None, in_state=asked.state).search(asked.q)
    return await client_scope.read(
        ctx, call, lambda own: lists.page(DomainsData, wire, own, domains.LISTING, asked, filters)
    )


async def _get(ctx: RequestContext, call: Call[None]) -> DomainData:
    return wire(await client_scope.read(ctx, call, lambda own: domains.get(own, call.path["domain"])))


async def _delete(ctx: RequestContext, call: Call[None]) -> Deleted:
    def work(unit: SystemUnit) -> None:
        domains.release(unit, client_of(unit, ctx, call)[0].tenant_id, ctx, call.path["domain"])

    await ctx.services.store.write(work)
    return Deleted()


async def _check(ctx: RequestContext, call: Call[None]) -> DomainData:
    tenant_id = await client_scope.read(ctx, call, lambda own: own.tenant_id)
    return wire(*await watch.check_now(ctx, tenant_id, call.path["domain"]))


async def _vouch(ctx: RequestContext, call: Call[VouchBody]) -> DomainData:
    domain, reason, random = call.path["domain"], call.body.reason, ctx.services.random
    return wire(await client_scope.write(ctx, call, lambda own: domains.vouch(own, ctx, domain, reason, random)))


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    one = f"{base}/{{domain}}"
    return (
        Route("POST", base, _claim, access, "Claim an e-mail domain; a DNS record proves it", status=201,
              refusals=(NotFound, Conflict)),
        Route("GET", base, _list, access, "Domains that a client claims", query=DomainsQuery, refusals=(NotFound,)),
        Route("GET", one, _get, access, "One claimed domain, with the record that proves it", refusals=(NotFound,)),
        Route("DELETE", one, _delete, access, "Release a domain; it proves nothing from then on", refusals=(NotFound,)),
        Route("POST", f"{one}/check", _check, access, "Check the record now, once in ten seconds",
              refusals=(NotFound, Conflict, RateLimited)),
    )  # fmt: skip


ROUTES = (
    *client_scope.for_admins_and_users(_routes, "/domains", Permission.SETTINGS_MANAGE),
    Route("POST", f"{OF_CLIENT}/domains/{{domain}}/vouch", _vouch, Access.ADMIN,
          "Vouch for a domain: it counts without checks, until it is released", refusals=(NotFound, Conflict)),
)  # fmt: skip
