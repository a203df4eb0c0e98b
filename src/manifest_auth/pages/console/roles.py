"""The seven roles as forms and lists of the console have them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from manifest_auth.permissions import Role

_WORDS = {
    Role.ADMIN: "Everything, other Admins included",
    Role.USER_ADMIN: "Users, providers and settings; no Admin's account",
    Role.AUTHOR: "Write and edit templates",
    Role.APPROVER: "Approve versions of templates",
    Role.PUBLISHER: "Publish templates",
    Role.OPERATOR: "Run jobs and record data",
    Role.VIEWER: "Read, and change nothing",
}


class RolesForm(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A box for each role, ticked or absent: a form has each field once."""

    role_admin: str = ""
    role_user_admin: str = ""
    role_author: str = ""
    role_approver: str = ""
    role_publisher: str = ""
    role_operator: str = ""
    role_viewer: str = ""

    @property
    def roles(self) -> int:
        """The mask of those that are ticked."""
        return sum(role.bit for role in Role if getattr(self, f"role_{role.name.lower()}"))


class RoleBox(NamedTuple):
    """``field``: its name in the form."""

    field: str
    name: str
    words: str
    is_ticked: bool


def boxes(ticked: int, *, admin: bool) -> tuple[RoleBox, ...]:
    """One box for each role.

    ``ticked``: bit mask of the roles that are set; ``admin``: whether the role Admin is offered.
    """
    fields = RolesForm.__struct_encode_fields__
    return tuple(
        RoleBox(field, role.value, _WORDS[role], bool(ticked & role.bit))
        for role, field in zip(Role, fields, strict=True)
        if admin or role is not Role.ADMIN
    )
