"""Service accounts and their secrets as pages of the console show them, and the fields of their forms."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts import rank, service_accounts
from manifest_auth.accounts.service_accounts import NOTICE_DAYS, Secret, ServiceAccount
from manifest_auth.errors import ValidationError
from manifest_auth.pages.console.roles import RoleBox, RolesForm, boxes
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text.machine_secrets import SecretKind

_DAY_MS = 86_400_000


class AccountForm(RolesForm, frozen=True, rename="camel", kw_only=True):
    """What people type of an account. ``addresses``: a network on each line; ``jwks``: JSON."""

    name: Annotated[str, Meta(max_length=63)] = ""
    description: Annotated[str, Meta(max_length=1000)] = ""
    addresses: Annotated[str, Meta(max_length=4000)] = ""
    may_introspect: str = ""
    jwks: str = ""

    def given(self) -> dict[str, Any]:
        """The same as :class:`manifest_auth.accounts.service_accounts.Draft` has it. Raises ValidationError."""
        if not self.roles:
            raise ValidationError(details=[("roles", "Choose one role at least")])
        return {
            "name": self.name.strip(),
            "roles": self.roles,
            "description": self.description.replace("\r\n", "\n").strip(),
            "addresses": tuple(line.strip() for line in self.addresses.splitlines() if line.strip()),
            "may_introspect": bool(self.may_introspect),
            "jwks": service_accounts.key_set_in(self.jwks),
        }


class SecretRow(msgspec.Struct, frozen=True):
    """A live key or client secret, without the secret. ``ends_soon``: Admins have got an e-mail about it, or soon do;
    ``is_replaced``: another has its place. Times: milliseconds, 0 for never."""

    id: str
    label: str
    hint: str
    created_at: int
    ends_at: int
    ends_soon: bool
    is_replaced: bool
    last_used_at: int
    last_address: str


def typed_of(account: ServiceAccount) -> AccountForm:
    """What the form of an account holds before something is typed; its roles are boxes (:func:`boxes_for`)."""
    keys = "" if account.jwks is None else msgspec.json.format(account.jwks, indent=2)
    return AccountForm(
        name=account.name,
        description=account.description,
        addresses="\n".join(account.addresses.split(",")),
        may_introspect="on" if account.may_introspect else "",
        jwks=keys,
    )


def boxes_for(unit: TenantUnit, ctx: RequestContext, ticked: int) -> tuple[RoleBox, ...]:
    """The roles that who looks may give a machine: never Admin; User Admin for an Admin alone."""
    offers_all = rank.manager(unit, ctx).is_admin
    offered = boxes(ticked, admin=False)
    return tuple(box for box in offered if offers_all or box.name != Role.USER_ADMIN.value)


def rows_of(live: list[Secret], kind: SecretKind, now: int) -> tuple[SecretRow, ...]:
    """The secrets of one kind, in their order."""
    return tuple(
        SecretRow(
            id=one.id,
            label=one.label,
            hint=one.hint,
            created_at=one.created_at,
            ends_at=one.ends_at,
            ends_soon=one.ends_at - now <= NOTICE_DAYS[0] * _DAY_MS,
            is_replaced=one.rotated_to is not None,
            last_used_at=one.last_used_at or 0,
            last_address=one.last_address,
        )
        for one in live
        if one.kind == kind.value
    )
