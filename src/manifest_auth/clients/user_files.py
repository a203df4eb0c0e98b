"""The client's users as a CSV file.

The download is recorded before the first byte is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from manifest_auth import audit
from manifest_auth.accounts import rank, users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.permissions import role_names
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import csv_files
from manifest_auth.text.canonical import when

COLUMNS = (
    *("email", "firstName", "lastName", "title", "roles", "language"),
    *("id", "state", "secondFactor", "createdAt", "lastSignInAt"),
)
POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_AT_ONCE = 500


async def start(ctx: RequestContext, filters: Filters, narrowed: Mapping[str, str]) -> AsyncIterator[bytes]:
    """Yields the bytes of the file, ordered by number. ``filters`` are filters of :data:`.users.OF_CONSOLE`, and
    ``narrowed`` is the same for the trail. Raises Forbidden or ReauthenticationRequired."""
    step_up.check(ctx, Act.EXPORT)

    def record(unit: TenantUnit) -> None:
        rank.manager(unit, ctx)
        number = users.OF_CONSOLE.total(unit, filters)
        audit.record(unit, ctx, Event.USERS_EXPORTED, f"client:{unit.tenant_id}", users=number, filters=dict(narrowed))

    await ctx.store.write(record)
    return _rows(ctx, filters)


async def _rows(ctx: RequestContext, filters: Filters) -> AsyncIterator[bytes]:
    yield csv_files.rows([COLUMNS])
    after = ""
    while True:
        found, following = await ctx.store.read(
            lambda unit: users.OF_CONSOLE.read(unit, _AT_ONCE, after, "ID", filters)  # noqa: B023 - awaited
        )
        yield csv_files.rows(map(_cells, found))
        if following is None:
            return
        after = following


def _cells(user: User) -> list[str]:
    state = "deactivated" if user.deactivated_at is not None else "invited" if user.never_came else "active"
    return [
        *(user.email, user.first_name, user.last_name, user.title, ";".join(role_names(user.roles))),
        *(user.language or "", str(user.id), state, "yes" if user.factors else "no"),
        *("" if at is None else when(at) for at in (user.created_at, user.last_sign_in_at)),
    ]
