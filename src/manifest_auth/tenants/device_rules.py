"""A client's rules for devices: which roles a device gets, for how long, and how it is let in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.permissions import Role
from manifest_auth.runtime.settings import Network, networks_of

#: Roles that no device ever gets: a stolen one would manage users.
_NEVER = frozenset({Role.ADMIN, Role.USER_ADMIN})
#: Roles that every manager of rules may give to devices; the others only an Admin.
_PLAIN = frozenset({Role.OPERATOR, Role.VIEWER})
#: What counts as the same network where a client lists none.
_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10"

Scan = Annotated[bool, Meta(description="Users pair a device by a code on their phone, which the device scans.")]
ByCode = Annotated[bool, Meta(description="Users let a device in by typing the code that it shows (RFC 8628).")]
DeviceRoles = Annotated[
    tuple[Role, ...],
    Meta(min_length=1, max_length=5, description="Of the user's roles, a device gets these; never Admin, User Admin."),
]
DeviceHours = Annotated[int, Meta(ge=1, le=24, description="A device is signed out so many hours after its approval.")]
SameNetwork = Annotated[bool, Meta(description="Device and user have to be in the same network.")]
Networks = Annotated[
    tuple[Annotated[str, Meta(max_length=64)], ...],
    Meta(max_length=50, description="Networks that count as the same, in CIDR form; none: private addresses do."),
]
BadgesOn = Annotated[bool, Meta(description="Users sign in at enrolled devices by badge and PIN.")]
PinLength = Annotated[int, Meta(ge=6, le=12, description="Minimum number of digits of a PIN.")]
BadgeHours = Annotated[int, Meta(ge=1, le=24, description="A sign-in by badge ends after so many hours.")]
IdleMinutes = Annotated[int, Meta(ge=1, le=240, description="It ends after so many minutes without use.")]


class PairingRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for devices that a user lets in."""

    scan: Scan = True
    code: ByCode = False
    roles: DeviceRoles = (Role.OPERATOR, Role.VIEWER)
    hours: DeviceHours = 12
    same_network: SameNetwork = True
    networks: Networks = ()


class BadgeRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for badges at its own shared devices."""

    enabled: BadgesOn = False
    pin_length: PinLength = 6
    hours: BadgeHours = 10
    idle_minutes: IdleMinutes = 15


class PairingRulesChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`PairingRules`."""

    scan: Scan | UnsetType = UNSET
    code: ByCode | UnsetType = UNSET
    roles: DeviceRoles | UnsetType = UNSET
    hours: DeviceHours | UnsetType = UNSET
    same_network: SameNetwork | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET


class BadgeRulesChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`BadgeRules`."""

    enabled: BadgesOn | UnsetType = UNSET
    pin_length: PinLength | UnsetType = UNSET
    hours: BadgeHours | UnsetType = UNSET
    idle_minutes: IdleMinutes | UnsetType = UNSET


def wrong(rules: PairingRules) -> Iterator[tuple[str, str]]:
    """What is wrong: member and sentence."""
    if _NEVER.intersection(rules.roles):
        yield "pairing.roles", "No device gets the role Admin or User Admin"
    for number, network in enumerate(rules.networks):
        try:
            is_one = "," not in network and len(networks_of(network)) == 1
        except ValueError:
            is_one = False
        if not is_one:
            yield f"pairing.networks[{number}]", "Must be a network like 192.0.2.0/24 or 2001:db8::/32"


def weakened(before: PairingRules, after: PairingRules) -> dict[str, bool]:
    """By member, whether only an Admin may change it so: the devices of Admins would be let in more easily, or stay
    longer."""
    known = networks(before)
    return {
        "pairing.scan": after.scan and not before.scan,
        "pairing.code": after.code and not before.code,
        "pairing.roles": bool({*after.roles} - {*before.roles} - _PLAIN),
        "pairing.hours": after.hours > before.hours,
        "pairing.sameNetwork": before.same_network and not after.same_network,
        "pairing.networks": any(not any(_is_within(one, other) for other in known) for one in networks(after)),
    }


def badges_weakened(before: BadgeRules, after: BadgeRules) -> dict[str, bool]:
    """As :func:`weakened`."""
    return {
        "badge.enabled": after.enabled and not before.enabled,
        "badge.pinLength": after.pin_length < before.pin_length,
        "badge.hours": after.hours > before.hours,
        "badge.idleMinutes": after.idle_minutes > before.idle_minutes,
    }


def _is_within(one: Network, other: Network) -> bool:
    return one.version == other.version and other.supernet_of(one)  # type: ignore[arg-type]  # of one version


@lru_cache(maxsize=1024)
def networks(rules: PairingRules) -> tuple[Network, ...]:
    """The networks that count as the same."""
    return networks_of(",".join(rules.networks) or _PRIVATE)
