"""Devices among a client's rules: the part of the form, and what a change of it does, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from manifest_auth.pages.console.factor_rules import FactorForm
from manifest_auth.permissions import Role
from manifest_auth.tenants import StoredSettings

#: The roles that a device may have, by their fields.
_ROLES = {
    f"device_{role.name.lower()}": role
    for role in (Role.AUTHOR, Role.APPROVER, Role.PUBLISHER, Role.OPERATOR, Role.VIEWER)
}
NUMBERS, LISTS = ("pairing.hours",), ("pairing.networks",)
_MEMBERS = {
    "scan": "pairing.scan",
    "by_code": "pairing.code",
    "device_hours": "pairing.hours",
    "same_network": "pairing.sameNetwork",
    "device_networks": "pairing.networks",
    **{field: f"pairing.roles.{role.name.lower()}" for field, role in _ROLES.items()},
}


class DeviceRole(NamedTuple):
    """``field``: its name in the form."""

    field: str
    name: str
    is_ticked: bool


class DeviceForm(FactorForm, frozen=True, rename=_MEMBERS, kw_only=True):
    """As it is typed: networks a line each, a box for each role. The rules before it in the form are in it too."""

    scan: str = ""
    by_code: str = ""
    device_hours: str = ""
    same_network: str = ""
    device_networks: str = ""
    device_author: str = ""
    device_approver: str = ""
    device_publisher: str = ""
    device_operator: str = ""
    device_viewer: str = ""

    @property
    def device_roles(self) -> tuple[DeviceRole, ...]:
        return tuple(
            DeviceRole(_MEMBERS[field], role.value, bool(getattr(self, field))) for field, role in _ROLES.items()
        )


def typed_of(stored: StoredSettings) -> dict[str, str]:
    """The part of the form that says what is stored, by the members of :class:`DeviceForm`."""
    rules = stored.pairing
    return {
        "scan": "on" if rules.scan else "",
        "by_code": "on" if rules.code else "",
        "device_hours": str(rules.hours),
        "same_network": "on" if rules.same_network else "",
        "device_networks": "\n".join(rules.networks),
        **{field: "on" if role in rules.roles else "" for field, role in _ROLES.items()},
    }


def asked(form: DeviceForm, old: StoredSettings) -> dict[str, Any]:
    """The settings that the form asks for, but for its numbers and lists of lines."""
    ticked = [role for field, role in _ROLES.items() if getattr(form, field)]
    before = list(old.pairing.roles)
    return {
        "pairing.scan": bool(form.scan),
        "pairing.code": bool(form.by_code),
        "pairing.sameNetwork": bool(form.same_network),
        "pairing.roles": [role.value for role in (before if set(ticked) == set(before) else ticked)],
    }


def changes(old: StoredSettings, new: StoredSettings) -> Iterator[str]:
    """A sentence for each; none where nothing changes. They count for devices that are let in from then on."""
    was, now = old.pairing, new.pairing
    if was.scan != now.scan:
        yield (
            "Users let a device in by a code that it scans." if now.scan
            else "No device is let in by scanning any more."
        )  # fmt: skip
    if was.code != now.code:
        yield (
            "Users let a device in by the code that it shows. An attacker could send one to them: be sure that they "
            "know." if now.code else "No device is let in by the code that it shows any more."
        )  # fmt: skip
    if set(was.roles) != set(now.roles):
        yield f"A device gets these roles of its user: {', '.join(role.value for role in now.roles)}."
    if was.hours != now.hours:
        yield f"A device is signed out after {now.hours} {'hour' if now.hours == 1 else 'hours'}."
    if was.same_network != now.same_network:
        yield (
            "Device and user have to be in the same network." if now.same_network
            else "A device may be in another network than its user."
        )  # fmt: skip
    if was.networks != now.networks:
        yield (
            f"These networks count as the same: {', '.join(now.networks)}." if now.networks
            else "Private addresses count as the same network."
        )  # fmt: skip
