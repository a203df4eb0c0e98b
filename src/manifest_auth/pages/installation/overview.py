"""``/installation``, ``…/health``, ``…/backups`` and ``…/throttles``: status and recent activity."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from manifest_auth import audit, licence
from manifest_auth.audit import INSTALLATION, EventFilter, FoundEvent
from manifest_auth.errors import Overloaded
from manifest_auth.http import Answer
from manifest_auth.licence import State
from manifest_auth.maintenance import clear_throttles, installation_state, last_backup
from manifest_auth.maintenance.installation_state import InstallationStanding
from manifest_auth.maintenance.last_backup import DAY_MS, OLD_MS
from manifest_auth.pages import flash
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import Attention, ListQuery, address
from manifest_auth.pages.console.overview import COMING_AND_GOING
from manifest_auth.pages.installation.audit import event_views
from manifest_auth.pages.installation.settings import LICENCE_STATES
from manifest_auth.pages.routing import ADMIN_ACCOUNT, ADMIN_OVERVIEW, admin_page
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import joined, several
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import ThrottleData

if TYPE_CHECKING:
    from manifest_auth.maintenance.doctor import Finding


_READ, _LISTED = 200, 7
_DONE = {"set-up": _("You're the first system admin. Complete the setup below.")}


class Task(NamedTuple):
    """A line of the checklist of a new installation. ``is_optional``: the list ends without it."""

    title: str
    advice: str
    href: str
    is_done: bool
    is_optional: bool = False


async def _show_overview(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    standing = await installation_state.read_standing(ctx)
    found, _ = await audit.page_across(ctx.services.store, EventFilter(), _READ)
    concerns, tasks = list(_concerns(ctx, standing)), _tasks(ctx, standing)
    if all(one.is_done or one.is_optional for one in tasks):
        concerns += [Attention(False, one.title, one.advice, one.href) for one in tasks if not one.is_done]
        tasks = ()

    def work(unit: SystemUnit) -> SimpleNamespace:
        return SimpleNamespace(
            bad=tuple(one for one in concerns if one.is_bad),
            notes=tuple(one for one in concerns if not one.is_bad),
            tasks=tasks,
            done=sum(one.is_done for one in tasks),
            figures=tuple(_figures(standing)),
            licence=_licence_in_words(standing),
            backup_at=standing.backup_at or 0,
            changes=event_views(unit, [one for one in found if not _is_a_sign_in(one)][:_LISTED]),
            sign_ins=event_views(
                unit, [one for one in found if _is_a_sign_in(one) and one.chain == INSTALLATION][:_LISTED]
            ),
        )

    return View(await ctx.services.store.read(work))


def _is_a_sign_in(one: FoundEvent) -> bool:
    return one.link.event in COMING_AND_GOING


def _concerns(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    yield from _licence(ctx, standing)
    if ctx.services.jobs_failed_at:
        yield Attention(
            True,
            _("Background jobs of this server fail"),
            _("Expired data isn't deleted, and keys aren't refreshed. See the server's log for the reason."),
        )
    if standing.mails_waiting:
        yield Attention(
            True,
            _("The mail server doesn't accept emails"),
            several(
                "%(number)d email is waiting to be sent. Check the mail server.",
                "%(number)d emails are waiting to be sent. Check the mail server.",
                standing.mails_waiting,
            ),
            f"{ADMIN_OVERVIEW}/health",
        )
    for finding in standing.findings:
        yield Attention(finding.level == "bad", finding.area, finding.advice, f"{ADMIN_OVERVIEW}/health")
    yield from _backup(ctx, standing)
    yield from _to_do(standing)


def _licence(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    status, where = standing.licence.status, f"{ADMIN_OVERVIEW}/licence"
    if status.state is State.MISSING:
        yield Attention(
            True,
            _("No license is installed"),
            _("Users can't sign in until you install one."),
            where,
            _("Install license key"),
        )
    elif status.state is State.EXPIRED:
        yield Attention(
            True,
            _("The license has expired"),
            _("Users can't sign in until you renew it."),
            where,
            _("Install license key"),
        )
    elif warned := licence.warning(status, ctx.now):
        yield Attention(False, warned, _("Ask the vendor for a new license key."), where)
    if status.is_set_back:
        yield Attention(True, _("The server's clock was set back"), _("Correct the clock, preferably with NTP."), where)


def _backup(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    where = f"{ADMIN_OVERVIEW}/backups"
    if standing.backup_at is not None and ctx.now - standing.backup_at > OLD_MS:
        yield Attention(
            False, _("The last backup is more than two days old"), _("Find out why no newer backup exists."), where
        )


def _to_do(standing: InstallationStanding) -> Iterator[Attention]:
    counted = standing.counts
    if counted.clients_to_delete:
        yield Attention(
            False,
            several(
                "%(number)d client is marked for deletion",
                "%(number)d clients are marked for deletion",
                counted.clients_to_delete,
            ),
            _("Until then, you can cancel the deletion."),
            f"{ADMIN_OVERVIEW}/clients?state=deleted",
        )


def _tasks(ctx: RequestContext, standing: InstallationStanding) -> tuple[Task, ...]:
    """Returns the checklist of a new installation, based on what the server knows."""
    counted, state, to = standing.counts, standing.licence.status.state, ADMIN_OVERVIEW
    key = Task(
        _("Install a license"), _("Without one, no user can sign in."), f"{to}/licence", state is not State.MISSING
    )
    mail = _("Set MANIFEST_SMTP_URL and restart. Until then, you send invitations and password links yourself.")
    return (
        Task(
            _("Add a second factor to your account"),
            _("With one, a stolen password isn't enough to control this server."),
            ADMIN_ACCOUNT,
            standing.has_factor,
            is_optional=True,
        ),
        Task(
            _("Add a second system admin"),
            _("They can restore your access."),
            f"{to}/admins",
            counted.system_admins > 1,
        ),
        Task(_("Connect a mail server"), mail, "", ctx.services.mail.is_set_up, is_optional=True),
        Task(
            _("Back up the database"),
            _("Run a command on the server to create a backup."),
            BACKUPS_PATH,
            standing.backup_at is not None,
        ),
        *((key,) if state is not State.NOT_NEEDED else ()),
        Task(_("Create your first client"), _("Users belong to a client."), f"{to}/clients", counted.clients > 0),
    )


def _figures(standing: InstallationStanding) -> Iterator[tuple[int, str, str]]:
    counted = standing.counts
    working = counted.clients - counted.suspended_clients
    yield working, several("active client", "active clients", working), f"{ADMIN_OVERVIEW}/clients"
    yield counted.active_users, several("active user", "active users", counted.active_users), ""
    yield counted.open_sessions, several("open session", "open sessions", counted.open_sessions), ""


def _licence_in_words(standing: InstallationStanding) -> str:
    status = standing.licence.status
    if status.licence is None:
        return _("Not required") if status.state is State.NOT_NEEDED else _("None installed")
    return joined([status.licence.customer, LICENCE_STATES[status.state][0]])


HEALTH_PATH = f"{ADMIN_OVERVIEW}/health"
_SEALED_S = 5.0  # a person waits for it; the command line allows more time
_looking: set[int] = set()  # the check of this process that is in progress


async def _show_health(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    if _looking:
        raise Overloaded(retry_after=5, reason="another check is in progress")
    _looking.add(1)
    try:
        lines = await _findings(ctx)
    finally:
        _looking.clear()
    bad, notes, well = (tuple(one for one in lines if one.level == level) for level in ("bad", "note", "ok"))
    return View(SimpleNamespace(to_read=(*bad, *notes), well=well, bad=len(bad), notes=len(notes)))


async def _findings(ctx: RequestContext) -> list[Finding]:
    await asyncio.to_thread(import_module, "manifest_auth.maintenance.doctor")
    from manifest_auth.maintenance.doctor import examine

    return [one async for one in examine(ctx.services.settings, sealed_s=_SEALED_S)]


# There is no download of backups: a stolen session must not reveal password hashes.


BACKUPS_PATH = f"{ADMIN_OVERVIEW}/backups"


async def _show_backups(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    at = await last_backup.read_time(ctx.services.store)
    age = 0 if at is None else max(0, ctx.now - at)
    return View(
        SimpleNamespace(
            at=at or 0, is_old=age > OLD_MS, days=age // DAY_MS, on_postgres=ctx.services.settings.on_postgres
        )
    )


THROTTLES_PATH = f"{ADMIN_OVERVIEW}/throttles"
_SIZE = 50
_TEMPLATE = "installation/throttles.html"
_NAMES = ("client", "email", "username", "address")
Text = fields.TypedEmail


class ClearForm(msgspec.Struct, frozen=True):
    """The form of the page. ``act``: ``all``, or what the other fields name."""

    act: Text = ""
    client: Text = ""
    email: Text = ""
    username: Text = ""
    address: Text = ""


async def _show_throttles(ctx: RequestContext, call: PageCall[ListQuery]) -> View | Answer[None]:
    cleared = flash.word(ctx, call)
    return await _view(ctx, call.fields, ClearForm(), int(cleared) if cleared.isascii() and cleared.isdigit() else None)


async def _again(ctx: RequestContext, call: PageCall[ClearForm]) -> View | Answer[None]:
    return await _view(ctx, ListQuery(), call.fields)


async def _view(ctx: RequestContext, asked: ListQuery, form: ClearForm, cleared: int | None = None) -> View:
    def read(unit: SystemUnit) -> tuple[list[ThrottleData], str | None]:
        return throttle.LISTING.read(unit, _SIZE, asked.after, "ALLOWED_DESC", Filters(now=ctx.now))

    found, goes_on = await ctx.services.store.read(read)
    return View(
        SimpleNamespace(
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
        "GET",
        ADMIN_OVERVIEW,
        _show_overview,
        "installation/overview.html",
        "Status and recent activity of the installation",
        said=_DONE,
    ),
    admin_page(
        "GET", HEALTH_PATH, _show_health, "installation/health.html", "Problems of the server, and how to fix them"
    ),
    admin_page(
        "GET", BACKUPS_PATH, _show_backups, "installation/backups.html", "The last backup, and how to create one"
    ),
    admin_page("GET", THROTTLES_PATH, _show_throttles, _TEMPLATE, "Active rate limits"),
    admin_page("POST", THROTTLES_PATH, _clear, _TEMPLATE, "Clear rate limits", again=_again),
)
