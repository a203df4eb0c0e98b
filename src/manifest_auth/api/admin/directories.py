"""Microsoft directories that a client claims, for its own Admin and User Admin and for system admins alike; and what
system admins alone decide: whose one is, and who else may have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth.api.admin import lists
from manifest_auth.api.admin.clients import by_name
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.api.admin.providers import client_of
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants.claims import directories
from manifest_auth.text.canonical import check_line, when

T = TypeVar("T")
CloudName = Annotated[
    Literal["", "global", "us-gov", "us-dod", "china", "custom"],
    Meta(description="Microsoft cloud; empty: the installation's."),
]
Reason = Annotated[str, Meta(min_length=10, max_length=500, description="Stands in the audit trail.")]


class DirectoryBody(msgspec.Struct, frozen=True):
    directory: Annotated[str, Meta(min_length=36, max_length=36, description="Directory (tenant) id, a GUID.")]
    cloud: CloudName = ""


class ReasonBody(msgspec.Struct, frozen=True):
    reason: Reason


class DirectoryData(msgspec.Struct, frozen=True, rename="camel"):
    """``proof``: how it came to count, null while it does not; ``provedBy``: ``oid`` of the administrator."""

    directory: str
    cloud: str
    state: Literal["pending", "proved"]
    proof: Literal["sign-in", "vouched", "granted", "upgrade"] | None
    by: str
    reason: str
    proved_by: str
    claimed_at: str
    proved_at: str | None


class DirectoriesData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[DirectoryData, ...]
    next_cursor: str | None


class DirectoriesQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["DIRECTORY", "DIRECTORY_DESC", "CLAIMED", "CLAIMED_DESC"], Meta(description="Order.")] = (
        "DIRECTORY"
    )
    state: Annotated[Literal["", "pending", "proved"], Meta(description="Only those.")] = ""


class DirectoryNothing(msgspec.Struct, frozen=True):
    pass


def _wire(claim: directories.Claim) -> dict[str, Any]:
    return {
        "directory": claim.directory,
        "cloud": claim.cloud,
        "state": claim.state,
        "proof": claim.proof,
        "by": claim.claimed_by,
        "reason": claim.reason,
        "provedBy": claim.proved_by,
        "claimedAt": when(claim.claimed_at),
        "provedAt": when(claim.proved_at) if claim.proved_at is not None else None,
    }


def _directory(call: Call[Any]) -> str:
    return call.path["directory"].lower()


async def _write(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], T]) -> T:
    return await ctx.services.store.write(lambda unit: work(client_of(unit, ctx, call)[0]))


async def _claim(ctx: RequestContext, call: Call[DirectoryBody]) -> Answer:
    directory, cloud = directories.check(call.body.directory), call.body.cloud
    try:
        ctx.services.microsoft.clouds.get(cloud)
    except ValueError as error:
        raise ValidationError(details=[("cloud", "This installation has no such cloud")]) from error

    def work(unit: TenantUnit) -> directories.Claim:
        if not directories.claim(unit, ctx, directory, cloud):
            raise Conflict("The client has claimed this directory already")
        return directories.get(unit, directory)

    return ok(_wire(await _write(ctx, call, work)), status=201)


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> lists.Rows[directories.Claim]:
        return lists.read(
            client_of(unit, ctx, call)[0],
            directories.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters("state" if asked.state else None, of_state=asked.state).search(page.q),
            value_of=lambda claim, sort: claim.directory if sort == "DIRECTORY" else claim.claimed_at,
        )

    found = await ctx.services.store.read(work)
    return ok({"items": [_wire(claim) for claim in found.items], "nextCursor": found.next_cursor})


async def _get(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> directories.Claim:
        return directories.get(client_of(unit, ctx, call)[0], _directory(call))

    return ok(_wire(await ctx.services.store.read(work)))


async def _release(ctx: RequestContext, call: Call[None]) -> Answer:
    await _write(ctx, call, lambda unit: directories.release(unit, ctx, _directory(call)))
    return ok({})


async def _vouch(ctx: RequestContext, call: Call[ReasonBody]) -> Answer:
    reason = check_line(call.body.reason, "reason", 500)
    return ok(_wire(await _write(ctx, call, lambda u: directories.vouch(u, ctx, _directory(call), reason))))


async def _grant(ctx: RequestContext, call: Call[ReasonBody]) -> Answer:
    reason, directory = check_line(call.body.reason, "reason", 500), _directory(call)

    def work(unit: SystemUnit) -> directories.Claim:
        held_by = directories.owner(unit, directory)
        cloud = directories.get(unit.of(held_by), directory).cloud if held_by is not None else ""
        return directories.grant(unit.of(by_name(unit, call.path["client"]).id), ctx, directory, reason, cloud)

    return ok(_wire(await ctx.services.store.write(work)))


async def _revoke(ctx: RequestContext, call: Call[None]) -> Answer:
    await _write(ctx, call, lambda unit: directories.revoke(unit, ctx, _directory(call)))
    return ok({})


def _routes(base: str, access: Access, permission: Permission | None) -> tuple[Route, ...]:
    one = f"{base}/{{directory}}"
    may: dict[str, Any] = {"permission": permission}
    return (
        Route("POST", base, _claim, access, "Claim a Microsoft directory", DirectoryBody, DirectoryData, status=201,
              refusals=(ValidationError, NotFound, Conflict), **may),
        Route("GET", base, _list, access, "A client's Microsoft directories", None, DirectoriesData, paged=True,
              query=DirectoriesQuery, refusals=(NotFound,), **may),
        Route("GET", one, _get, access, "One Microsoft directory", None, DirectoryData, refusals=(NotFound,), **may),
        Route("DELETE", one, _release, access, "Claim a Microsoft directory no more", None, DirectoryNothing,
              refusals=(NotFound,), **may),
    )  # fmt: skip


_GRANT = "/api/admin/directories/{directory}/clients/{client}"
ROUTES = (
    *_routes("/api/admin/clients/{client}/directories", Access.ADMIN, None),
    *_routes("/api/client/directories", Access.CLIENT, Permission.SETTINGS_MANAGE),
    Route("POST", "/api/admin/clients/{client}/directories/{directory}/vouch", _vouch, Access.ADMIN,
          "Say that a Microsoft directory is the client's: its claim counts from now on", ReasonBody, DirectoryData,
          refusals=(ValidationError, NotFound, Conflict)),
    Route("PUT", _GRANT, _grant, Access.ADMIN, "Grant a directory that another client holds to this one as well",
          ReasonBody, DirectoryData, refusals=(ValidationError, NotFound, Conflict)),
    Route("DELETE", _GRANT, _revoke, Access.ADMIN, "Take such a grant back", None, DirectoryNothing,
          refusals=(NotFound,)),
)  # fmt: skip
