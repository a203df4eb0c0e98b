"""Routes for the claims of clients: email domains, Microsoft directories, and provider names."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import tenants
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT, client_of, reads, writes
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.clients import domain_checks
from manifest_auth.errors import Conflict, NotFound, ProviderUnavailable, RateLimited, SsoFailed, ValidationError
from manifest_auth.http import (
    AUTH_LIMIT,
    Access,
    Answer,
    Call,
    Items,
    Route,
    Time,
    Who,
    Wire,
    flow_cookie,
    ok,
    redirect,
)
from manifest_auth.http.sign_in_answer import CallbackQuery, callback_params
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import directory_proof
from manifest_auth.sign_in.directory_proof import ProveData
from manifest_auth.store import Filters, SystemUnit, TenantUnit
from manifest_auth.tenants.claims import Claim, directories, domains
from manifest_auth.tenants.claims.domains import PinData
from manifest_auth.text import fields
from manifest_auth.text.canonical import DOMAIN
from manifest_auth.text.models import GUID_IN_ANY_CASE, matching

State = Literal["pending", "proved", "failing", "lapsed"]


class DomainBody(msgspec.Struct, frozen=True):
    domain: Annotated[
        str,
        Meta(
            min_length=4,
            max_length=189,
            description="In lowercase, for example `acme.example`.",
            extra_json_schema=matching(DOMAIN),
        ),
    ]


class VouchBody(msgspec.Struct, frozen=True):
    reason: Annotated[
        str, fields.CLAIM_REASON.meta, Meta(description="How you know who owns it; recorded in the audit trail.")
    ]


class RecordData(Wire, frozen=True):
    """The TXT record that verifies the claim."""

    name: str
    type: Literal["TXT"]
    value: str


class DomainData(Wire, frozen=True):
    """A claim. It is in effect while its state is `proved` or `failing`. ``message``: why it isn't verified, if
    known."""

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


def wire(claim: Claim, why: str = "") -> DomainData:
    """``why``: what the last check didn't find."""
    record = RecordData.of(claim.record, type="TXT")
    return DomainData.of(claim, by=claim.claimed_by, record=record, message=claim.why_not_proved(why) or UNSET)


def _claim_domain(ctx: RequestContext, call: Call[DomainBody], own: TenantUnit) -> DomainData:
    return wire(domains.claim(own, ctx, call.body.domain, ctx.services.random))


def _list_domains(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[DomainData]:
    asked = call.parameters
    filters = Filters("state" if asked.state else None, in_state=asked.state).search(asked.q)
    return lists.page(wire, own, domains.LISTING, asked, filters)


def _get_domain(ctx: RequestContext, call: Call[None], own: TenantUnit) -> DomainData:
    return wire(domains.get(own, call.path["domain"]))


async def _delete(ctx: RequestContext, call: Call[None]) -> Deleted:
    def work(unit: SystemUnit) -> None:
        domains.release(unit, client_of(unit, ctx, call)[0].tenant_id, ctx, call.path["domain"])

    await ctx.services.store.write(work)
    return Deleted()


async def _check(ctx: RequestContext, call: Call[None]) -> DomainData:
    tenant_id = await client_scope.read(ctx, call, lambda own: own.tenant_id)
    return wire(*await domain_checks.check_now(ctx, tenant_id, call.path["domain"]))


def _vouch_domain(ctx: RequestContext, call: Call[VouchBody], own: TenantUnit) -> DomainData:
    return wire(domains.vouch(own, ctx, call.path["domain"], call.body.reason, ctx.services.random))


def _domain_routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{domain}}"
    return (
        Route("POST", base, writes(_claim_domain), access, "Claim an email domain; a DNS record verifies it",
              status=201, refusals=(NotFound, Conflict), asks=Act.DOMAINS),
        Route("GET", base, reads(_list_domains), access, "List the domains that a client claims",
              query=lists.query(domains.LISTING.sorts, "ID", about="Sort order, by domain.", state=get_args(State)),
              refusals=(NotFound,)),
        Route("GET", one, reads(_get_domain), access, "Get a claimed domain, with its DNS record",
              refusals=(NotFound,)),
        Route("DELETE", one, _delete, access, "Release a domain", refusals=(NotFound,),
              asks=Act.DOMAINS),
        Route("POST", f"{one}/check", _check, access, "Check the record now, at most once every ten seconds",
              refusals=(NotFound, Conflict, RateLimited), asks=NOTHING, is_recorded=False),
    )  # fmt: skip


CloudName = Annotated[
    Literal["", "global", "us-gov", "us-dod", "china", "custom"],
    Meta(description="Microsoft cloud. Default: the cloud of the installation."),
]
Reason = Annotated[str, fields.CLAIM_REASON.meta]


class DirectoryBody(msgspec.Struct, frozen=True):
    directory: Annotated[
        str,
        Meta(
            min_length=36,
            max_length=36,
            description="Directory (tenant) ID, a GUID.",
            extra_json_schema=GUID_IN_ANY_CASE,
        ),
    ]
    cloud: CloudName = ""


class ReasonBody(msgspec.Struct, frozen=True):
    reason: Reason


class DirectoryData(Wire, frozen=True):
    """``proof``: how the claim was verified, or null; ``provedBy``: the ``oid`` of the administrator who verified
    it."""

    directory: str
    cloud: str
    state: Literal["pending", "proved"]
    proof: Literal["sign-in", "vouched", "granted"] | None
    by: str
    reason: str
    proved_by: str
    claimed_at: Time
    proved_at: Time | None


class DirectoryNothing(Wire, frozen=True): ...


def _data(claim: directories.Claim) -> DirectoryData:
    return DirectoryData.of(claim, by=claim.claimed_by)


def _directory(call: Call[Any]) -> str:
    return call.path["directory"].lower()


def _claim_directory(ctx: RequestContext, call: Call[DirectoryBody], own: TenantUnit) -> DirectoryData:
    return _data(domain_checks.claim_directory(own, ctx, call.body.directory, call.body.cloud))


def _list_directories(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[DirectoryData]:
    asked = call.parameters
    filters = Filters("state" if asked.state else None, of_state=asked.state).search(asked.q)
    return lists.page(_data, own, directories.LISTING, asked, filters)


def _get_directory(ctx: RequestContext, call: Call[None], own: TenantUnit) -> DirectoryData:
    return _data(directories.get(own, _directory(call)))


def _release(ctx: RequestContext, call: Call[None], own: TenantUnit) -> DirectoryNothing:
    domain_checks.release_directory(own, ctx, _directory(call))
    return DirectoryNothing()


def _vouch_directory(ctx: RequestContext, call: Call[ReasonBody], own: TenantUnit) -> DirectoryData:
    return _data(directories.vouch(own, ctx, _directory(call), call.body.reason))


async def _grant(ctx: RequestContext, call: Call[ReasonBody]) -> DirectoryData:
    reason, directory = call.body.reason, _directory(call)

    def work(unit: SystemUnit) -> directories.Claim:
        owner_id = directories.owner(unit, directory)
        cloud = directories.get(unit.of(owner_id), directory).cloud if owner_id is not None else ""
        return directories.grant(
            unit.of(tenants.get_named(unit, call.path["client"]).id), ctx, directory, reason, cloud
        )

    return _data(await ctx.services.store.write(work))


def _revoke(ctx: RequestContext, call: Call[None], own: TenantUnit) -> DirectoryNothing:
    directories.revoke(own, ctx, _directory(call))
    return DirectoryNothing()


def _directory_routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{directory}}"
    return (
        Route("POST", base, writes(_claim_directory), access, "Claim a Microsoft directory", status=201,
              refusals=(ValidationError, NotFound, Conflict), asks=Act.DOMAINS),
        Route("GET", base, reads(_list_directories), access, "List a client's Microsoft directories",
              query=lists.query(directories.LISTING.sorts, "DIRECTORY", state=("pending", "proved")),
              refusals=(NotFound,)),
        Route("GET", one, reads(_get_directory), access, "Get a Microsoft directory", refusals=(NotFound,)),
        Route("DELETE", one, writes(_release), access, "Release a Microsoft directory",
              refusals=(NotFound, Conflict), asks=Act.DOMAINS),
    )  # fmt: skip


class PinBody(msgspec.Struct, frozen=True):
    client: Annotated[str, Meta(min_length=1, max_length=63, description="Identifier or number of the client.")]


class Unpinned(Wire, frozen=True): ...


async def _list_pins(ctx: RequestContext, call: Call[None]) -> Items[PinData]:
    asked = call.parameters
    filters = Filters().search(asked.q)
    return await ctx.services.store.read(lambda unit: lists.listed(unit, domains.PINNED_NAMES, asked, filters))


async def _pin(ctx: RequestContext, call: Call[PinBody]) -> PinData:
    return await ctx.services.store.write(
        lambda unit: domains.pin_name(unit, ctx, call.path["name"], tenants.get_named(unit, call.body.client))
    )


async def _unpin(ctx: RequestContext, call: Call[None]) -> Unpinned:
    await ctx.services.store.write(lambda unit: domains.unpin_name(unit, ctx, call.path["name"]))
    return Unpinned()


_GRANT = "/api/admin/directories/{directory}/clients/{client}"
_NAMES = "/api/admin/provider-names"
ROUTES = (
    *client_scope.for_admins_and_users(_domain_routes, "/domains", Permission.SETTINGS_MANAGE),
    Route("POST", f"{OF_CLIENT}/domains/{{domain}}/vouch", writes(_vouch_domain), Access.ADMIN,
          "Approve a domain; it is verified without checks, until it is released", refusals=(NotFound, Conflict),
          asks=Act.DOMAINS),
    *client_scope.for_admins_and_users(_directory_routes, "/directories", Permission.SETTINGS_MANAGE),
    Route("POST", f"{OF_CLIENT}/directories/{{directory}}/vouch", writes(_vouch_directory), Access.ADMIN,
          "Approve a client's claim on a Microsoft directory",
          refusals=(ValidationError, NotFound, Conflict), asks=Act.DOMAINS),
    Route("PUT", _GRANT, _grant, Access.ADMIN, "Also grant this client a directory that another client owns",
          refusals=(ValidationError, NotFound, Conflict), operation="adminGrantDirectoryToClient", asks=Act.DOMAINS),
    Route("DELETE", _GRANT, writes(_revoke), Access.ADMIN, "Revoke the grant of a directory", refusals=(NotFound,),
          operation="adminRevokeDirectoryFromClient", asks=Act.DOMAINS),
    Route("GET", _NAMES, _list_pins, Access.ADMIN, "List the provider names that are pinned to a client",
          query=lists.query(domains.PINNED_NAMES.sorts, "NAME")),
    Route("PUT", f"{_NAMES}/{{name}}", _pin, Access.ADMIN, "Pin a provider's name to a client",
          refusals=(ValidationError, NotFound), asks=Act.PROVIDERS),
    Route("DELETE", f"{_NAMES}/{{name}}", _unpin, Access.ADMIN, "Unpin a provider's name", refusals=(NotFound,),
          asks=Act.PROVIDERS),
)  # fmt: skip


class ProveBody(msgspec.Struct, frozen=True, rename="camel"):
    return_to: Annotated[
        str, Meta(max_length=2000, description="A listed redirect URI, exactly as listed. Default: the account page.")
    ] = ""


async def _prove(ctx: RequestContext, call: Call[ProveBody]) -> Answer[ProveData]:
    data, begun = await directory_proof.begin(ctx, call.path["directory"].lower(), call.body.return_to)
    cookie = flow_cookie(begun.cookie, begun.browser, directory_proof.LIFE_S, ctx.services.settings, cross_site=False)
    return ok(data, headers=(cookie,))


async def _callback(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    flow = await directory_proof.end(ctx, callback_params(call, directory_proof.callback_of(ctx)), call.head.cookie)
    gone = flow_cookie(flow.cookie, "", 0, ctx.services.settings, cross_site=False)
    return redirect(flow.return_to, headers=(gone,))


PROOF_ROUTES = (
    Route("POST", "/api/client/directories/{directory}/prove", _prove, Permission.SETTINGS_MANAGE,
          "Verify a directory; returns the URL where its administrator signs in", limit=AUTH_LIMIT,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable), asks=Act.DOMAINS),
    Route("GET", directory_proof.CALLBACK, _callback, Access.OPEN,
          "Redirect URI for a directory's administrator", status=302, query=CallbackQuery,
          refusals=(ValidationError, SsoFailed, Conflict, ProviderUnavailable), operation="endDirectoryProof"),
)  # fmt: skip
