"""``/console/service-accounts``: machines that call the API, and a new one."""

from __future__ import annotations

import msgspec

from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import Draft, Secret, ServiceAccount
from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame, service_account_views
from manifest_auth.pages.console.roles import RoleBox
from manifest_auth.pages.console.service_account_views import AccountForm
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission, Role, role_names
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text.machine_secrets import SecretKind

PATH = "/console/service-accounts"
NEW = f"{PATH}/new"
DONE = {"deleted": "The service account is deleted, with its keys."}


class Row(msgspec.Struct, frozen=True):
    """``keys``, ``secrets``: how many live; ``ends_at``: the nearest end of them; ``last_used_at``: of any of them.
    Times: milliseconds, 0 for none."""

    id: int
    name: str
    description: str
    roles: tuple[str, ...]
    is_active: bool
    keys: int
    secrets: int
    ends_at: int
    last_used_at: int


class ListView(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]
    most: int
    done: str


class NewView(msgspec.Struct, frozen=True):
    path: str
    typed: AccountForm
    boxes: tuple[RoleBox, ...]
    most_keys: int


async def _list(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done, most = said.sentence(ctx, call, DONE), service_accounts.MOST

    def work(unit: TenantUnit) -> ListView:
        accounts, _ = service_accounts.LISTING.read(unit, most, "", "ID", Filters())
        live = service_accounts.live_secrets(unit, [one.id for one in accounts], ctx.now)
        return ListView(
            tuple(_row(one, [key for key in live if key.user_id == one.id]) for one in accounts), most, done
        )

    return await frame.shown(ctx, work)


def _row(account: ServiceAccount, live: list[Secret]) -> Row:
    keys = sum(one.kind == SecretKind.API_KEY.value for one in live)
    return Row(
        id=account.id,
        name=account.name,
        description=account.description,
        roles=role_names(account.roles),
        is_active=account.deactivated_at is None,
        keys=keys,
        secrets=len(live) - keys,
        ends_at=min((one.ends_at for one in live), default=0),
        last_used_at=max((one.last_used_at or 0 for one in live), default=0),
    )


async def _ask(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, AccountForm(), Role.VIEWER.bit)


async def _again(ctx: RequestContext, call: PageCall[AccountForm]) -> View | Answer[None]:
    return await _view(ctx, call.fields, call.fields.roles)


async def _view(ctx: RequestContext, typed: AccountForm, ticked: int) -> View:
    def work(unit: TenantUnit) -> NewView:
        boxes = service_account_views.boxes_for(unit, ctx, ticked)
        return NewView(NEW, typed, boxes, service_accounts.MOST_KEYS)

    return await frame.shown(ctx, work)


async def _create(ctx: RequestContext, call: PageCall[AccountForm]) -> View | Answer[None]:
    draft = Draft(**call.fields.given())
    made = await ctx.store.write(lambda unit: service_accounts.create(unit, ctx, draft))
    return said.after(ctx, f"{PATH}/{made.id}", "created")


_NEW = "console/service_account_new.html"
ROUTES = (
    page("GET", PATH, _list, "console/service_accounts.html", "Machines that call the API", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True),
    page("GET", NEW, _ask, _NEW, "A new service account", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True),
    page("POST", NEW, _create, _NEW, "Create a service account", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True, again=_again),
)  # fmt: skip
