"""Parts that the console pages share: the menu, addresses of a list, roles, and issues that need attention."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.http.routes import Call
from manifest_auth.pages.account.frame import ROLES
from manifest_auth.pages.call import Link, PageCall
from manifest_auth.permissions import Permission, Role, permissions_of
from manifest_auth.text.languages import marked as _


def address(path: str, **chosen: str) -> str:
    """Returns a path with the chosen values in its query, without empty ones."""
    given = {name: value for name, value in chosen.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def one_of(asked: str, known: Mapping[str, object]) -> str:
    """Returns ``asked`` if it is a known choice, or else the first choice."""
    return asked if asked in known else next(iter(known))


@contextlib.contextmanager
def naming_lines() -> Iterator[None]:
    """Converts errors inside to errors of a form in which a list is one field, with a message that names the invalid
    line."""

    def placed(field: str, text: str) -> tuple[str, str]:
        name, _bracket, rest = field.partition("[")
        if not rest.rstrip("]").isdigit():
            return (field, text)
        return (name, _("Line %(number)s: %(problem)s", number=int(rest.rstrip("]")) + 1, problem=text))

    try:
        yield
    except ValidationError as refusal:
        raise ValidationError(details=[placed(*one) for one in refusal.details]) from refusal


def number_in(call: PageCall[Any]) -> int:
    """Returns the number in the path that identifies the page's subject. Raises NotFound."""
    return Call(call.head, None, call.path, b"").id()


class Attention(msgspec.Struct, frozen=True):
    """An issue on the overview. ``is_bad``: it blocks sign-ins now or soon; ``href``: where to fix it, empty if not on
    these pages; ``link``: the text of that link; ``until``: a deadline in milliseconds, or 0."""

    is_bad: bool
    title: str
    advice: str
    href: str = ""
    link: str = _("Open")
    until: int = 0


_WORDS = {
    Role.ADMIN: _("Full access, including other Admins"),
    Role.USER_ADMIN: _("Manage users, providers, and settings, but not Admins"),
    Role.AUTHOR: _("Write and edit templates"),
    Role.APPROVER: _("Approve versions of templates"),
    Role.PUBLISHER: _("Publish templates"),
    Role.OPERATOR: _("Run jobs and record data"),
    Role.VIEWER: _("Read only"),
}


class ListQuery(msgspec.Struct, frozen=True):
    """The part of a list to show. ``q``: the search text; ``after``: cursor of the previous page."""

    q: Annotated[str, Meta(max_length=300)] = ""
    state: Annotated[str, Meta(max_length=300)] = ""
    sort: Annotated[str, Meta(max_length=300)] = ""
    after: Annotated[str, Meta(max_length=4096)] = ""


class RolesForm(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A checkbox for each role, present in the form only if it is checked."""

    role_admin: str = ""
    role_user_admin: str = ""
    role_author: str = ""
    role_approver: str = ""
    role_publisher: str = ""
    role_operator: str = ""
    role_viewer: str = ""

    @property
    def roles(self) -> int:
        """Returns the mask of the checked roles."""
        return sum(role.bit for role in Role if getattr(self, f"role_{role.name.lower()}"))


class RoleBox(NamedTuple):
    """A checkbox for a role. ``field``: its name in the form."""

    field: str
    name: str
    label: str
    words: str
    is_ticked: bool


def boxes(ticked: int, *, admin: bool) -> tuple[RoleBox, ...]:
    """Returns one checkbox for each role. ``ticked``: bit mask of the checked roles; ``admin``: whether the role Admin
    is offered."""
    fields = RolesForm.__struct_encode_fields__
    return tuple(
        RoleBox(field, role.value, ROLES[role].name, _WORDS[role], bool(ticked & role.bit))
        for role, field in zip(Role, fields, strict=True)
        if admin or role is not Role.ADMIN
    )


class _Section(NamedTuple):
    permission: Permission
    href: str
    text: str
    heading: str


OVERVIEW = "/console"
_PEOPLE, _MACHINES, _SIGN_IN, _RECORDS = _("People"), _("Apps and machines"), _("Sign-in"), _("Records")
_SECTIONS = (
    _Section(Permission.SETTINGS_MANAGE, OVERVIEW, _("Overview"), ""),
    _Section(Permission.USERS_MANAGE, "/console/users", _("Users"), _PEOPLE),
    _Section(Permission.USERS_MANAGE, "/console/invite", _("Invite"), _PEOPLE),
    _Section(Permission.SETTINGS_MANAGE, "/console/apps", _("Apps"), _MACHINES),
    _Section(Permission.USERS_MANAGE, "/console/service-accounts", _("Service accounts"), _MACHINES),
    _Section(Permission.SETTINGS_MANAGE, "/console/devices", _("Devices"), _MACHINES),
    _Section(Permission.SETTINGS_MANAGE, "/console/providers", _("Providers"), _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/scim", _("Provisioning"), _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/domains", _("Domains"), _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/rules", _("Settings"), _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/branding", _("Branding"), _SIGN_IN),
    _Section(Permission.AUDIT_READ, "/console/audit", _("Audit trail"), _RECORDS),
    _Section(Permission.SETTINGS_MANAGE, "/console/usage", _("Usage"), _RECORDS),
)


@lru_cache(maxsize=128)
def entries(roles: int) -> tuple[Link, ...]:
    """Returns the menu for a user with those roles (a bit mask), including headings; empty if they can open no page."""
    allowed, found, heading = permissions_of(roles), [], ""
    for one in _SECTIONS:
        if one.permission not in allowed:
            continue
        if one.heading != heading:
            heading = one.heading
            found.append(Link("", heading))
        found.append(Link(one.href, one.text))
    return tuple(found)


def section_of(path: str) -> str:
    """Returns the entry that a page of the console belongs to."""
    return "/".join(path.partition("?")[0].split("/")[:3])
