"""``/installation/clients``: the clients of this server, found and made."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.http import Answer
from manifest_auth.operations import client_lifecycle
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import address
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.tenants import Tenant, TenantSettings

PATH = f"{frame.OVERVIEW}/clients"
_SIZE = 50
_TEMPLATE = "installation/clients.html"
_STATES = {"": "All", "active": "Active", "suspended": "Suspended", "deleted": "Waiting for deletion"}
_SORTS = {"NAME": "Name", "IDENTIFIER": "Identifier", "CREATED_DESC": "Newest first", "CREATED": "Oldest first"}
Text = Annotated[str, Meta(max_length=300)]


class ClientsQuery(msgspec.Struct, frozen=True):
    q: Text = ""
    state: Text = ""
    sort: Text = ""
    after: Annotated[str, Meta(max_length=4096)] = ""


class ClientForm(msgspec.Struct, frozen=True):
    identifier: Text = ""
    name: Text = ""


class Row(msgspec.Struct, frozen=True):
    """``delete_at``: milliseconds, 0 for a client that is not marked for deletion."""

    identifier: str
    name: str
    created_at: int
    is_suspended: bool
    delete_at: int


class ClientsView(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]
    query: ClientsQuery
    states: tuple[tuple[str, str], ...]
    sorts: tuple[tuple[str, str], ...]
    is_narrowed: bool
    first: str
    next: str
    made: ClientForm


def row_of(tenant: Tenant) -> Row:
    return Row(
        tenant.identifier, tenant.name, tenant.created_at, tenant.suspended_at is not None, tenant.delete_at or 0
    )


async def _show(ctx: RequestContext, call: PageCall[ClientsQuery]) -> View | Answer[None]:
    return await _view(ctx, call.fields, ClientForm())


async def _again(ctx: RequestContext, call: PageCall[ClientForm]) -> View | Answer[None]:
    return await _view(ctx, ClientsQuery(), call.fields)


async def _view(ctx: RequestContext, asked: ClientsQuery, made: ClientForm) -> View:
    state, sort = frame.one_of(asked.state, _STATES), frame.one_of(asked.sort, _SORTS)
    filters = Filters(state).search(asked.q.strip())

    def read(unit: SystemUnit) -> tuple[list[Tenant], str | None]:
        return tenants.LISTING.read(unit, _SIZE, asked.after, sort, filters)

    found, goes_on = await ctx.services.store.read(read)
    chosen = {"q": asked.q, "state": state, "sort": asked.sort}
    return View(
        ClientsView(
            rows=tuple(map(row_of, found)),
            query=msgspec.structs.replace(asked, state=state, sort=sort),
            states=tuple(_STATES.items()),
            sorts=tuple(_SORTS.items()),
            is_narrowed=bool(asked.q or state),
            first=address(PATH, **chosen) if asked.after else "",
            next=address(PATH, **chosen, after=goes_on) if goes_on else "",
            made=made,
        )
    )


async def _make(ctx: RequestContext, call: PageCall[ClientForm]) -> View | Answer[None]:
    form, settings = call.fields, TenantSettings()
    made = await ctx.services.store.write(
        lambda unit: client_lifecycle.create(unit, ctx, form.identifier.strip(), form.name.strip(), settings)
    )
    return said.after(ctx, address(f"{PATH}/{made.identifier}", show="users"), "made")


ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "The clients of this server", audience=Audience.SYSTEM_ADMIN, english=True),
    page("POST", PATH, _make, _TEMPLATE, "Make a client", audience=Audience.SYSTEM_ADMIN, english=True, again=_again),
)  # fmt: skip
