"""``/installation/backups``: when the last one was made, and the commands that make one.

There is no download: a stolen session must not carry password hashes away.
"""

from __future__ import annotations

import msgspec

from manifest_auth.http import Answer
from manifest_auth.operations import last_backup
from manifest_auth.operations.last_backup import DAY_MS, OLD_MS
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext

PATH = f"{frame.OVERVIEW}/backups"


class BackupsView(msgspec.Struct, frozen=True):
    """``at``: milliseconds, 0 for never."""

    at: int
    is_old: bool
    days: int
    on_postgres: bool


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    at = await last_backup.read_time(ctx.services.store)
    age = 0 if at is None else max(0, ctx.now - at)
    return View(BackupsView(at or 0, age > OLD_MS, age // DAY_MS, ctx.services.settings.on_postgres))


ROUTES = (
    page("GET", PATH, _show, "installation/backups.html", "The last backup, and how one is made",
         audience=Audience.SYSTEM_ADMIN, english=True),
)  # fmt: skip
