"""``/console/rules``: a client's security policy and settings, on five pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts import rank
from manifest_auth.clients import client_settings
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import address, naming_lines, one_of
from manifest_auth.pages.routing import settings_page
from manifest_auth.permissions import Permission, Role
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import LEAVES, StoredSettings, TenantSettingsChange
from manifest_auth.tenants.rules import Effects, Leaf
from manifest_auth.text.canonical import duration_seconds, spoken_duration
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import convert

# The form follows from the rules of :mod:`manifest_auth.tenants.rules`. A change is described before it is saved.


DONE = {"saved": _("Settings saved. They apply immediately.")}
_ADDRESSES = ("allowedOrigins", "returnAddresses")
#: In a form, a switch is on or absent. A choice of three has a keyword for each option.
_WORDS: dict[Any, str] = {None: "", True: "on", False: "off"}


class Heading(NamedTuple):
    """A section. ``limited``: its text for users who aren't Admins."""

    title: str
    note: str = ""
    limited: str = ""


_WEAKER = _("Only an Admin can weaken these settings.")
_HEADINGS = {
    "passwords": Heading(_("Passwords"), limited=_WEAKER),
    "factors": Heading(_("Second factors"), limited=_WEAKER),
    "pairing": Heading(
        _("Users' devices"),
        _("Headsets that users approve. Changes apply to devices that are approved later."),
        _("Only an Admin can weaken these settings or add Author, Approver, or Publisher."),
    ),
    "badges": Heading(_("Badges"), limited=_("Only an Admin can turn on badges or weaken these settings.")),
    "sessions": Heading(
        _("Session timeouts"),
        _("For example, 30 min, 12 h, or 14 days. Default: this server's maximum."),
        _("Only an Admin can make them longer."),
    ),
    "addresses": Heading(_("Apps")),
    "words": Heading(_("Support and language")),
}
_SORTED = sorted(LEAVES, key=lambda leaf: [*_HEADINGS].index(leaf.rule.section))
#: Each page is saved separately. Title and sections, by the page's name in addresses. The first is the default.
PAGES = {
    "passwords": (_("Passwords"), ("passwords",)),
    "factors": (_("Second factors"), ("factors",)),
    "sessions": (_("Sessions"), ("sessions",)),
    "devices": (_("Devices and badges"), ("pairing", "badges")),
    "apps": (_("Apps and support"), ("addresses", "words")),
}


class RulesQuery(msgspec.Struct, frozen=True):
    """The query of the page. ``page``: one of :data:`PAGES`; ``suggest``: shows the preview of a second factor for
    Admins; empty for none."""

    page: Annotated[str, Meta(max_length=20)] = ""
    suggest: Annotated[str, Meta(max_length=20)] = ""


def _leaves(page: str) -> list[Leaf]:
    """Returns the rules on a page."""
    return [leaf for leaf in _SORTED if leaf.rule.section in PAGES[one_of(page, PAGES)][1]]


def address_of(path: str, page: str) -> str:
    """Returns the address of a page. ``path`` is that of the first page."""
    return address(path, page=one_of(page, PAGES))


def _boxes(leaf: Leaf) -> dict[str, str]:
    """Returns the field of each checkbox of a rule, by its value."""
    return {value: leaf.rule.box(leaf.name, value) for value in leaf.values}


def _names() -> Iterator[str]:
    yield from ("act", "page", "confirm")
    for leaf in LEAVES:
        yield from _boxes(leaf).values() or (leaf.name,)


if TYPE_CHECKING:

    class RulesForm(msgspec.Struct, frozen=True):
        """The entered form: durations as text, one list item per line. ``act``: ``preview`` or ``save``; ``page``: the
        page with the fields to save; ``confirm``: confirms the addresses that need an Admin's approval."""

        act: str = ""
        page: str = ""
        confirm: str = ""

else:
    _FIELDS = {name.replace(".", "_").replace("-", "_"): name for name in _names()}
    RulesForm = msgspec.defstruct(
        "RulesForm", [(name, str, "") for name in _FIELDS], rename=_FIELDS, frozen=True, module=__name__
    )


class Box(NamedTuple):
    """A checkbox. ``field``: its name in the form."""

    field: str
    label: str
    is_ticked: bool


class RuleView(NamedTuple):
    """A rule as the form shows it. ``text``: as it is typed; ``boxes``: for a list of checkboxes; ``is_locked``: only
    an Admin can change it, and the viewer isn't one."""

    name: str
    control: str
    label: str
    hint: str
    text: str
    choices: tuple[tuple[str, str], ...]
    boxes: tuple[Box, ...]
    is_locked: bool


class Section(NamedTuple):
    """A section of a page. ``parts``: rules that are shown side by side, or one with the full width."""

    name: str
    heading: Heading
    parts: tuple[tuple[RuleView, ...], ...]


class RulesView(msgspec.Struct, frozen=True):
    """The model of the page. ``page``: one of :data:`PAGES`; ``changes``: the effects of the pending change, None
    without a preview; ``by_admin``: the viewer is an Admin."""

    page: str
    sections: tuple[Section, ...]
    by_admin: bool
    confirms: bool
    waiting: tuple[str, ...]
    changes: tuple[str, ...] | None = None
    hidden: tuple[tuple[str, str], ...] = ()

    def tabs(self, path: str) -> list[tuple[str, str]]:
        """Returns addresses and titles of all pages. ``path`` is that of the first."""
        return [(address_of(path, name), title) for name, (title, _) in PAGES.items()]


async def act(ctx: RequestContext, form: RulesForm, client: Callable[[SystemUnit], int]) -> RulesView | None:
    """Previews or saves the entered values. Returns the preview, or None if they were saved. ``client``: returns the
    number of the client that the rules belong to. Raises ValidationError, and Forbidden for a change that only an Admin
    can make."""
    store = ctx.services.store
    with naming_lines():
        if form.act != "save":
            return await store.read(lambda unit: _preview(unit.of(client(unit)), ctx, form))
        await store.write(lambda unit: _save(unit, ctx, form, client(unit)))
    return None


def _save(unit: SystemUnit, ctx: RequestContext, form: RulesForm, client: int) -> None:
    before = tenants.get(unit, client, lock=True)
    change = _change(form, tenants.settings_of(before.settings), _is_admin(unit.of(before.id), ctx))
    client_settings.change(unit, ctx, before, None, change)


def _preview(unit: TenantUnit, ctx: RequestContext, form: RulesForm) -> RulesView:
    old = _stored(unit)
    new = client_settings.checked(unit, ctx, old, _change(form, old, _is_admin(unit, ctx)))
    said = tuple(_changes(old, new, client_settings.count(unit, ctx, old, new)))
    sent = tuple((name, text) for name, text in msgspec.to_builtins(form).items() if text and name != "act")
    return msgspec.structs.replace(view(unit, ctx, form.page, form), changes=said, hidden=sent)


def _changes(old: StoredSettings, new: StoredSettings, effects: Effects) -> Iterator[str]:
    """Returns the effects of a change, one sentence each; empty if nothing changes."""
    for leaf in _SORTED:
        change = leaf.change(old, new, effects)
        if change.was != change.now:
            said = leaf.rule.said(change)
            yield from (said,) if isinstance(said, str) else said
    was = (*old.unconfirmed.allowed_origins, *old.unconfirmed.return_addresses)
    listed = {*new.allowed_origins, *new.return_addresses}
    waiting = {*new.unconfirmed.allowed_origins, *new.unconfirmed.return_addresses}
    for one in was:
        if one in listed and one not in waiting:
            yield _("You confirm %(address)s for Admins.", address=one)
    for one in sorted(waiting - set(was)):
        yield _("%(address)s doesn't work for Admins until an Admin confirms it.", address=one)


def _stored(unit: TenantUnit) -> StoredSettings:
    return tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)


def _is_admin(unit: TenantUnit, ctx: RequestContext) -> bool:
    return rank.manager(unit, ctx, Permission.SETTINGS_MANAGE).is_admin


def _change(form: RulesForm, old: StoredSettings, by_admin: bool) -> TenantSettingsChange:
    """Returns the members that the form changes, without unchanged ones, because saving a list that waits for an Admin
    would confirm it. The minimum length of passwords is always included, so that another rule never changes it
    implicitly. Raises ValidationError."""
    typed = msgspec.to_builtins(form)
    given: dict[str, Any] = {}
    for leaf in _leaves(form.page):
        was, now = msgspec.to_builtins(leaf.of(old)), _asked(leaf, typed)
        was = list(was) if isinstance(was, tuple) else was
        if leaf.control == "boxes" and set(was) == set(now):
            continue
        if not by_admin and leaf.is_locked(old) and not typed[leaf.name]:
            continue  # the form doesn't offer it
        waits = leaf.name in _ADDRESSES and bool(form.confirm) and by_admin and getattr(old.unconfirmed, leaf.path[0])
        if waits or was != now:
            group, _, member = leaf.name.rpartition(".")
            (given.setdefault(group, {}) if group else given)[member] = now
    given.setdefault("password", {}).setdefault("minLength", old.password.min_length)
    return convert(given, TenantSettingsChange)


def _asked(leaf: Leaf, typed: dict[str, str]) -> Any:
    """Returns the value from the form."""
    if leaf.control == "boxes":
        return [value for value, field in _boxes(leaf).items() if typed[field]]
    text = typed[leaf.name].strip()
    if leaf.control == "check":
        return bool(text)
    if leaf.control == "length":
        return duration_seconds(text, leaf.name)
    if leaf.control == "lines":
        return [one for line in text.splitlines() if (one := line.strip())]
    if leaf.control == "select":
        by_text = {_text(value): value for value, _ in leaf.rule.choices}
        return by_text.get(text, int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text)
    return _number(text, leaf.name) if leaf.control == "number" else text


def _text(value: Any) -> str:
    return _WORDS[value] if isinstance(value, bool) or value is None else str(value)


def _number(text: str, field: str) -> int:
    text = text or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValidationError(details=[(field, _("Enter a number"))])
    return int(text)


def view(unit: TenantUnit, ctx: RequestContext, page: str, typed: RulesForm | None = None) -> RulesView:
    """Returns a page of the client's rules, or of the entered values instead."""
    stored, by_admin = _stored(unit), _is_admin(unit, ctx)
    kept = _typed_of(stored)
    texts: dict[str, str] = kept if typed is None else msgspec.to_builtins(typed)
    most = msgspec.structs.astuple(tenants.installation_lengths(ctx.services.settings))
    limits = dict(zip(_LENGTHS, map(spoken_duration, most), strict=True))

    def shown(leaf: Leaf) -> RuleView:
        limit = _("At most %(time)s.", time=limits[leaf.name]) if leaf.name in limits else ""
        boxes, labels = _boxes(leaf), dict(leaf.rule.choices)
        is_locked = not by_admin and leaf.is_locked(stored)
        return RuleView(
            name=leaf.name,
            control=leaf.control,
            label=leaf.rule.label,
            hint=_("%(hint)s %(limit)s", hint=leaf.hint, limit=limit) if limit else leaf.hint,
            text=(kept if is_locked else texts).get(leaf.name, ""),
            choices=tuple((_text(value), label) for value, label in leaf.rule.choices),
            boxes=tuple(Box(field, labels.get(one, one), bool(texts.get(field))) for one, field in boxes.items()),
            is_locked=is_locked,
        )

    return RulesView(
        page=one_of(page, PAGES),
        sections=tuple(
            Section(name, _HEADINGS[name], _parts(map(shown, of_section)))
            for name, of_section in groupby(_leaves(page), key=lambda leaf: leaf.rule.section)
        ),
        by_admin=by_admin,
        confirms=bool(texts.get("confirm")),
        waiting=(*stored.unconfirmed.allowed_origins, *stored.unconfirmed.return_addresses),
    )


_LENGTHS = ("sessions.idleSeconds", "sessions.maxSeconds", "sessions.refreshSeconds")
_SIDE_BY_SIDE = ("number", "length", "select", "text")


def _parts(views: Iterator[RuleView]) -> tuple[tuple[RuleView, ...], ...]:
    """Returns rules that are shown side by side, as one part."""
    parts: list[tuple[RuleView, ...]] = []
    for is_narrow, group in groupby(views, key=lambda view: view.control in _SIDE_BY_SIDE and not view.is_locked):
        some = tuple(group)
        parts += [some] if is_narrow else [(one,) for one in some]
    return tuple(parts)


def _typed_of(stored: StoredSettings) -> dict[str, str]:
    """Returns the form with the stored values."""
    texts: dict[str, str] = {}
    for leaf in LEAVES:
        value = msgspec.to_builtins(leaf.of(stored))
        if leaf.control == "boxes":
            texts |= {field: "on" if one in value else "" for one, field in _boxes(leaf).items()}
        elif leaf.control == "check":
            texts[leaf.name] = "on" if value else ""
        elif leaf.control == "length":
            texts[leaf.name] = spoken_duration(value)
        else:
            texts[leaf.name] = "\n".join(value) if leaf.control == "lines" else _text(value)
    return texts


PATH = "/console/rules"


@brands.shows
def _show(ctx: RequestContext, call: PageCall[RulesQuery], unit: TenantUnit) -> RulesView:
    if not call.fields.suggest or tenants.is_required(_stored(unit), Role.ADMIN.bit):
        return view(unit, ctx, call.fields.page)
    suggested = {"page": "factors", "secondFactor.policy": "roles", "roleAdmin": "on"}
    return _preview(unit, ctx, convert(_typed_of(_stored(unit)) | suggested, RulesForm))


@brands.shows
def _again(ctx: RequestContext, call: PageCall[RulesForm], unit: TenantUnit) -> RulesView:
    return view(unit, ctx, call.fields.page, call.fields)


async def _act(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    preview = await act(ctx, call.fields, lambda unit: ctx.user.tenant_id)
    if preview is None:
        return flash.after(ctx, address_of(PATH, call.fields.page), "saved")
    return await brands.shown(ctx, lambda unit: preview)


_TEMPLATE = "console/rules.html"
ROUTES = (
    settings_page("GET", PATH, _show, _TEMPLATE, "A client's settings, on five pages", said=DONE),
    settings_page("POST", PATH, _act, _TEMPLATE, "Preview or save a page of a client's settings", again=_again),
)
