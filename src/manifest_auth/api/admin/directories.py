"""Microsoft directories that a client claims, for system admins and for the client's own Admin and User Admin.

Only system admins vouch for a claim, and grant a directory to a second client.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.http import Access, Call, Items, Page, Route, Time, Wire
from manifest_auth.operations import claim_directory
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.tenants.claims import directories
from manifest_auth.text import fields
from manifest_auth.text.json_schema import GUID_IN_ANY_CASE

CloudName = Annotated[
    Literal["", "global", "us-gov", "us-dod", "china", "custom"],
    Meta(description="Microsoft cloud; empty: the installation's."),
]
Reason = Annotated[str, fields.CLAIM_REASON.meta]


class DirectoryBody(msgspec.Struct, frozen=True):
    directory: Annotated[
        str,
        Meta(
            min_length=36,
            max_length=36,
            description="Directory (tenant) id, a GUID.",
            extra_json_schema=GUID_IN_ANY_CASE,
        ),
    ]
    cloud: CloudName = ""


class ReasonBody(msgspec.Struct, frozen=True):
    reason: Reason


class DirectoryData(Wire, frozen=True):
    """``proof``: how the claim was proved, null while it is not; ``provedBy``: ``oid`` of the administrator."""

    directory: str
    cloud: str
    state: Literal["pending", "proved"]
    proof: Literal["sign-in", "vouched", "granted"] | None
    by: str
    reason: str
    proved_by: str
    claimed_at: Time
    proved_at: Time | None


class DirectoriesData(Items[DirectoryData], frozen=True): ...


class DirectoriesQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["DIRECTORY", "DIRECTORY_DESC", "CLAIMED", "CLAIMED_DESC"], Meta(description="Order.")] = (
        "DIRECTORY"
    )
    state: Annotated[Literal["", "pending", "proved"], Meta(description="Only those.")] = ""


class DirectoryNothing(Wire, frozen=True): ...


def _data(claim: directories.Claim) -> DirectoryData:
    return DirectoryData.of(claim, by=claim.claimed_by)


def _directory(call: Call[Any]) -> str:
    return call.path["directory"].lower()


async def _claim(ctx: RequestContext, call: Call[DirectoryBody]) -> DirectoryData:
    body = call.body
    return _data(
        await client_scope.write(ctx, call, lambda unit: claim_directory.claim(unit, ctx, body.directory, body.cloud))
    )


async def _list(ctx: RequestContext, call: Call[None]) -> DirectoriesData:
    asked: DirectoriesQuery = call.parameters
    filters = Filters("state" if asked.state else None, of_state=asked.state).search(asked.q)
    return await client_scope.read(
        ctx, call, lambda unit: lists.page(DirectoriesData, _data, unit, directories.LISTING, asked, filters)
    )


async def _get(ctx: RequestContext, call: Call[None]) -> DirectoryData:
    return _data(await client_scope.read(ctx, call, lambda unit: directories.get(unit, _directory(call))))


async def _release(ctx: RequestContext, call: Call[None]) -> DirectoryNothing:
    await client_scope.write(ctx, call, lambda unit: claim_directory.release(unit, ctx, _directory(call)))
    return DirectoryNothing()


async def _vouch(ctx: RequestContext, call: Call[ReasonBody]) -> DirectoryData:
    directory, reason = _directory(call), call.body.reason
    return _data(await client_scope.write(ctx, call, lambda u: directories.vouch(u, ctx, directory, reason)))


async def _grant(ctx: RequestContext, call: Call[ReasonBody]) -> DirectoryData:
    reason, directory = call.body.reason, _directory(call)

    def work(unit: SystemUnit) -> directories.Claim:
        owner_id = directories.owner(unit, directory)
        cloud = directories.get(unit.of(owner_id), directory).cloud if owner_id is not None else ""
        return directories.grant(
            unit.of(tenants.get_named(unit, call.path["client"]).id), ctx, directory, reason, cloud
        )

    return _data(await ctx.services.store.write(work))


async def _revoke(ctx: RequestContext, call: Call[None]) -> DirectoryNothing:
    await client_scope.write(ctx, call, lambda unit: directories.revoke(unit, ctx, _directory(call)))
    return DirectoryNothing()


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    one = f"{base}/{{directory}}"
    return (
        Route("POST", base, _claim, access, "Claim a Microsoft directory", status=201,
              refusals=(ValidationError, NotFound, Conflict)),
        Route("GET", base, _list, access, "A client's Microsoft directories", query=DirectoriesQuery,
              refusals=(NotFound,)),
        Route("GET", one, _get, access, "One Microsoft directory", refusals=(NotFound,)),
        Route("DELETE", one, _release, access, "Release a Microsoft directory", refusals=(NotFound, Conflict)),
    )  # fmt: skip


_GRANT = "/api/admin/directories/{directory}/clients/{client}"
ROUTES = (
    *client_scope.for_admins_and_users(_routes, "/directories", Permission.SETTINGS_MANAGE),
    Route("POST", f"{OF_CLIENT}/directories/{{directory}}/vouch", _vouch, Access.ADMIN,
          "Vouch that a Microsoft directory is the client's: its claim counts from now on",
          refusals=(ValidationError, NotFound, Conflict)),
    Route("PUT", _GRANT, _grant, Access.ADMIN, "Grant a directory of another client to this one as well",
          refusals=(ValidationError, NotFound, Conflict), operation="adminGrantDirectoryToClient"),
    Route("DELETE", _GRANT, _revoke, Access.ADMIN, "Revoke such a grant", refusals=(NotFound,),
          operation="adminRevokeDirectoryFromClient"),
)  # fmt: skip
