"""``/console``: is everything well, and who did what."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import msgspec

from manifest_auth import audit, providers
from manifest_auth.audit import Event, EventFilter
from manifest_auth.clients import client_settings, client_standing, daily_figures
from manifest_auth.clients.client_standing import ClientStanding, Usage
from manifest_auth.clients.daily_figures import Failure, Figures
from manifest_auth.clients.providers.diagnosis import RecentActivity, recent_activity
from manifest_auth.http import Answer
from manifest_auth.pages import brands, charts
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.charts import Chart, Series
from manifest_auth.pages.console import frame
from manifest_auth.pages.console.audit import event_views
from manifest_auth.pages.console.frame import Attention
from manifest_auth.pages.console.provider_views import path_of
from manifest_auth.pages.routing import settings_page
from manifest_auth.permissions import Permission, permissions_of
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants.claims.domains import FAILING, LAPSED, PENDING

_READ, _LISTED = 100, 6
#: Events of sign-ins and sessions; all others are changes.
COMING_AND_GOING = {
    event.value
    for event in (
        Event.SIGNED_IN,
        Event.SIGNED_OUT,
        Event.SIGNED_OUT_ALL,
        Event.SIGN_IN_FAILED,
        Event.SIGN_IN_REFUSED,
        Event.THROTTLED,
        Event.PASSWORD_REHASHED,
        Event.EVENTS_LEFT_OUT,
        Event.SESSION_ENDED,
    )
}


async def _show_overview(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    standing, used = await client_standing.read(ctx), await client_standing.of_client(ctx)
    checked = [one.check for one in standing.providers if one.is_on]
    known = await recent_activity(ctx) if standing.providers else {}
    sees_trail = Permission.AUDIT_READ in permissions_of(ctx.user.roles)
    found = (await audit.page(ctx.store, EventFilter(), _READ))[0] if sees_trail else []
    concerns = sorted(_concerns(standing, known), key=lambda one: not one.is_bad)

    def work(unit: TenantUnit) -> SimpleNamespace:
        came = [one for one in found if one.link.event in COMING_AND_GOING][:_LISTED]
        changed = [one for one in found if one.link.event not in COMING_AND_GOING][:_LISTED]
        return SimpleNamespace(
            client=ctx.user.client_name,
            bad=tuple(one for one in concerns if one.is_bad),
            notes=tuple(one for one in concerns if not one.is_bad),
            figures=tuple(_figures(standing, used)),
            counted_at=used.counted_at,
            has_providers=bool(checked),
            providers_checked_at=min((one.checked_at if one else 0 for one in checked), default=0),
            sign_in_url=client_settings.sign_in_url(ctx.services.settings, ctx.user.client),
            changes=event_views(unit, changed) if sees_trail else None,
            sign_ins=event_views(unit, came) if sees_trail else None,
        )

    return await brands.shown(ctx, work)


def _concerns(standing: ClientStanding, known: dict[int, RecentActivity]) -> Iterator[Attention]:
    yield from _licence(standing)
    for claim in standing.claims:
        if claim.contested:
            yield Attention(
                True,
                f"Another client claims {claim.domain} too",
                "Leave your record in the DNS where it is. If the domain is yours, ask the people who run this server.",
                "/console/domains",
            )
        elif claim.state == FAILING:
            yield Attention(
                True,
                f"The record of {claim.domain} is missing",
                "Put it back into the DNS before the domain lapses.",
                "/console/domains",
                until=claim.lapses_at or 0,
            )
        elif claim.state == LAPSED:
            yield Attention(
                True,
                f"{claim.domain} lapsed",
                "People who are new are not linked by their address any more.",
                "/console/domains",
            )
    yield from _providers(standing, known)
    yield from _to_do(standing)


def _licence(standing: ClientStanding) -> Iterator[Attention]:
    if standing.licence_warning:
        said = standing.licence_warning[:1].upper() + standing.licence_warning[1:]
        yield Attention(standing.is_licence_over, said, "Ask the people who run this server to renew it.")
    free = standing.licence.free
    if free is not None and not any(msgspec.structs.astuple(free)):
        yield Attention(False, "All seats of the licence are taken", "No one new is let in until one is free.")


def _providers(standing: ClientStanding, known: dict[int, RecentActivity]) -> Iterator[Attention]:
    for one in standing.providers:
        if not one.opens:
            yield Attention(
                True,
                f"The secrets of {one.title} cannot be opened",
                "No one signs in there. Ask the people who run this server, or enter the secrets again.",
                "/console/providers",
            )
        elif not one.is_on:
            yield Attention(False, f"{one.title} is switched off", "No one signs in there.", "/console/providers")
        elif known.get(one.id, RecentActivity()).lets_no_one_in:
            yield Attention(
                True,
                f"{one.title} fails people",
                "The last sign-in there failed at the provider. Test it.",
                path_of(one.name),
            )
        elif one.check is not None and one.check.level != "ok":
            is_bad = one.check.level == "bad"
            title = f"{one.title} has a problem" if is_bad else f"{one.title} could not be checked"
            yield Attention(is_bad, title, one.check.problem, path_of(one.name), "Test")
        elif not one.reaches_admins:
            yield Attention(
                False,
                f"{one.title} opens no Admin's account",
                "A User Admin changed it last. An Admin looks at it and saves it.",
                "/console/providers",
            )


def _to_do(standing: ClientStanding) -> Iterator[Attention]:
    if standing.unconfirmed:
        yield Attention(
            False,
            "Addresses wait for an Admin",
            "A User Admin added them; they count for no Admin's session until an Admin confirms them.",
            "/console/rules?page=apps",
        )
    waiting = [claim.domain for claim in standing.claims if claim.state == PENDING and not claim.contested]
    if waiting:
        yield Attention(
            False,
            f"Not proved yet: {', '.join(waiting[:3])}{' and more' if len(waiting) > 3 else ''}",
            "Put the record into the DNS, then have it looked at.",
            "/console/domains",
        )
    if found := standing.waiting_directories:
        yield Attention(
            False,
            f"Microsoft directory not proved yet: {', '.join(found[:3])}{' and more' if len(found) > 3 else ''}",
            "An administrator of the directory signs in once.",
            "/console/domains",
        )
    if standing.admins < 2:
        yield Attention(
            False,
            "There is one Admin alone",
            "If that account cannot be used, no one here can change what protects Admins. Make a second one.",
            "/console/users",
        )
    if not standing.sends_mail:
        yield Attention(
            False,
            "This server sends no e-mails",
            "Invitations and links for a new password are shown to you once, and you pass them on.",
        )


def _figures(standing: ClientStanding, used: Usage) -> Iterator[tuple[str, str, str]]:
    yield str(used.users), "active account" if used.users == 1 else "active accounts", "/console/users?state=active"
    yield str(used.active_users), "signed in within 30 days", "/console/usage"
    yield str(used.open_sessions), "open session" if used.open_sessions == 1 else "open sessions", "/console/usage"
    free = standing.licence.free
    if free is not None:
        yield str(free.full), "full seat free" if free.full == 1 else "full seats free", "/console/usage"


_WORDS = {
    "full": ("Full", "Admin, User Admin, Author, Approver, Publisher"),
    "operate": ("Operate", "Operator"),
    "connect": ("Connect", "Viewer"),
}


async def _show_usage(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    usage, figures = await client_standing.of_client(ctx), await daily_figures.read(ctx)

    def work(unit: TenantUnit) -> SimpleNamespace:
        titles = {one.id: one.display_name or one.name for one in providers.list_all(unit)}
        return SimpleNamespace(
            usage=usage, kinds=_WORDS, charts=_charts(figures, titles, usage), taken_at=figures.taken_at
        )

    return await brands.shown(ctx, work)


def _charts(figures: Figures, titles: dict[int, str], usage: Usage) -> tuple[Chart, ...]:
    state, days = figures.state, [charts.day_name(day) for day in figures.days]
    with_factor = state.get("passkey", 0), state.get("app", 0)
    failures = figures.failures
    return (
        charts.over_time(
            "sign-ins",
            "Sign-ins",
            days,
            [
                Series("succeeded", "good", figures.results["signed_in"]),
                Series("failed", "bad", figures.results["failed"]),
                Series("blocked by a rate limit", "note", figures.results["throttled"]),
            ],
        ),
        charts.by_name(
            "failures",
            "Failed sign-ins by reason",
            [_reason(one, titles) for one in failures],
            [Series("failed sign-ins", "bad", [one.number for one in failures])],
            note="The ten most frequent reasons of the last 30 days.",
            first="Reason",
        ),
        charts.by_name(
            "factors",
            "Second factors",
            ["Passkey", "Authenticator app", "None"] if state else [],
            [Series("users", "accent", [*with_factor, max(0, state["users"] - sum(with_factor))] if state else [])],
            first="Second factor",
        ),
        charts.over_time(
            "active",
            "Active users a week",
            [charts.day_name(day) for day, _ in figures.active_weeks],
            [Series("users", "accent", [number for _, number in figures.active_weeks])],
            note="Users who used the product in the seven days before that day.",
            first="Week that ends on",
        ),
        charts.by_name(
            "seat-chart",
            "Seats by type",
            [name for name, _ in _WORDS.values()],
            [
                Series("used by you", "accent", [getattr(usage.seats, kind) for kind in _WORDS]),
                *([Series("free", "quiet", [getattr(usage.free, kind) for kind in _WORDS])] if usage.free else []),
            ],
            first="Type",
        ),
    )


def _reason(failure: Failure, titles: dict[int, str]) -> str:
    """The failed sign-in, for the reader: with its provider, or the sign-in method where there was none."""
    if failure.provider:
        return f"{titles.get(failure.provider, 'A deleted provider')}: {failure.reason or 'other reasons'}"
    return failure.reason or _METHODS.get(failure.method, f"Sign-in method {failure.method or 'unknown'}")


_METHODS = {
    "password": "Incorrect email or password",
    "passkey": "Passkey not accepted",
    "link": "One-time link not accepted",
    "badge": "Badge or PIN not accepted",
    "code": "One-time code not accepted",
}


ROUTES = (
    settings_page(
        "GET", frame.OVERVIEW, _show_overview, "console/overview.html", "Status and recent activity of a client"
    ),
    settings_page("GET", "/console/usage", _show_usage, "console/usage.html", "Seats, users, and sessions of a client"),
)
