"""``/account``: who is signed in here, what needs attention, and what happened since the last sign-in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from manifest_auth import providers, sessions, tenants
from manifest_auth.accounts import apps, email_changes, users
from manifest_auth.accounts.factors import Kind, one_time_codes
from manifest_auth.audit import Event, about
from manifest_auth.clients import audit_views
from manifest_auth.clients.audit_views import Happened, SinceLastHere
from manifest_auth.context import ANONYMOUS
from manifest_auth.http import Answer
from manifest_auth.pages import brands, languages
from manifest_auth.pages.account import frame
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import account_page
from manifest_auth.permissions import Role, roles_of
from manifest_auth.services import RequestContext
from manifest_auth.sessions import ListedSession
from manifest_auth.sign_in import completion, session_lifecycle
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_web
from manifest_auth.sign_in.second_factor import enrollment as own_factors
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.store import TenantUnit


class EventView(msgspec.Struct, frozen=True):
    """An event as the page shows it. ``at``: the last of ``times`` similar events in a row; ``text``, ``method``:
    messages of the catalog; ``is_bad``: it might be someone else; ``by_others``: done by a user manager; ``by``: the
    manager's address, if they are a user of the client; ``email``: the address that the event is about; ``roles``:
    messages for the user's new roles; ``reason``: the manager's reason; ``codes_left``: how many recovery codes are
    left after one was used."""

    at: int
    text: str
    is_bad: bool
    by_others: bool
    by: str
    address: str
    method: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()
    times: int = 1
    reason: str = ""
    codes_left: int | None = None


OWN_MS = 10 * 60_000
_TYPED = (Event.SIGN_IN_FAILED.value, Event.SECOND_FACTOR_FAILED.value, Event.PASSWORD_CHECK_FAILED.value)


def _is_own_slip(one: Happened, session: ListedSession | None) -> bool:
    """Whether the user mistyped something in this browser, while the session was open or in the ten minutes before."""
    if session is None or one.event not in _TYPED or one.address != session.address:
        return False
    return 0 <= session.created_at - one.at < OWN_MS or one.actor == f"user:{session.user_id}"


def _event(
    one: Happened, own: str, managers: Mapping[str, str], codes_left: int, session: ListedSession | None
) -> EventView:
    """Returns the view of an event. ``own``: the user's name as an actor in the trail; ``managers``: addresses of other
    users by such names; ``codes_left``: remaining recovery codes."""
    event = about(one.event)
    after = one.detail.get("after")
    roles = one.detail.get("after") if isinstance(after, list) else ()
    known = {role.value: frame.ROLES[role].name for role in Role}
    return EventView(
        at=one.at,
        text=event.account,
        is_bad=event.is_alarm and not _is_own_slip(one, session),
        by_others=one.actor not in (own, ANONYMOUS.actor),
        by=managers.get(one.actor, ""),
        address=one.address,
        method=frame.method(str(one.detail["method"])) if "method" in one.detail else "",
        email=str(after["email"]) if isinstance(after, dict) and after.get("email") else "",
        roles=tuple(known.get(str(role), str(role)) for role in roles or ()),
        reason=str(one.detail.get("reason", "")) if one.event == Event.SECOND_FACTOR_RESET.value else "",
        codes_left=codes_left if one.event == Event.RECOVERY_CODE_USED.value else None,
    )


def _together(events: Iterable[EventView]) -> tuple[EventView, ...]:
    """Merges consecutive events with the same text."""
    found: list[EventView] = []
    for event in events:
        last = found[-1] if found else None
        if last is not None and replace(event, at=last.at, times=last.times) == last:
            found[-1] = replace(last, times=last.times + 1)
        else:
            found.append(event)
    return tuple(found)


async def _home(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    since = await audit_views.look(ctx)
    return await brands.shown(ctx, lambda unit: _view(unit, ctx, since))


def _managers(unit: TenantUnit, events: Iterable[Happened], own: int) -> dict[str, str]:
    """Returns the addresses of the other users who did something, by their names in the trail."""
    named = {one.actor.partition(":") for one in events}
    ids = sorted({int(number) for kind, _, number in named if kind == "user" and number.isdigit()} - {own})
    return {f"user:{user.id}": user.email for user in users.get_many(unit, ids)} if ids else {}


def _view(unit: TenantUnit, ctx: RequestContext, since: SinceLastHere) -> SimpleNamespace:
    user, me = users.get(unit, ctx.user.user_id), ctx.user
    before = (since.since, Event.SIGNED_IN.value)  # the previous sign-in itself isn't news
    managers, left = _managers(unit, since.events, me.user_id), one_time_codes.codes_left(unit, user.id)
    session = sessions.find_listed(unit, me.session_id)
    news = (one for one in since.events if (one.at, one.event) != before)
    events = _together(_event(one, me.actor, managers, left, session) for one in news)
    return SimpleNamespace(
        name=user.full_name,
        email=user.email,
        title=user.title,
        client=brands.of_user(me).name,
        roles=tuple(frame.ROLES[role] for role in roles_of(user.roles)),
        since=since.since or 0,
        is_all=since.is_all,
        events=events,
        failed=sum(event.times for event in events if event.is_bad),
        pending=email_changes.pending_addresses(unit, [user.id], ctx.now).get(user.id, ""),
        password_is_due=completion.password_is_due(user, me.tenant_settings, ctx.now),
        has_password=user.password_hash is not None,
        password_changed_at=user.password_changed_at or 0,
        sessions=len(sessions.list_open(unit, user.id, ctx.now, session_lifecycle.LIST_LIMIT)),
        identities=len(providers.list_identities(unit, user.id)),
        has_app=bool(user.factors & Kind.TOTP),
        has_passkey=bool(user.factors & Kind.PASSKEY),
        methods=gate.methods_of(ctx, tenants.settings_of(me.tenant_settings)),
        factor_due_at=own_factors.due_at(tenants.settings_of(me.tenant_settings), user) or 0,
        apps=_apps(unit, tenants.return_addresses_for(tenants.settings_of(me.tenant_settings), user.roles), user.roles),
        language=next((name for tag, name in languages.LANGUAGES.items() if tag == user.language), ""),
    )


def _apps(unit: TenantUnit, listed: Iterable[str], roles: int) -> dict[str, str]:
    """Returns the websites to which sign-ins of a user with these ``roles`` return: addresses by the names of apps, or
    by their hosts."""
    named = dict.fromkeys(listed, "")
    for app in apps.list_apps(unit):
        if app.kind in ("web", "browser") and (not app.roles or app.roles & roles):
            named[app.redirect_uris.partition(" ")[0]] = app.name
    sites = {urlsplit(one)[:2]: name for one, name in named.items() if is_web(one)}
    return {name or host: f"{scheme}://{host}/" for (scheme, host), name in sites.items()}


ROUTES = (account_page("GET", ACCOUNT, _home, "account/home.html", "Account overview and recent activity"),)
