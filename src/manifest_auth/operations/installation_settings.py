"""Changes the settings of the installation, for system admins.

They are: whether system admins need a second factor, and the networks of the admin routes.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit
from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.runtime.settings import is_listed, networks_of
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import step_up

_NAMES = ("secondFactorRequired", "adminAddresses")  # of the members, in the audit trail


class InstallationSettings(NamedTuple):
    """``admin_addresses``: networks that may call the admin routes, comma separated; empty: all."""

    second_factor_required: bool
    admin_addresses: str


def read(unit: SystemUnit) -> InstallationSettings:
    return InstallationSettings(second_factor.is_required(unit), management.addresses(unit))


def stored_form(addresses: str) -> str:
    """Networks, as :func:`change` takes them. Raises ValidationError."""
    try:
        return management.normalised(addresses.strip())
    except ValueError as error:
        raise ValidationError(details=[("adminAddresses", str(error))]) from None


def change(unit: SystemUnit, ctx: Request, required: bool | None, addresses: str | None) -> InstallationSettings:
    """Changes the settings; None leaves a value. Raises InvalidToken, ReauthenticationRequired, and Conflict for a
    change that would lock out the acting admin."""
    step_up.check(ctx, Act.INSTALLATION)
    management.lock_active_admins(unit, ctx)
    before = read(unit)
    if required is not None and required != before.second_factor_required:
        if required and not second_factor.has_one(unit, ctx.admin.admin_id):
            raise Conflict("Enrol a second factor yourself first")
        second_factor.require(unit, required)
    if addresses is not None and addresses != before.admin_addresses:
        if addresses and not is_listed(ctx.address, networks_of(addresses)):
            raise Conflict(f"Your own address ({ctx.address}) is not in these networks: you would be locked out")
        management.set_addresses(unit, addresses)
    after = read(unit)
    pairs = zip(_NAMES, before, after, strict=True)
    if changes := {name: {"before": was, "after": now} for name, was, now in pairs if was != now}:
        audit.record_installation(unit, ctx, Event.INSTALLATION_CHANGED, "", **changes)
    return after
