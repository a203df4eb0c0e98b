"""``/console``: status and recent activity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

_READ, _LISTED = 100, 6
SMALL = 10  # clients with this many accounts or fewer have the invitation form on their overview
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
            is_small=used.users < SMALL,
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
                _("Another client also claims %(domain)s", domain=claim.domain),
                _("Keep your DNS record in place. If the domain is yours, contact the operator of this server."),
                "/console/domains",
            )
        elif claim.state == FAILING:
            yield Attention(
                True,
                _("The DNS record of %(domain)s is missing", domain=claim.domain),
                _("Restore it before the verification expires."),
                "/console/domains",
                until=claim.lapses_at or 0,
            )
        elif claim.state == LAPSED:
            yield Attention(
                True,
                _("%(domain)s is no longer verified", domain=claim.domain),
                _("Providers no longer link existing accounts with its addresses. Verify the domain again."),
                "/console/domains",
            )
    yield from _providers(standing, known)
    yield from _to_do(standing)


def _licence(standing: ClientStanding) -> Iterator[Attention]:
    if standing.licence_warning:
        advice = _("Contact the operator of this server to renew it.")
        yield Attention(standing.is_licence_over, standing.licence_warning, advice)
    free = standing.licence.free
    if free is not None and not any(msgspec.structs.astuple(free)):
        yield Attention(False, _("All license seats are in use"), _("New users can't sign in until a seat is free."))


def _providers(standing: ClientStanding, known: dict[int, RecentActivity]) -> Iterator[Attention]:
    for one in standing.providers:
        if not one.opens:
            yield Attention(
                True,
                _("The secrets of %(provider)s can't be decrypted", provider=one.title),
                _("Nobody can sign in with it. Enter the secrets again, or contact the operator of this server."),
                "/console/providers",
            )
        elif not one.is_on:
            yield Attention(
                False,
                _("%(provider)s is turned off", provider=one.title),
                _("Nobody can sign in with it."),
                "/console/providers",
            )
        elif known.get(one.id, RecentActivity()).lets_no_one_in:
            yield Attention(
                True,
                _("Sign-ins with %(provider)s fail", provider=one.title),
                _("The last sign-in failed at the provider. Test the connection."),
                path_of(one.name),
            )
        elif one.check is not None and one.check.level != "ok":
            is_bad = one.check.level == "bad"
            title = (
                _("%(provider)s has a problem", provider=one.title)
                if is_bad
                else _("%(provider)s couldn't be checked", provider=one.title)
            )
            yield Attention(is_bad, title, one.check.problem, path_of(one.name), _("Test connection"))
        elif not one.reaches_admins:
            yield Attention(
                False,
                _("Admins can't sign in with %(provider)s", provider=one.title),
                _("A User Admin changed it. An Admin must review and save it."),
                "/console/providers",
            )


def _to_do(standing: ClientStanding) -> Iterator[Attention]:
    if standing.unconfirmed:
        yield Attention(
            False,
            _("Addresses need an Admin's confirmation"),
            _("A User Admin added them. They don't work for Admins until an Admin confirms them."),
            "/console/rules?page=apps",
        )
    waiting = [claim.domain for claim in standing.claims if claim.state == PENDING and not claim.contested]
    if waiting:
        yield Attention(
            False,
            _("Not verified: %(names)s", names=_first(waiting)),
            _("Add the TXT record to your DNS, and then verify the domain."),
            "/console/domains",
            _("Verify domain"),
        )
    if found := standing.waiting_directories:
        yield Attention(
            False,
            _("Microsoft directory not verified: %(names)s", names=_first(found)),
            _("An administrator of the directory must sign in once."),
            "/console/domains",
            _("Verify directory"),
        )
    if standing.admins < 2:
        yield Attention(
            False,
            _("You have only one Admin"),
            _("If they lose access, nobody can manage Admin accounts. Add a second Admin."),
            "/console/users",
        )
    if standing.only_password:
        yield Attention(
            False,
            _("Admins can sign in with only a password"),
            _("Require a second factor, so that a stolen password isn't enough."),
            "/console/rules?page=factors&suggest=admins",
            _("Require second factor"),
        )
    if not standing.sends_mail:
        yield Attention(
            False,
            _("This server doesn't send email"),
            _("Invitations and password links are shown once. Send them to users yourself."),
        )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _figures(standing: ClientStanding, used: Usage) -> Iterator[tuple[int, str, str]]:
    yield used.users, several("active account", "active accounts", used.users), "/console/users?state=active"
    yield used.active_users, _("signed in within 30 days"), "/console/usage"
    yield used.open_sessions, several("open session", "open sessions", used.open_sessions), "/console/usage"
    free = standing.licence.free
    if free is not None:
        yield free.full, several("full seat free", "full seats free", free.full), "/console/usage"


_WORDS = {
    "full": (_("Full"), _("Admin, User Admin, Author, Approver, Publisher")),
    "operate": ("Operate", _("Operator")),
    "connect": ("Connect", _("Viewer")),
}


async def _show_usage(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    usage = await client_standing.of_client(ctx)

    def work(unit: TenantUnit) -> SimpleNamespace:
        figures = daily_figures.read(unit, ctx.now)
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
            _("Sign-ins"),
            days,
            [
                Series(_("succeeded"), "good", figures.results["signed_in"]),
                Series(_("failed"), "bad", figures.results["failed"]),
                Series(_("blocked by a rate limit"), "note", figures.results["throttled"]),
            ],
        ),
        charts.by_name(
            "failures",
            _("Failed sign-ins by reason"),
            [_reason(one, titles) for one in failures],
            [Series(_("failed sign-ins"), "bad", [one.number for one in failures])],
            note=_("The ten most frequent reasons in the last 30 days."),
            first=_("Reason"),
        )._replace(is_english=True),
        charts.by_name(
            "factors",
            _("Second factors"),
            [_("Passkey"), _("Authenticator app"), _("None")] if state else [],
            [Series(_("users"), "accent", [*with_factor, max(0, state["users"] - sum(with_factor))] if state else [])],
            first=_("Second factor"),
        ),
        charts.over_time(
            "active",
            _("Active users per week"),
            [charts.day_name(day) for day, _ in figures.active_weeks],
            [Series(_("users"), "accent", [number for _, number in figures.active_weeks])],
            note=_("Users who were active in the seven days before that day."),
            first=_("Week ending on"),
        ),
        charts.by_name(
            "seat-chart",
            _("Seats by type"),
            [name for name, _ in _WORDS.values()],
            [
                Series(_("used by you"), "accent", [getattr(usage.seats, kind) for kind in _WORDS]),
                *([Series(_("free"), "quiet", [getattr(usage.free, kind) for kind in _WORDS])] if usage.free else []),
            ],
            first=_("Type"),
        ),
    )


def _reason(failure: Failure, titles: dict[int, str]) -> str:
    """Returns the failed sign-in for the reader, with its provider, or the sign-in method if there was none."""
    if failure.provider:
        provider = titles.get(failure.provider) or _("A deleted provider")
        if failure.reason:
            return f"{provider}: {failure.reason}"
        return _("%(provider)s: %(reason)s", provider=provider, reason=_("other reasons"))
    return (
        failure.reason
        or _METHODS.get(failure.method)
        or _("Sign-in method: %(name)s", name=failure.method or _("unknown"))
    )


_METHODS = {
    "password": _("Incorrect email or password"),
    "passkey": _("Passkey not accepted"),
    "link": _("One-time link not accepted"),
    "badge": _("Badge or PIN not accepted"),
    "code": _("One-time code not accepted"),
}


ROUTES = (
    settings_page(
        "GET", frame.OVERVIEW, _show_overview, "console/overview.html", "Status and recent activity of a client"
    ),
    settings_page("GET", "/console/usage", _show_usage, "console/usage.html", "Seats, users, and sessions of a client"),
)
