"""Rules of a client, and those for devices: each is one type and one member of the client's settings.

A :class:`Rule` stands next to the bounds in the type of a member of :mod:`.settings` or of the rules for devices. It
determines the body of a change, the console's form, the description of a change, and which changes only an Admin can
make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, reduce
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.permissions import Role
from manifest_auth.runtime.settings import Network, networks_of
from manifest_auth.text.canonical import NETWORK
from manifest_auth.text.languages import MarkedText, several
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import matching, one_of_texts

Control = Literal["check", "boxes", "select", "number", "length", "lines", "text"]


class Effects(NamedTuple):
    """The number of sessions and users that a change affects.

    ``sessions_ended``: open sessions that are older than the new length; ``with_password``: active users who have one;
    ``due``: those of them whose password is older than the new age; ``to_enrol``: active users who must set up a second
    factor but didn't have to before; ``trust_ended``: browsers that must enter it again. Each is 0 if the rule in
    question doesn't change. ``locks_admins_out``: no Admin can sign in any longer.
    """

    sessions_ended: int = 0
    with_password: int = 0
    due: int = 0
    to_enrol: int = 0
    trust_ended: int = 0
    locks_admins_out: bool = False


class Change(NamedTuple):
    """A change of one rule. ``was`` and ``now`` are its values; ``old`` and ``new`` are all settings of the client."""

    was: Any
    now: Any
    old: Any
    new: Any
    effects: Effects = Effects()


Weaker = Callable[[Change], bool]


def never(_change: Change) -> bool:
    """Whether only an Admin can make the change. Never: anyone who manages settings can."""
    return False


def lower(change: Change) -> bool:
    """Whether the number is lower than before."""
    return bool(change.now < change.was)


def higher(change: Change) -> bool:
    """Whether the number is higher than before."""
    return bool(change.now > change.was)


def longer(change: Change) -> bool:
    """Whether the limit is longer than before; 0 means no limit."""
    return bool(change.was and (not change.now or change.now > change.was))


def turned_on(change: Change) -> bool:
    """Whether the rule is on, and was off."""
    return bool(change.now and not change.was)


def turned_off(change: Change) -> bool:
    """Whether the rule is off, and was on."""
    return bool(change.was and not change.now)


def changed(change: Change) -> bool:
    """Whether the value differs."""
    return bool(change.now != change.was)


class Rule(NamedTuple):
    """The texts about a rule for people.

    ``section``: that of the console's form; ``hint``: can name the bounds, ``%(low)s`` and ``%(high)s``; ``said``:
    describes a change, in one or more sentences; ``weaker``: whether only an Admin can make a change; ``choices``:
    values and labels of a list, or of checkboxes; ``box``: the name of the field of a checkbox, from the member and the
    value.
    """

    section: str
    label: str
    said: Callable[[Change], str | Iterable[str]]
    hint: str = ""
    weaker: Weaker = never
    choices: tuple[tuple[Any, str], ...] = ()
    is_length: bool = False
    box: Callable[[str, str], str] = lambda name, value: f"{name}.{value.lower().replace(' ', '-')}"


class Leaf(NamedTuple):
    """A member of the settings that has a rule. ``name``: on the wire, ``password.minLength``; ``path``: its
    attributes; ``values``: the possible items of a list."""

    name: str
    path: tuple[str, ...]
    rule: Rule
    control: Control
    hint: str
    values: tuple[str, ...] = ()

    def of(self, settings: msgspec.Struct) -> Any:
        """Returns the value in a client's settings."""
        return reduce(getattr, self.path, settings)

    def change(self, old: msgspec.Struct, new: msgspec.Struct, effects: Effects = Effects()) -> Change:  # noqa: B008
        return Change(self.of(old), self.of(new), old, new, effects)

    def is_locked(self, settings: msgspec.Struct) -> bool:
        """Whether only an Admin can change a rule that is on or off, or that has choices, to any other value."""
        now = self.of(settings)
        others = [not now] if self.control == "check" else [one for one, _ in self.rule.choices if one != now]
        changes = [Change(now, other, settings, settings) for other in others]
        return self.control in ("check", "select") and bool(changes) and all(map(self.rule.weaker, changes))


def leaves(model: type[msgspec.Struct], path: tuple[str, ...] = (), under: str = "") -> Iterator[Leaf]:
    """Yields the members of settings that have a rule, including members of groups, in their order."""
    hints = get_type_hints(model, include_extras=True)
    for attribute, name in zip(model.__struct_fields__, model.__struct_encode_fields__, strict=True):
        kind, place = hints[attribute], (*path, attribute)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from leaves(kind, place, f"{under}{name}.")
        elif rule := next((one for one in getattr(kind, "__metadata__", ()) if isinstance(one, Rule)), None):
            yield _leaf(f"{under}{name}", place, kind, rule)


def _leaf(name: str, path: tuple[str, ...], kind: Any, rule: Rule) -> Leaf:
    meta = next((one for one in kind.__metadata__ if isinstance(one, Meta)), Meta())
    base = get_args(kind)[0]
    values: tuple[str, ...] = ()
    control: Control = "text" if base is str else "number"
    if get_origin(base) is tuple:
        roles = tuple(role.value for role in Role) if _plain(get_args(base)[0]) is Role else ()
        values = tuple(value for value, _ in rule.choices) or roles
        control = "boxes" if values else "lines"
    elif base is bool:
        control = "check"
    elif rule.choices:
        control = "select"
    elif rule.is_length:
        control = "length"
    hint = rule.hint.having(low=meta.ge or 0, high=meta.le or 0) if isinstance(rule.hint, MarkedText) else ""
    return Leaf(name=name, path=path, rule=rule, control=control, hint=hint, values=values)


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def change_of(model: type[msgspec.Struct], **namespace: Any) -> type[msgspec.Struct]:
    """Creates the body of a change, in which every member is optional, including members of groups. ``namespace``
    belongs to the class."""
    members = []
    for name, kind in get_type_hints(model, include_extras=True).items():
        if name in model.__struct_fields__:
            part = change_of(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else kind
            members.append((name, Union[part, UnsetType], UNSET))  # noqa: UP007 - kinds are values
    return msgspec.defstruct(
        f"{model.__name__.removesuffix('Body')}Change",
        members,
        rename="camel",
        frozen=True,
        module=model.__module__,
        namespace={"__doc__": f"A change of :class:`{model.__name__}`.", **namespace},
    )


#: Roles that no device ever gets, because a stolen one could manage users.
_NEVER = frozenset({Role.ADMIN, Role.USER_ADMIN})
#: Roles that every manager of rules can give to devices. Only an Admin can give the others.
_PLAIN = frozenset({Role.OPERATOR, Role.VIEWER})
#: The networks that count as the same if a client lists none.
_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10"

Scan = Annotated[
    bool,
    Meta(description="Users can pair a device with a code on their screen, which the device scans."),
    Rule(
        "pairing",
        _("Pair devices by scanning a code that the user shows"),
        weaker=turned_on,
        said=lambda c: (
            _("Users can pair a device with a code that it scans.")
            if c.now
            else _("Users can no longer pair devices by scanning a code.")
        ),
    ),
]
ByCode = Annotated[
    bool,
    Meta(description="Users can approve a device by entering the code that it shows (RFC 8628)."),
    Rule(
        "pairing",
        _("Pair devices with a code that the user enters"),
        weaker=turned_on,
        hint=_("Turn it on only if you need it. Attackers could send a code to a user."),
        said=lambda c: (
            _("Users can pair a device with the code that it shows. Warn them about codes that others send them.")
            if c.now
            else _("Users can no longer pair devices by entering a code.")
        ),
    ),
]
DeviceRoles = Annotated[
    tuple[
        Annotated[Role, Meta(extra_json_schema=one_of_texts(*(role.value for role in Role if role not in _NEVER)))], ...
    ],
    Meta(min_length=1, max_length=5, description="Roles of the user that a device gets. Never Admin or User Admin."),
    Rule(
        "pairing",
        _("Roles that devices get from their user"),
        choices=tuple((role.value, role.value) for role in Role if role not in _NEVER),
        weaker=lambda c: bool({*c.now} - {*c.was} - _PLAIN),
        said=lambda c: _(
            "Devices get these roles from their user: %(roles)s.", roles=", ".join(role.value for role in c.now)
        ),
    ),
]
DeviceHours = Annotated[
    int,
    Meta(ge=1, le=24, description="Hours after its approval until a device is signed out."),
    Rule(
        "pairing",
        _("Hours until devices are signed out"),
        hint=_("%(low)s to %(high)s"),
        weaker=higher,
        said=lambda c: several(
            "Devices are signed out after %(number)d hour.", "Devices are signed out after %(number)d hours.", c.now
        ),
    ),
]
SameNetwork = Annotated[
    bool,
    Meta(description="Device and user must be on the same network."),
    Rule(
        "pairing",
        _("Device and user must be on the same network"),
        weaker=turned_off,
        said=lambda c: (
            _("Device and user must be on the same network.")
            if c.now
            else _("Device and user can be on different networks.")
        ),
    ),
]
Networks = Annotated[
    tuple[Annotated[str, Meta(max_length=64, extra_json_schema=matching(NETWORK))], ...],
    Meta(max_length=50, description="Networks that count as the same, in CIDR notation. Default: private addresses."),
    Rule(
        "pairing",
        _("Trusted networks (optional)"),
        hint=_("One per line. For example, 192.0.2.0/24. Default: private addresses."),
        weaker=lambda c: any(not any(_is_within(one, other) for other in _parsed(c.was)) for one in _parsed(c.now)),
        said=lambda c: (
            _("Trusted networks: %(networks)s.", networks=", ".join(c.now))
            if c.now
            else _("Private addresses are trusted networks.")
        ),
    ),
]
BadgesOn = Annotated[
    bool,
    Meta(description="Users can sign in on enrolled devices with a badge and PIN."),
    Rule(
        "badges",
        _("Allow sign-in with badge and PIN on enrolled devices"),
        weaker=turned_on,
        hint=_("Users get only the Operator and Viewer roles there."),
        said=lambda c: (
            _("Operators and Viewers can sign in on enrolled devices with a badge and PIN.")
            if c.now
            else _("Nobody can sign in with a badge. Open badge sessions last until the shift ends.")
        ),
    ),
]
PinLength = Annotated[
    int,
    Meta(ge=6, le=12, description="Minimum number of digits of a PIN."),
    Rule(
        "badges",
        _("Minimum PIN length"),
        hint=_("%(low)s to %(high)s digits"),
        weaker=lower,
        said=lambda c: _("New PINs must have at least %(number)s digits. Existing PINs aren't affected.", number=c.now),
    ),
]
BadgeHours = Annotated[
    int,
    Meta(ge=1, le=24, description="Hours until a badge session ends."),
    Rule(
        "badges",
        _("Shift length (hours)"),
        hint=_("%(low)s to %(high)s. Badge sessions end after this time."),
        weaker=higher,
        said=lambda c: several(
            "Badge sessions end after %(number)d hour.", "Badge sessions end after %(number)d hours.", c.now
        ),
    ),
]
IdleMinutes = Annotated[
    int,
    Meta(ge=1, le=240, description="Minutes without use until a badge session ends."),
    Rule(
        "badges",
        _("Idle timeout (minutes)"),
        hint=_("%(low)s to %(high)s. Unused badge sessions end after this time."),
        weaker=higher,
        said=lambda c: several(
            "Badge sessions end after %(number)d minute without use.",
            "Badge sessions end after %(number)d minutes without use.",
            c.now,
        ),
    ),
]


class PairingRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for devices that users approve."""

    scan: Scan = True
    code: ByCode = False
    roles: DeviceRoles = (Role.OPERATOR, Role.VIEWER)
    hours: DeviceHours = 12
    same_network: SameNetwork = True
    networks: Networks = ()


class BadgeRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for badges on its shared devices."""

    enabled: BadgesOn = False
    pin_length: PinLength = 6
    hours: BadgeHours = 10
    idle_minutes: IdleMinutes = 15


def wrong_pairing(pairing: PairingRules) -> Iterator[tuple[str, str]]:
    """Yields the faults as member and message."""
    if _NEVER.intersection(pairing.roles):
        yield "pairing.roles", _("Devices can't get the Admin or User Admin role")
    for number, network in enumerate(pairing.networks):
        try:
            is_one = "," not in network and len(networks_of(network)) == 1
        except ValueError:
            is_one = False
        if not is_one:
            yield f"pairing.networks[{number}]", _("Enter a network. For example, 192.0.2.0/24 or 2001:db8::/32.")


def _is_within(one: Network, other: Network) -> bool:
    return one.version == other.version and other.supernet_of(one)  # type: ignore[arg-type]  # of one version


@lru_cache(maxsize=1024)
def networks(pairing: PairingRules) -> tuple[Network, ...]:
    """Returns the networks that count as the same."""
    return _parsed(pairing.networks)


def _parsed(listed: tuple[str, ...]) -> tuple[Network, ...]:
    return networks_of(",".join(listed) or _PRIVATE)
