"""``/installation``: is everything well, and who did what."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from manifest_auth import audit, licence
from manifest_auth.audit import INSTALLATION, EventFilter, FoundEvent
from manifest_auth.http import Answer
from manifest_auth.licence import State
from manifest_auth.maintenance import installation_state
from manifest_auth.maintenance.installation_state import InstallationStanding
from manifest_auth.maintenance.last_backup import OLD_MS
from manifest_auth.pages import flash
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import Attention
from manifest_auth.pages.console.overview import COMING_AND_GOING
from manifest_auth.pages.installation import frame
from manifest_auth.pages.installation.audit import AuditEventView, event_views
from manifest_auth.pages.routing import ADMIN_ACCOUNT, admin_page
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit

_READ, _LISTED = 200, 7
_DONE = {"set-up": "You are the first system admin. Add a second factor next, then make your first client."}


class OverviewView(msgspec.Struct, frozen=True):
    """``figures``: number, what it counts, and where that is listed. ``backup_at``: milliseconds, 0 for never."""

    done: str
    bad: tuple[Attention, ...]
    notes: tuple[Attention, ...]
    figures: tuple[tuple[int, str, str], ...]
    licence: str
    backup_at: int
    changes: tuple[AuditEventView, ...]
    sign_ins: tuple[AuditEventView, ...]


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done, standing = flash.sentence(ctx, call, _DONE), await installation_state.read_standing(ctx)
    found, _ = await audit.page_across(ctx.services.store, EventFilter(), _READ)
    concerns = tuple(_concerns(ctx, standing))

    def work(unit: SystemUnit) -> OverviewView:
        return OverviewView(
            done=done,
            bad=tuple(one for one in concerns if one.is_bad),
            notes=tuple(one for one in concerns if not one.is_bad),
            figures=tuple(_figures(standing)),
            licence=_licence_in_words(standing),
            backup_at=standing.backup_at or 0,
            changes=event_views(unit, [one for one in found if not _is_a_sign_in(one)][:_LISTED]),
            sign_ins=event_views(unit, [one for one in found if _is_a_sign_in(one) and _is_ours(one)][:_LISTED]),
        )

    return View(await ctx.services.store.read(work))


def _is_a_sign_in(one: FoundEvent) -> bool:
    return one.link.event in COMING_AND_GOING


def _is_ours(one: FoundEvent) -> bool:
    return one.chain == INSTALLATION


def _concerns(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    yield from _licence(ctx, standing)
    if ctx.services.jobs_failed_at:
        yield Attention(
            True,
            "Background work of this server fails",
            "Expired rows are not deleted, and keys not refreshed. The server's log says why.",
        )
    if standing.mails_waiting:
        yield Attention(
            True,
            "The mail server does not accept e-mails",
            f"{standing.mails_waiting} wait to be sent again. Check the mail server.",
            f"{frame.OVERVIEW}/health",
        )
    for finding in standing.findings:
        yield Attention(
            finding.level == "bad",
            finding.area,
            finding.advice,
            f"{frame.OVERVIEW}/health",
        )
    yield from _backup(ctx, standing)
    yield from _to_do(ctx, standing)


def _licence(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    status, where = standing.licence.status, f"{frame.OVERVIEW}/licence"
    if status.state is State.MISSING:
        yield Attention(
            True, "No licence is installed", "No user can sign in before there is one.", where, "Install one"
        )
    elif status.state is State.EXPIRED:
        yield Attention(True, "The licence has ended", "No user can sign in before it is renewed.", where, "Renew it")
    elif warned := licence.warning(status, ctx.now):
        yield Attention(False, warned[:1].upper() + warned[1:], "Ask the vendor for a new key.", where)
    if status.is_set_back:
        yield Attention(True, "The clock is behind the newest time that was seen here", "Set it, better by NTP.", where)


def _backup(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    where = f"{frame.OVERVIEW}/backups"
    if standing.backup_at is None:
        yield Attention(False, "No backup was ever noted", "A command makes one while the server runs.", where)
    elif ctx.now - standing.backup_at > OLD_MS:
        yield Attention(False, "The last backup is more than two days old", "Look why no newer one was made.", where)


def _to_do(ctx: RequestContext, standing: InstallationStanding) -> Iterator[Attention]:
    counted = standing.counts
    if not standing.has_factor:
        yield Attention(
            False,
            "You have no second factor",
            "With your password alone anyone could run this installation.",
            ADMIN_ACCOUNT,
            "Add one",
        )
    if counted.system_admins < 2:
        yield Attention(
            False,
            "You are the only system admin",
            "If you lose your password, the command line is the only way back.",
            f"{frame.OVERVIEW}/admins",
            "Add one",
        )
    if not counted.clients:
        yield Attention(
            False,
            "There is no client yet",
            "Users belong to clients: make the first one.",
            f"{frame.OVERVIEW}/clients",
            "Make one",
        )
    if counted.clients_to_delete:
        many = counted.clients_to_delete != 1
        yield Attention(
            False,
            f"{counted.clients_to_delete} clients wait for deletion" if many else "A client waits for deletion",
            "Until then it can be taken back.",
            f"{frame.OVERVIEW}/clients?state=deleted",
        )
    if not ctx.services.mail.is_set_up:
        yield Attention(
            False,
            "This server sends no e-mails",
            "Invitations and links for a new password are shown once, and passed on by hand.",
        )


def _figures(standing: InstallationStanding) -> Iterator[tuple[int, str, str]]:
    counted = standing.counts
    working = counted.clients - counted.suspended_clients
    yield working, "active client" if working == 1 else "active clients", f"{frame.OVERVIEW}/clients"
    yield counted.active_users, "active user" if counted.active_users == 1 else "active users", ""
    yield counted.open_sessions, "open session" if counted.open_sessions == 1 else "open sessions", ""


def _licence_in_words(standing: InstallationStanding) -> str:
    status = standing.licence.status
    if status.licence is None:
        return {State.NOT_NEEDED: "Not needed here"}.get(status.state, "None installed")
    return f"{status.licence.customer}, {status.state.value}"


ROUTES = (
    admin_page(
        "GET", frame.OVERVIEW, _show, "installation/overview.html", "Whether everything is well, and who did what"
    ),
)
