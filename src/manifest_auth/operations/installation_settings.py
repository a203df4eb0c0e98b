"""What system admins settle for the installation: whether they need a second factor, and from where they may come."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit
from manifest_auth.accounts.admins import managing, networks, second_factor
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict
from manifest_auth.runtime.settings import is_listed, networks_of
from manifest_auth.store import SystemUnit

_NAMES = ("secondFactorRequired", "adminAddresses")  # of the members of `Settled`, in the audit trail


class Settled(NamedTuple):
    """``admin_addresses``: networks that may reach the admin plane, comma separated; empty: all."""

    second_factor_required: bool
    admin_addresses: str


def read(unit: SystemUnit) -> Settled:
    return Settled(second_factor.is_required(unit), networks.addresses(unit))


def change(unit: SystemUnit, ctx: Request, required: bool | None, addresses: str | None) -> Settled:
    """What is None stays as it is. Nobody shuts out whoever changes it. Raises InvalidToken, Conflict, and
    ReauthenticationRequired."""
    managing.deciding(unit, ctx)
    before = read(unit)
    if required is not None and required != before.second_factor_required:
        if required and not second_factor.has_one(unit, ctx.admin.admin_id):
            raise Conflict("Enrol a second factor yourself first")
        second_factor.require(unit, required)
    if addresses is not None and addresses != before.admin_addresses:
        if addresses and not is_listed(ctx.address, networks_of(addresses)):
            raise Conflict(f"Your own address ({ctx.address}) is not in these networks: you would be shut out")
        networks.limit(unit, addresses)
    after = read(unit)
    pairs = zip(_NAMES, before, after, strict=True)
    if changes := {name: {"before": was, "after": now} for name, was, now in pairs if was != now}:
        audit.record_installation(unit, ctx, Event.INSTALLATION_CHANGED, "", **changes)
    return after
