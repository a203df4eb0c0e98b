"""A client's rules for devices: which roles a device gets, for how long, and how it is let in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.permissions import Role
from manifest_auth.runtime.settings import Network, networks_of
from manifest_auth.tenants import rules
from manifest_auth.tenants.rules import Rule
from manifest_auth.text.canonical import NETWORK
from manifest_auth.text.json_schema import matching, one_of

#: Roles that no device ever gets: a stolen one would manage users.
_NEVER = frozenset({Role.ADMIN, Role.USER_ADMIN})
#: Roles that every manager of rules may give to devices; the others only an Admin.
_PLAIN = frozenset({Role.OPERATOR, Role.VIEWER})
#: What counts as the same network where a client lists none.
_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10"

Scan = Annotated[
    bool,
    Meta(description="Users pair a device by a code on their phone, which the device scans."),
    Rule(
        "pairing",
        "The device scans a code that its user shows",
        weaker=rules.turned_on,
        said=lambda c: (
            "Users let a device in by a code that it scans." if c.now else "No device is let in by scanning any more."
        ),
    ),
]
ByCode = Annotated[
    bool,
    Meta(description="Users let a device in by typing the code that it shows (RFC 8628)."),
    Rule(
        "pairing",
        "The user types a code that the device shows",
        weaker=rules.turned_on,
        hint="Off unless you need it: an attacker could send a code to a user.",
        said=lambda c: (
            "Users let a device in by the code that it shows. An attacker could send one to them: be sure "
            "that they know."
            if c.now
            else "No device is let in by the code that it shows any more."
        ),
    ),
]
DeviceRoles = Annotated[
    tuple[Annotated[Role, Meta(extra_json_schema=one_of(*(role.value for role in Role if role not in _NEVER)))], ...],
    Meta(min_length=1, max_length=5, description="Of the user's roles, a device gets these; never Admin, User Admin."),
    Rule(
        "pairing",
        "Of its user\u2019s roles the device gets",
        choices=tuple((role.value, role.value) for role in Role if role not in _NEVER),
        weaker=lambda c: bool({*c.now} - {*c.was} - _PLAIN),
        said=lambda c: f"A device gets these roles of its user: {', '.join(role.value for role in c.now)}.",
    ),
]
DeviceHours = Annotated[
    int,
    Meta(ge=1, le=24, description="A device is signed out so many hours after its approval."),
    Rule(
        "pairing",
        "Hours until it is signed out",
        hint="{low} to {high}.",
        weaker=rules.higher,
        said=lambda c: f"A device is signed out after {_count(c.now, 'hour')}.",
    ),
]
SameNetwork = Annotated[
    bool,
    Meta(description="Device and user have to be in the same network."),
    Rule(
        "pairing",
        "Device and user have to be in the same network",
        weaker=rules.turned_off,
        said=lambda c: (
            "Device and user have to be in the same network."
            if c.now
            else "A device may be in another network than its user."
        ),
    ),
]
Networks = Annotated[
    tuple[Annotated[str, Meta(max_length=64, extra_json_schema=matching(NETWORK))], ...],
    Meta(max_length=50, description="Networks that count as the same, in CIDR form; none: private addresses do."),
    Rule(
        "pairing",
        "Networks that count as the same, one on each line",
        hint="Like 192.0.2.0/24. None: private addresses do.",
        weaker=lambda c: any(not any(_is_within(one, other) for other in _parsed(c.was)) for one in _parsed(c.now)),
        said=lambda c: (
            f"These networks count as the same: {', '.join(c.now)}."
            if c.now
            else "Private addresses count as the same network."
        ),
    ),
]
BadgesOn = Annotated[
    bool,
    Meta(description="Users sign in at enrolled devices by badge and PIN."),
    Rule(
        "badges",
        "People sign in with badge and PIN on devices that you enrol",
        weaker=rules.turned_on,
        hint="As Operator and Viewer alone, whatever else they may do.",
        said=lambda c: (
            "Operators and Viewers sign in on enrolled devices with a badge and a PIN."
            if c.now
            else "No one signs in with a badge any more. Who is signed in so stays until the shift ends."
        ),
    ),
]
PinLength = Annotated[
    int,
    Meta(ge=6, le=12, description="Minimum number of digits of a PIN."),
    Rule(
        "badges",
        "Digits of a PIN",
        hint="{low} to {high}, or more as people like.",
        weaker=rules.lower,
        said=lambda c: f"New PINs have at least {c.now} digits. PINs that are set stay as they are.",
    ),
]
BadgeHours = Annotated[
    int,
    Meta(ge=1, le=24, description="A sign-in by badge ends after so many hours."),
    Rule(
        "badges",
        "Hours of a shift",
        hint="{low} to {high}. Then the sign-in ends.",
        weaker=rules.higher,
        said=lambda c: f"A sign-in by badge ends after {_count(c.now, 'hour')}, whatever its use.",
    ),
]
IdleMinutes = Annotated[
    int,
    Meta(ge=1, le=240, description="It ends after so many minutes without use."),
    Rule(
        "badges",
        "Minutes without use",
        hint="{low} to {high}. Then it ends too.",
        weaker=rules.higher,
        said=lambda c: f"A sign-in by badge ends after {_count(c.now, 'minute')} without use.",
    ),
]


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


def wrong(pairing: PairingRules) -> Iterator[tuple[str, str]]:
    """What is wrong: member and sentence."""
    if _NEVER.intersection(pairing.roles):
        yield "pairing.roles", "No device gets the role Admin or User Admin"
    for number, network in enumerate(pairing.networks):
        try:
            is_one = "," not in network and len(networks_of(network)) == 1
        except ValueError:
            is_one = False
        if not is_one:
            yield f"pairing.networks[{number}]", "Must be a network like 192.0.2.0/24 or 2001:db8::/32"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _is_within(one: Network, other: Network) -> bool:
    return one.version == other.version and other.supernet_of(one)  # type: ignore[arg-type]  # of one version


@lru_cache(maxsize=1024)
def networks(pairing: PairingRules) -> tuple[Network, ...]:
    """The networks that count as the same."""
    return _parsed(pairing.networks)


def _parsed(listed: tuple[str, ...]) -> tuple[Network, ...]:
    return networks_of(",".join(listed) or _PRIVATE)
