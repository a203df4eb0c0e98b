"""``/console/usage``: seats, users who signed in lately, open sessions."""

from __future__ import annotations

import msgspec

from manifest_auth.http import Answer
from manifest_auth.operations import usage
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext

_WORDS = {
    "full": ("Full", "Admin, User Admin, Author, Approver, Publisher"),
    "operate": ("Operate", "Operator"),
    "connect": ("Connect", "Viewer"),
}


class SeatRow(msgspec.Struct, frozen=True):
    """``free``: how many more the installation's licence has; None where none is needed."""

    name: str
    roles: str
    taken: int
    free: int | None


class UsageView(msgspec.Struct, frozen=True):
    """``counted_at``: milliseconds."""

    users: int
    active_users: int
    open_sessions: int
    rows: tuple[SeatRow, ...]
    is_licensed: bool
    counted_at: int


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    found = await usage.of_client(ctx)
    taken = msgspec.structs.asdict(found.seats)
    free = None if found.free is None else msgspec.structs.asdict(found.free)
    view = UsageView(
        users=found.users,
        active_users=found.active_users,
        open_sessions=found.open_sessions,
        rows=tuple(
            SeatRow(name, roles, taken[kind], None if free is None else free[kind])
            for kind, (name, roles) in _WORDS.items()
        ),
        is_licensed=free is not None,
        counted_at=found.counted_at,
    )
    return await frame.shown(ctx, lambda unit: view)


ROUTES = (
    page("GET", "/console/usage", _show, "console/usage.html", "Seats, users and sessions of a client",
         audience=Audience.SIGNED_IN, permission=Permission.SETTINGS_MANAGE, english=True),
)  # fmt: skip
