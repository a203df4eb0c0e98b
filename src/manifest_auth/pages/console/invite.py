"""``/console/invite``: one address or up to 50, each with its own result."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from manifest_auth import accounts
from manifest_auth.accounts import Draft, rank
from manifest_auth.errors import Conflict, Forbidden, Overloaded, RateLimited, Refusal, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.console.frame import RoleBox, RolesForm, boxes
from manifest_auth.pages.routing import users_page
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

PATH = "/console/invite"
MOST = 50
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]+)>\Z")
_OF_A_LINE = (ValidationError, Conflict, Forbidden, RateLimited, Overloaded)


class InviteForm(RolesForm, frozen=True, rename="camel", kw_only=True):
    """``people``: a line for each."""

    people: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """``user_id``: 0 where no account was made; ``link``: shown this once, where no mail is set up."""

    line: str
    said: str
    user_id: int = 0
    link: str = ""


class InviteView(msgspec.Struct, frozen=True):
    """``outcomes``: of the lines that were just sent, none before."""

    people: str
    boxes: tuple[RoleBox, ...]
    most: int
    mails: bool
    outcomes: tuple[Outcome, ...] = ()

    @property
    def made(self) -> int:
        return sum(one.user_id > 0 for one in self.outcomes)


class _Line(NamedTuple):
    text: str
    draft: Draft


async def _view(ctx: RequestContext, people: str, ticked: int, outcomes: tuple[Outcome, ...] = ()) -> View:
    def work(unit: TenantUnit) -> InviteView:
        by_admin = rank.manager(unit, ctx).is_admin
        mails = ctx.services.mail_queue.is_set_up
        return InviteView(people, boxes(ticked, admin=by_admin), MOST, mails, outcomes)

    return await frame.shown(ctx, work)


async def _ask(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, "", Role.VIEWER.bit)


async def _again(ctx: RequestContext, call: PageCall[InviteForm]) -> View | Answer[None]:
    return await _view(ctx, call.fields.people, call.fields.roles)


async def _invite(ctx: RequestContext, call: PageCall[InviteForm]) -> View | Answer[None]:
    """The answer has links that are shown once and the result of each line, so no redirect comes before it: sent again
    by a reload, the lines that were taken are refused, as those accounts are there."""
    lines = _lines(call.fields)
    if len(lines) == 1:
        return await _view(ctx, "", call.fields.roles, (await _only(ctx, lines[0]),))
    outcomes, refusals = list[Outcome](), list[Refusal]()
    for line in lines:
        try:
            outcomes.append(await _one(ctx, line))
        except _OF_A_LINE as refusal:
            refusals.append(refusal)
            outcomes.append(Outcome(line.text, " ".join(text for _, text in refusal.details) or refusal.message))
    left = "\n".join(one.line for one in outcomes if not one.user_id)
    view = await _view(ctx, left, call.fields.roles, tuple(outcomes))
    view.status = 200 if len(refusals) < len(lines) else refusals[0].status
    return view


async def _only(ctx: RequestContext, line: _Line) -> Outcome:
    """As :func:`_one`; a refusal is about the form's one field."""
    try:
        return await _one(ctx, line)
    except ValidationError as refusal:
        raise ValidationError(details=[("people", text) for _, text in refusal.details]) from refusal


async def _one(ctx: RequestContext, line: _Line) -> Outcome:
    made = await ctx.store.write(lambda unit: accounts.invite_new(unit, ctx, line.draft))
    handed = await accounts.sent(ctx, made)
    said = "By e-mail" if handed.sent else "The e-mail could not be sent yet; it is tried again for an hour"
    if handed.link:
        said = "Pass this link on"
    return Outcome(line.text, said, handed.user.id, handed.link or "")


def _lines(form: InviteForm) -> list[_Line]:
    texts = [text for line in form.people.splitlines() if (text := line.strip())]
    if not texts:
        raise ValidationError(details=[("people", "Enter an e-mail address")])
    if len(texts) > MOST:
        raise ValidationError(details=[("people", f"At most {MOST} lines; these are {len(texts)}")])
    if not form.roles:
        raise ValidationError(details=[("roles", "Choose one role at least")])
    return [_Line(text, _draft(text, form.roles)) for text in texts]


def _draft(text: str, roles: int) -> Draft:
    """``ada@acme.example``, or ``Ada Lovelace <ada@acme.example>`` as mail programs copy it: what stands before the
    last space is the first name."""
    found = _NAMED.match(text.rstrip(",;"))
    if found is None:
        return Draft(text.rstrip(",;").strip(), roles)
    first, _, last = found["name"].strip().strip('"').rpartition(" ")
    names = {"first_name": first or last, "last_name": last if first else ""}
    return Draft(found["email"].strip(), roles, names)


_TEMPLATE = "console/invite.html"
ROUTES = (
    users_page("GET", PATH, _ask, _TEMPLATE, "Invite users"),
    users_page("POST", PATH, _invite, _TEMPLATE, "Invite one user or up to 50", again=_again),
)
