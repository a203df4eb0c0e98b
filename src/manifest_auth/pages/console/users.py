"""``/console/users`` and ``/console/invite``: the list of users, the page of each, and invitations."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import msgspec

from manifest_auth import accounts, providers, sessions, tenants
from manifest_auth.accounts import Draft, NewLink, UserWithAccessLink, apps, email_changes, rank, users
from manifest_auth.accounts.factors import Kind
from manifest_auth.accounts.provisioning import managed
from manifest_auth.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Overloaded,
    RateLimited,
    Refusal,
    ValidationError,
    existing,
)
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, words
from manifest_auth.pages.call import Confirmation, PageCall, View, chosen, require
from manifest_auth.pages.console import frame
from manifest_auth.pages.console.frame import RolesForm, boxes
from manifest_auth.pages.routing import users_page
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.sessions import SessionOver
from manifest_auth.sign_in import identities
from manifest_auth.store import TenantUnit
from manifest_auth.text.fields import Details, Input, with_details
from manifest_auth.text.languages import catalogue, joined, shown
from manifest_auth.text.languages import marked as _

USER_PATH = "/console/users/{id}"
_SESSIONS = 20


_FACTORS = {Kind.TOTP: _("Authenticator app"), Kind.PASSKEY: _("Passkey")}


@with_details(users.DETAILS, Input.FORM)
class UserForm(RolesForm, frozen=True, rename="camel", kw_only=True):
    """The form of the page. ``act``: which form it is; ``session``, ``identity``: its ID; ``reason``: why factors are
    reset."""

    details: Details
    act: str = ""
    email: str = ""
    session: str = ""
    identity: str = ""
    reason: str = ""


@brands.shows
def _show(ctx: RequestContext, call: PageCall[UserForm | None], unit: TenantUnit) -> SimpleNamespace:
    typed, user = call.fields, users.get(unit, frame.number_in(call))
    by, why_not = rank.manager(unit, ctx), ""
    try:
        accounts.get_readable(unit, ctx, user.id)
    except Forbidden as refusal:
        why_not = refusal.message
    settings = tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)
    ticked = typed.roles if typed is not None and typed.act == "roles" else user.roles
    edited = typed if typed is not None and typed.act == "details" else None
    return SimpleNamespace(
        user=user,
        path=USER_PATH.format(id=user.id),
        name=user.full_name or user.email,
        details=edited.details if edited else {name: getattr(user, name) for name in users.DETAILS},
        entered_email=edited.email if edited else user.email,
        pending_email=email_changes.pending_addresses(unit, [user.id], ctx.now).get(user.id) or "",
        boxes=boxes(ticked, admin=by.is_admin),
        is_self=by.user_id == user.id,
        is_admin=bool(user.roles & Role.ADMIN.bit),
        by_admin=by.is_admin,
        factors=tuple(said for kind, said in _FACTORS.items() if user.factors & kind),
        may_lack_factor=not tenants.is_required(settings, user.roles),
        reason=typed.reason if typed is not None else "",
        uses_passwords=settings.password_sign_in,
        why_not=why_not,
        managed_by=managed.managed_by(unit, user.id),
        sessions=None if why_not else sessions.list_open(unit, user.id, ctx.now, _SESSIONS),
        identities=providers.list_identities(unit, user.id),
        apps=apps.app_names(unit),
        link=call.shown_as(str) or "",
    )


async def _confirm(ctx: RequestContext, call: PageCall[UserForm]) -> Confirmation | None:
    user_id, form, ask = frame.number_in(call), call.fields, _ASKS.get(call.fields.act)
    if ask is None:
        return None

    def work(unit: TenantUnit) -> Confirmation | None:
        user = accounts.get_readable(unit, ctx, user_id)
        if form.act == "roles":
            rank.check_grants(unit, ctx, user.roles, form.roles)
            if user.is_admin or not form.roles & Role.ADMIN.bit:
                return None
        if form.act == "restore" and not user.roles & Role.ADMIN.bit:
            return None
        ends = sessions.LISTING.total(unit, sessions.open_ones_of(user_id, ctx.now))
        effects = ask.effects if form.act == "release" else (words.ends_sessions(ends), *ask.effects)
        return ask._replace(name=user.full_name or user.email, effects=effects)

    if form.act == "reset-factors":
        require(reason=form.reason.strip())
    return await ctx.store.read(work)


async def _act(ctx: RequestContext, call: PageCall[UserForm]) -> View | Answer[None]:
    user_id, form = frame.number_in(call), call.fields
    act = chosen(_ACTS, form.act)
    made = await ctx.store.write(lambda unit: act.work(unit, ctx, user_id, form))
    if isinstance(made, UserWithAccessLink | NewLink) and made.link:
        return call.show_once(USER_PATH.format(id=user_id), made.link)
    return flash.after(ctx, USER_PATH.format(id=user_id), made if isinstance(made, str) else form.act)


def _change(unit: TenantUnit, ctx: RequestContext, user_id: int, form: UserForm) -> str:
    given = dict(form.details)
    if form.email.strip() != users.get(unit, user_id).email:
        given["email"] = form.email.strip()
    after = accounts.change(unit, ctx, user_id, given)
    return "email" if given.get("email", after.email) != after.email else "details"


def _release(unit: TenantUnit, ctx: RequestContext, user_id: int, _form: UserForm) -> None:
    managed.release(unit, ctx, existing(managed.managed_by(unit, user_id)), user_id)


def _end_session(unit: TenantUnit, ctx: RequestContext, user_id: int, form: UserForm) -> None:
    with contextlib.suppress(SessionOver):  # the button was pressed twice
        accounts.end_session(unit, ctx, user_id, form.session)


def _reset_factors(unit: TenantUnit, ctx: RequestContext, user_id: int, form: UserForm) -> None:
    reason = form.reason.strip()
    require(reason=reason)
    accounts.reset_factors(unit, ctx, user_id, reason)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound()
    return int(text)


class UserAct(NamedTuple):
    """A form of the page. ``done``: the sentence after it; ``work``: runs in one transaction, and returns a link that
    is shown once, the keyword of another sentence, or an ignored value."""

    done: str
    work: Callable[[TenantUnit, RequestContext, int, UserForm], object]


_ACTS = {
    "details": UserAct(_("Details saved."), _change),
    "roles": UserAct(
        _("Roles saved. They apply immediately."),
        lambda unit, ctx, user, form: accounts.set_roles(unit, ctx, user, form.roles),
    ),
    "deactivate": UserAct(
        _("Account deactivated. Its sessions ended."),
        lambda unit, ctx, user, _form: accounts.deactivate(unit, ctx, user),
    ),
    "restore": UserAct(_("Account reactivated."), lambda unit, ctx, user, _form: accounts.restore(unit, ctx, user)),
    "reset": UserAct(
        _("We're sending a link to choose a new password by email."),
        lambda unit, ctx, user, _form: accounts.start_reset(unit, ctx, user),
    ),
    "invite": UserAct(
        _("We're sending a new invitation by email."), lambda unit, ctx, user, _form: accounts.invite(unit, ctx, user)
    ),
    "end-session": UserAct(_("Session ended."), _end_session),
    "end-sessions": UserAct(
        _("All sessions ended."), lambda unit, ctx, user, _form: accounts.end_sessions(unit, ctx, user)
    ),
    "unlink": UserAct(
        _("Account unlinked. The user's sessions ended."),
        lambda unit, ctx, user, form: identities.unlink(unit, ctx, user, _number(form.identity)),
    ),
    "confirm": UserAct(
        _("Linked account confirmed."),
        lambda unit, ctx, user, form: identities.confirm(unit, ctx, user, _number(form.identity)),
    ),
    "release": UserAct(_("User released. You can edit the account again."), _release),
    "reset-factors": UserAct(_("Second factors removed. All sessions ended."), _reset_factors),
}
#: The question before an action. The number of sessions that end comes first.
_ASKS = {
    "roles": Confirmation(
        _("Make %(name)s an Admin?"),
        (
            _("Removes the password, second factors, badges, pending links, and unconfirmed linked accounts."),
            _("Creates a new link if no sign-in method is left."),
            _("An Admin can change all users and settings, including other Admins."),
        ),
        _("Make Admin"),
    ),
    "restore": Confirmation(
        _("Reactivate %(name)s as an Admin?"),
        (
            _("Removes the password, second factors, badges, pending links, and unconfirmed linked accounts."),
            _("Creates a new link if no sign-in method is left."),
        ),
        _("Reactivate Admin"),
    ),
    "deactivate": Confirmation(
        _("Deactivate %(name)s?"),
        (_("They can't sign in until you reactivate the account. Nothing they created is lost."),),
        _("Deactivate user"),
    ),
    "end-sessions": Confirmation(
        _("Sign out %(name)s everywhere?"), (_("They can sign in again immediately."),), _("End all sessions")
    ),
    "unlink": Confirmation(
        _("Unlink an account of %(name)s?"),
        (_("They can't sign in with it until they link it again."),),
        _("Unlink account"),
    ),
    "release": Confirmation(
        _("Release %(name)s from SCIM?"),
        (_("The identity provider no longer changes or deactivates the account. Its roles stay."),),
        _("Release user"),
    ),
    "reset-factors": Confirmation(
        _("Reset the second factors of %(name)s?"),
        (
            _("Removes the authenticator app, passkeys, recovery codes, and trusted browsers."),
            _("Cancels pending links to choose a password."),
        ),
        _("Reset second factors"),
    ),
}
USER_DONE = {"email": _("The new address takes effect when the user confirms it.")} | {
    name: act.done for name, act in _ACTS.items()
}
_TEMPLATE = "console/user.html"


INVITE_PATH = "/console/invite"
MOST = 50
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]+)>\Z")
_OF_A_LINE = (ValidationError, Conflict, Forbidden, RateLimited, Overloaded)


class InviteForm(RolesForm, frozen=True, rename="camel", kw_only=True):
    """The invitation form. ``people``: one per line."""

    people: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """The result of a line. ``user_id``: 0 if no account was created; ``link``: shown once, if email isn't
    configured."""

    line: str
    said: str
    user_id: int = 0
    link: str = ""


class Invited(msgspec.Struct, frozen=True):
    """The result of each line, and the form's content for another try."""

    outcomes: tuple[Outcome, ...]
    people: str
    roles: int


async def _invite_view(ctx: RequestContext, people: str, ticked: int, outcomes: tuple[Outcome, ...] = ()) -> View:
    def work(unit: TenantUnit) -> SimpleNamespace:
        by_admin = rank.manager(unit, ctx).is_admin
        return SimpleNamespace(
            people=people,
            boxes=boxes(ticked, admin=by_admin),
            most=MOST,
            outcomes=outcomes,
            made=sum(one.user_id > 0 for one in outcomes),
        )

    return await brands.shown(ctx, work)


async def _ask(ctx: RequestContext, call: PageCall[InviteForm | None]) -> View | Answer[None]:
    typed = call.fields or InviteForm(role_viewer="on")
    invited = call.shown_as(Invited) or Invited((), typed.people, typed.roles)
    return await _invite_view(ctx, invited.people, invited.roles, invited.outcomes)


async def _invite(ctx: RequestContext, call: PageCall[InviteForm]) -> View | Answer[None]:
    lines = _lines(call.fields)
    if len(lines) == 1:
        return call.show_once(INVITE_PATH, Invited((await _only(ctx, *lines[0]),), "", call.fields.roles))
    outcomes, refusals = list[Outcome](), list[Refusal]()
    for text, draft in lines:
        try:
            outcomes.append(await _one(ctx, text, draft))
        except _OF_A_LINE as refusal:
            refusals.append(refusal)
            why = joined((told for _field, told in refusal.details), " ") or refusal.message
            outcomes.append(Outcome(text, shown(why, catalogue(call.language))))
    left = "\n".join(one.line for one in outcomes if not one.user_id)
    if len(refusals) == len(lines):  # nothing was done
        view = await _invite_view(ctx, left, call.fields.roles, tuple(outcomes))
        view.status = refusals[0].status
        return view
    return call.show_once(INVITE_PATH, Invited(tuple(outcomes), left, call.fields.roles))


async def _only(ctx: RequestContext, text: str, draft: Draft) -> Outcome:
    """Invites one person like :func:`_one`, but errors refer to the form's only field."""
    try:
        return await _one(ctx, text, draft)
    except ValidationError as refusal:
        raise ValidationError(details=[("people", why) for _, why in refusal.details]) from refusal


async def _one(ctx: RequestContext, text: str, draft: Draft) -> Outcome:
    made = await ctx.store.write(lambda unit: accounts.invite_new(unit, ctx, draft))
    handed = await accounts.sent(ctx, made)
    said = "sent" if handed.sent else "waits"
    if handed.link:
        said = "link"
    return Outcome(text, said, handed.user.id, handed.link or "")


def _lines(form: InviteForm) -> list[tuple[str, Draft]]:
    texts = [text for line in form.people.splitlines() if (text := line.strip())]
    if not texts:
        raise ValidationError(details=[("people", _("Enter an email address"))])
    if len(texts) > MOST:
        raise ValidationError(details=[("people", _("Enter at most %(number)s lines", number=MOST))])
    if not form.roles:
        raise ValidationError(details=[("roles", _("Choose at least one role"))])
    return [(text, _draft(text, form.roles)) for text in texts]


def _draft(text: str, roles: int) -> Draft:
    """Parses ``ada@acme.example``, or ``Ada Lovelace <ada@acme.example>`` as mail programs copy it: everything before
    the last space is the first name."""
    found = _NAMED.match(text.rstrip(",;"))
    if found is None:
        return Draft(text.rstrip(",;").strip(), roles)
    first, _, last = found["name"].strip().strip('"').rpartition(" ")
    names = {"first_name": first or last, "last_name": last if first else ""}
    return Draft(found["email"].strip(), roles, names)


_INVITE_TEMPLATE = "console/invite.html"


ROUTES = (
    users_page("GET", USER_PATH, _show, _TEMPLATE, "One user", said=USER_DONE),
    users_page("POST", USER_PATH, _act, _TEMPLATE, "Change a user's account", confirms=_confirm),
    users_page("GET", INVITE_PATH, _ask, _INVITE_TEMPLATE, "Invite users"),
    users_page("POST", INVITE_PATH, _invite, _INVITE_TEMPLATE, "Invite one user or up to 50"),
)
