"""``/installation/health``, ``…/backups`` and ``…/throttles``: findings, backups and throttled callers."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from manifest_auth.errors import Overloaded
from manifest_auth.http import Answer
from manifest_auth.maintenance import clear_throttles, last_backup
from manifest_auth.maintenance.last_backup import DAY_MS, OLD_MS
from manifest_auth.pages import flash
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import ListQuery, address
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import admin_page
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import BlockedCounter

if TYPE_CHECKING:
    from manifest_auth.maintenance.doctor import Finding

# ``/installation/health``: what ``doctor`` finds, each with what to do.


HEALTH_PATH = f"{frame.OVERVIEW}/health"
_SEALED_S = 5.0  # a person waits for it; the command line takes more
_looking: set[int] = set()  # the one look of this process that is under way


class HealthView(msgspec.Struct, frozen=True):
    """``to_read``: what is wrong, and notes; ``well``: the rest."""

    to_read: tuple[Finding, ...]
    well: tuple[Finding, ...]
    bad: int
    notes: int


async def _show_health(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    if _looking:
        raise Overloaded(retry_after=5, reason="another look is under way")
    _looking.add(1)
    try:
        lines = await _findings(ctx)
    finally:
        _looking.clear()
    bad, notes, well = (tuple(one for one in lines if one.level == level) for level in ("bad", "note", "ok"))
    return View(HealthView((*bad, *notes), well, len(bad), len(notes)))


async def _findings(ctx: RequestContext) -> list[Finding]:
    await asyncio.to_thread(import_module, "manifest_auth.maintenance.doctor")
    from manifest_auth.maintenance.doctor import examine

    return [one async for one in examine(ctx.services.settings, sealed_s=_SEALED_S)]


# ``/installation/backups``: when the last one was made, and the commands that make one.
#
# There is no download: a stolen session must not carry password hashes away.


BACKUPS_PATH = f"{frame.OVERVIEW}/backups"


class BackupsView(msgspec.Struct, frozen=True):
    """``at``: milliseconds, 0 for never."""

    at: int
    is_old: bool
    days: int
    on_postgres: bool


async def _show_backups(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    at = await last_backup.read_time(ctx.services.store)
    age = 0 if at is None else max(0, ctx.now - at)
    return View(BackupsView(at or 0, age > OLD_MS, age // DAY_MS, ctx.services.settings.on_postgres))


# ``/installation/throttles``: who has to wait after too many attempts, and who is let go.


THROTTLES_PATH = f"{frame.OVERVIEW}/throttles"
_SIZE = 50
_TEMPLATE = "installation/throttles.html"
_NAMES = ("client", "email", "username", "address")
Text = fields.TypedEmail


class ClearForm(msgspec.Struct, frozen=True):
    """``act``: ``all``, or else what the other fields name."""

    act: Text = ""
    client: Text = ""
    email: Text = ""
    username: Text = ""
    address: Text = ""


class ThrottlesView(msgspec.Struct, frozen=True):
    """``cleared``: None where nothing was cleared just now."""

    rows: tuple[BlockedCounter, ...]
    cleared: int | None
    form: ClearForm
    first: str
    next: str
    is_on: bool


async def _show_throttles(ctx: RequestContext, call: PageCall[ListQuery]) -> View | Answer[None]:
    cleared = flash.word(ctx, call)
    return await _view(ctx, call.fields, ClearForm(), int(cleared) if cleared.isascii() and cleared.isdigit() else None)


async def _again(ctx: RequestContext, call: PageCall[ClearForm]) -> View | Answer[None]:
    return await _view(ctx, ListQuery(), call.fields)


async def _view(ctx: RequestContext, asked: ListQuery, form: ClearForm, cleared: int | None = None) -> View:
    def read(unit: SystemUnit) -> tuple[list[BlockedCounter], str | None]:
        return throttle.LISTING.read(unit, _SIZE, asked.after, "ALLOWED_DESC", Filters(now=ctx.now))

    found, goes_on = await ctx.services.store.read(read)
    return View(
        ThrottlesView(
            rows=tuple(found),
            cleared=cleared,
            form=form,
            first=THROTTLES_PATH if asked.after else "",
            next=address(THROTTLES_PATH, after=goes_on) if goes_on else "",
            is_on=ctx.services.throttle.is_on,
        )
    )


async def _clear(ctx: RequestContext, call: PageCall[ClearForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "all":
        cleared = await ctx.services.store.write(lambda unit: clear_throttles.clear_all(unit, ctx))
    else:
        named = {name: value for name in _NAMES if (value := getattr(form, name).strip())}
        clear_throttles.check(named)
        cleared = await ctx.services.store.write(lambda unit: clear_throttles.clear(unit, ctx, named))
    return flash.after(ctx, THROTTLES_PATH, str(cleared))


ROUTES = (
    admin_page(
        "GET", HEALTH_PATH, _show_health, "installation/health.html", "What is wrong with this server, and what to do"
    ),
    admin_page("GET", BACKUPS_PATH, _show_backups, "installation/backups.html", "The last backup, and how one is made"),
    admin_page("GET", THROTTLES_PATH, _show_throttles, _TEMPLATE, "Who has to wait after too many attempts"),
    admin_page("POST", THROTTLES_PATH, _clear, _TEMPLATE, "Let them try again", again=_again),
)
