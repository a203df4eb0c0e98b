"""``/console/users``: who may sign in, searched, filtered, sorted, page by page."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission, Role, role_names
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit

PATH = "/console/users"
_SIZE = 25
SORTS = (
    ("LAST_NAME", "Last name, A to Z"),
    ("LAST_NAME_DESC", "Last name, Z to A"),
    ("EMAIL", "E-mail, A to Z"),
    ("EMAIL_DESC", "E-mail, Z to A"),
    ("ID_DESC", "Newest first"),
    ("ID", "Oldest first"),
)
STATES = (("", "Any"), ("active", "Active"), ("inactive", "Deactivated"))
ROLES = (("", "Any"), *((role.value, role.value) for role in Role))


class UsersQuery(msgspec.Struct, frozen=True):
    """``after``: cursor of the page before."""

    q: Annotated[str, Meta(max_length=200)] = ""
    role: Literal["", "Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer"] = ""
    state: Literal["", "active", "inactive"] = ""
    sort: Literal["ID", "ID_DESC", "EMAIL", "EMAIL_DESC", "LAST_NAME", "LAST_NAME_DESC"] = "LAST_NAME"
    after: Annotated[str, Meta(max_length=4096)] = ""


class Row(msgspec.Struct, frozen=True):
    """``name``: empty for a user without one; ``last_sign_in_at``: milliseconds, 0 for never."""

    id: int
    name: str
    email: str
    title: str
    roles: tuple[str, ...]
    is_active: bool
    is_invited: bool
    is_self: bool
    has_factor: bool
    last_sign_in_at: int


class UsersView(msgspec.Struct, frozen=True):
    """``first`` and ``next``: addresses, empty for none."""

    rows: tuple[Row, ...]
    query: UsersQuery
    is_narrowed: bool
    first: str
    next: str
    sorts: tuple[tuple[str, str], ...] = SORTS
    states: tuple[tuple[str, str], ...] = STATES
    roles: tuple[tuple[str, str], ...] = ROLES


async def _list(ctx: RequestContext, call: PageCall[UsersQuery]) -> View | Answer[None]:
    asked = call.fields
    role = Role(asked.role).bit if asked.role else 0
    filters = Filters(asked.state, "role" if role else None, role=role).search(asked.q.strip())
    chosen = {"q": asked.q, "role": asked.role, "state": asked.state, "sort": asked.sort}

    def work(unit: TenantUnit) -> UsersView:
        rows, goes_on = users.LISTING.read(unit, _SIZE, asked.after, asked.sort, filters)
        return UsersView(
            rows=tuple(_row(user, ctx.user.user_id) for user in rows),
            query=asked,
            is_narrowed=bool(filters.names),
            first=frame.address(PATH, **chosen) if asked.after else "",
            next=frame.address(PATH, **chosen, after=goes_on) if goes_on else "",
        )

    return await frame.shown(ctx, work)


def _row(user: User, own: int) -> Row:
    return Row(
        id=user.id,
        name=f"{user.first_name} {user.last_name}".strip(),
        email=user.email,
        title=user.title,
        roles=role_names(user.roles),
        is_active=user.deactivated_at is None,
        is_invited=user.never_came,
        is_self=user.id == own,
        has_factor=user.factors != 0,
        last_sign_in_at=user.last_sign_in_at or 0,
    )


ROUTES = (
    page("GET", PATH, _list, "console/users.html", "Who may sign in", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True),
)  # fmt: skip
