"""``/console/users``: the list of users, bulk actions, and the list as a file."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from manifest_auth import accounts, sessions
from manifest_auth.accounts import NewLink, rank, users
from manifest_auth.clients import user_files
from manifest_auth.errors import Conflict, Forbidden, NotFound, ReauthenticationRequired, Refusal, ValidationError
from manifest_auth.http import NO_STORE, Answer, stream
from manifest_auth.pages import brands, words
from manifest_auth.pages.account import frame as words_of_account
from manifest_auth.pages.call import Confirmation, PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import users_page
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, StoreUnavailable, TenantUnit
from manifest_auth.text.languages import catalogue, several
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import shown as translated

PATH = "/console/users"
SIZE = 50
SORTS = (
    ("LAST_NAME", _("Last name, A to Z")),
    ("LAST_NAME_DESC", _("Last name, Z to A")),
    ("EMAIL", _("Email, A to Z")),
    ("EMAIL_DESC", _("Email, Z to A")),
    ("ID_DESC", _("Newest first")),
    ("ID", _("Oldest first")),
)
STATES = (("", _("Any")), ("active", _("Active")), ("invited", _("Invited")), ("inactive", _("Deactivated")))
FACTORS = (("", _("Any")), ("no", _("None")), ("yes", _("Set up")))
ROLES = tuple((role.value, words_of_account.ROLES[role].name) for role in Role)


class UsersQuery(msgspec.Struct, frozen=True):
    """The query of the list. ``after``, ``before``: cursors of the rows on either side of the page."""

    q: Annotated[str, Meta(max_length=200)] = ""
    role: Literal["", "Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer"] = ""
    state: Literal["", "active", "invited", "inactive"] = ""
    factor: Literal["", "yes", "no"] = ""
    sort: Literal["ID", "ID_DESC", "EMAIL", "EMAIL_DESC", "LAST_NAME", "LAST_NAME_DESC"] = "LAST_NAME"
    after: Annotated[str, Meta(max_length=4096)] = ""
    before: Annotated[str, Meta(max_length=4096)] = ""

    @property
    def chosen(self) -> dict[str, str]:
        """Returns the parameters of a link to the beginning of the list."""
        return {name: getattr(self, name) for name in ("q", "role", "state", "factor", "sort")}

    @property
    def filters(self) -> Filters:
        role = Role(self.role).bit if self.role else 0
        return Filters(
            {"": None, "inactive": "inactive"}.get(self.state, "current"),
            "role" if role else None,
            "factor" if self.factor else None,
            role=role,
            invited=int(self.state == "invited"),
            with_factor=int(self.factor == "yes"),
        ).search(self.q.strip())


if TYPE_CHECKING:

    class BulkForm(UsersQuery, frozen=True):
        """The list with the selected users. ``act``: one of :data:`_BULK`; ``for_role``: the role to add or remove."""

        act: str = ""
        for_role: str = ""
else:
    _ROWS = [(f"user{number}", str, "") for number in range(SIZE)]
    BulkForm = msgspec.defstruct(
        "BulkForm",
        [("act", str, ""), ("for_role", str, ""), *_ROWS],
        bases=(UsersQuery,),
        rename={"for_role": "forRole"},
        frozen=True,
        module=__name__,
    )


def _selected(form: BulkForm) -> list[int]:
    """Returns the selected users. Raises NotFound for an invalid number, and ValidationError for an empty selection."""
    texts = [text for number in range(SIZE) if (text := getattr(form, f"user{number}"))]
    if not texts:
        raise ValidationError(details=[("users", _("Select at least one user"))])
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts):
        raise NotFound()
    return list(dict.fromkeys(map(int, texts)))


class Outcome(msgspec.Struct, frozen=True):
    """The result for one user. ``link``: shown once, if email isn't configured."""

    user: int
    name: str
    is_done: bool
    said: str
    link: str = ""


class Outcomes(msgspec.Struct, frozen=True):
    title: str
    each: tuple[Outcome, ...]


@brands.shows
def _list(ctx: RequestContext, call: PageCall[UsersQuery], unit: TenantUnit) -> SimpleNamespace:
    asked, filters, chosen = call.fields, call.fields.filters, call.fields.chosen
    rows, before, after = users.OF_CONSOLE.window(unit, SIZE, asked.after, asked.before, asked.sort, filters)
    is_all = before is None and after is None
    form = asked if isinstance(asked, BulkForm) else BulkForm()
    return SimpleNamespace(
        rows=rows,
        total=len(rows) if is_all else users.OF_CONSOLE.total(unit, filters),
        me=ctx.user.user_id,
        query=asked,
        form=form,
        selected={getattr(form, f"user{number}") for number in range(SIZE)},
        kept=[*chosen.items(), ("after", asked.after), ("before", asked.before)],
        is_narrowed=bool(filters.names),
        first=frame.address(PATH, **chosen) if before else "",
        previous=frame.address(PATH, **chosen, before=before) if before else "",
        next=frame.address(PATH, **chosen, after=after) if after else "",
        csv=frame.address(f"{PATH}/export", **chosen),
        sorts=SORTS,
        states=STATES,
        factors=FACTORS,
        roles=ROLES,
        most=SIZE,
        acts=[(name, act.label) for name, act in _BULK.items()],
        outcomes=call.shown_as(Outcomes),
    )


class BulkAct(NamedTuple):
    """A bulk action. ``ask``: the question before it, for a number of users; ``effect``: for a role; ``work``: the
    action on one user, for a role (a bit, 0 if it needs none); ``ends``: whether it ends sessions."""

    label: str
    ask: Callable[[int], str]
    effect: Callable[[str], str]
    work: Callable[[TenantUnit, RequestContext, int, int], object]
    ends: bool = False
    has_role: bool = False


def _invite(unit: TenantUnit, ctx: RequestContext, user_id: int, _role: int) -> NewLink:
    if not users.get(unit, user_id, lock=True).never_came:
        raise Conflict(_("This user has already joined"))
    return accounts.invite(unit, ctx, user_id)


def _set_role(unit: TenantUnit, ctx: RequestContext, user_id: int, role: int, *, add: bool) -> None:
    before = users.get(unit, user_id, lock=True, admins=True).roles
    if bool(before & role) == add:
        raise Conflict(_("This user already has this role") if add else _("This user doesn't have this role"))
    accounts.set_roles(unit, ctx, user_id, before ^ role)


_BULK = {
    "invite": BulkAct(
        _("Invite again"),
        lambda number: several("Invite %(number)d user again?", "Invite %(number)d users again?", number),
        lambda _role: _("Each user gets a new invitation link. Earlier links stop working."),
        _invite,
    ),
    "deactivate": BulkAct(
        _("Deactivate"),
        lambda number: several("Deactivate %(number)d user?", "Deactivate %(number)d users?", number),
        lambda _role: _("They can't sign in until you reactivate them. Nothing they created is lost."),
        lambda unit, ctx, user, _role: accounts.deactivate(unit, ctx, user),
        ends=True,
    ),
    "end-sessions": BulkAct(
        _("End all sessions"),
        lambda number: several("Sign out %(number)d user everywhere?", "Sign out %(number)d users everywhere?", number),
        lambda _role: _("They can sign in again immediately."),
        lambda unit, ctx, user, _role: accounts.end_sessions(unit, ctx, user),
        ends=True,
    ),
    "add-role": BulkAct(
        _("Add a role"),
        lambda number: several("Add a role to %(number)d user?", "Add a role to %(number)d users?", number),
        lambda role: _("They get the %(role)s role immediately.", role=role),
        lambda unit, ctx, user, role: _set_role(unit, ctx, user, role, add=True),
        has_role=True,
    ),
    "remove-role": BulkAct(
        _("Remove a role"),
        lambda number: several("Remove a role from %(number)d user?", "Remove a role from %(number)d users?", number),
        lambda role: _("They lose the %(role)s role immediately. Nobody loses their only role.", role=role),
        lambda unit, ctx, user, role: _set_role(unit, ctx, user, role, add=False),
        has_role=True,
    ),
}


def _act_of(form: BulkForm) -> tuple[BulkAct, int]:
    """Returns the action and its role. Raises ValidationError. Users can't become Admins in bulk, because that resets
    an account, as the user's page explains."""
    act = _BULK.get(form.act)
    if act is None:
        raise ValidationError(details=[("act", _("Choose an action"))])
    if not act.has_role:
        return act, 0
    if form.for_role not in dict(ROLES):
        raise ValidationError(details=[("forRole", _("Choose a role"))])
    if form.act == "add-role" and form.for_role == Role.ADMIN.value:
        raise ValidationError(details=[("forRole", _("To make someone an Admin, open the page of that user"))])
    return act, Role(form.for_role).bit


async def _confirm(ctx: RequestContext, call: PageCall[BulkForm]) -> Confirmation:
    (act, _role), selected = _act_of(call.fields), _selected(call.fields)

    def work(unit: TenantUnit) -> Confirmation:
        kept = 0 if rank.manager(unit, ctx).is_admin else Role.ADMIN.bit
        found = users.get_many(unit, selected)
        can = [user.id for user in found if user.id != ctx.user.user_id and not user.roles & kept]
        if not can:
            raise Forbidden(_("None of the selected users can be changed"))
        effects = [words.ends_sessions(sessions.count_open(unit, can, ctx.now))] if act.ends else []
        effects.append(act.effect(dict(ROLES).get(call.fields.for_role, "")))
        if left := len(selected) - len(can):
            effects.append(several("Skips %(number)d user.", "Skips %(number)d users.", left))
            effects.append(_("You can't change Admins or your own account here."))
        return Confirmation(act.ask(len(can)), tuple(effects), act.label)

    return await ctx.store.read(work)


async def _bulk(ctx: RequestContext, call: PageCall[BulkForm]) -> View | Answer[None]:
    """Handles each user in a separate transaction with its own result, so that one failure doesn't stop the others."""
    form, (act, role) = call.fields, _act_of(call.fields)
    selected = _selected(form)
    known = {user.id: user for user in await ctx.store.read(lambda unit: users.get_many(unit, selected))}
    outcomes: list[Outcome] = []
    t = catalogue(call.language)
    for number in selected:
        user = known.get(number)
        name = (user.full_name or user.email) if user else str(number)
        link, is_done = "", False
        said: str = _("This user doesn't exist")
        try:
            if user is not None and user.id == ctx.user.user_id:
                raise Forbidden(_("This is your own account"))
            made: Any = await ctx.store.write(lambda unit: act.work(unit, ctx, number, role))  # noqa: B023 - awaited at once
            link, is_done, said = (made.link or "" if isinstance(made, NewLink) else ""), True, ""
        except ReauthenticationRequired:
            if not any(one.is_done for one in outcomes):
                raise  # nothing is done: the form waits for re-authentication
            said = _("Confirm that it's you, and then try again")
        except NotFound:
            pass
        except Refusal as refusal:
            said = next((why for _field, why in refusal.details), refusal.message)
        except StoreUnavailable:
            said = _("The database didn't respond. Check whether the change was made")
        outcomes.append(Outcome(number, name, is_done, translated(said, t), link))
    done = sum(one.is_done for one in outcomes)
    title = _("%(action)s: %(done)d of %(number)d done", action=act.label, done=done, number=len(outcomes))
    return call.show_once(frame.address(PATH, **form.chosen), Outcomes(translated(title, t), tuple(outcomes)))


async def _export(ctx: RequestContext, call: PageCall[UsersQuery]) -> View | Answer[None]:
    asked = call.fields
    narrowed = {name: text for name, text in asked.chosen.items() if text and name != "sort"}
    parts = await user_files.start(ctx, asked.filters, narrowed)
    name = f'attachment; filename="users-{ctx.user.client}.csv"'.encode()
    headers = ((b"content-type", b"text/csv; charset=utf-8"), (b"content-disposition", name), NO_STORE)
    return stream(parts, None, headers, user_files.POLICY)


_TEMPLATE = "console/users.html"
ROUTES = (
    users_page("GET", PATH, _list, _TEMPLATE, "The client's users"),
    users_page("POST", PATH, _bulk, _TEMPLATE, "Change up to 50 users of a page", confirms=_confirm),
    users_page("GET", f"{PATH}/export", _export, "", "The client's users as a CSV file", form_at=PATH),
)
