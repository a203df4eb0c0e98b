"""Rules of a client: each is one type and one member of the client's settings.

A :class:`Rule` stands beside the bounds in the type of a member of :mod:`.settings` or :mod:`.device_rules`. From it
follow the body of a change, the form of the console, a change in words, and which changes only an Admin may make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.permissions import Role

Control = Literal["check", "boxes", "select", "number", "length", "lines", "text"]


class Effects(NamedTuple):
    """How many sessions and users a change concerns.

    ``sessions_ended``: open sessions that are older than the new length; ``with_password``: active users who have one;
    ``due``: those of them whose password is older than the new age; ``to_enrol``: active users who have to set up a
    second factor and did not have to before; ``trust_ended``: browsers that are asked for it again. 0 where the rule in
    question stays. ``locks_admins_out``: no Admin can sign in any longer.
    """

    sessions_ended: int = 0
    with_password: int = 0
    due: int = 0
    to_enrol: int = 0
    trust_ended: int = 0
    locks_admins_out: bool = False


class Change(NamedTuple):
    """A change of one rule. ``was``, ``now``: its values; ``old``, ``new``: all settings of the client."""

    was: Any
    now: Any
    old: Any
    new: Any
    effects: Effects = Effects()


Weaker = Callable[[Change], bool]


def never(_: Change) -> bool:
    """Anyone who manages settings may make every change."""
    return False


def lower(change: Change) -> bool:
    """The number is lower than before."""
    return bool(change.now < change.was)


def higher(change: Change) -> bool:
    """The number is higher than before."""
    return bool(change.now > change.was)


def longer(change: Change) -> bool:
    """The limit is longer than before. 0 is no limit."""
    return bool(change.was and (not change.now or change.now > change.was))


def turned_on(change: Change) -> bool:
    """The rule is on, and was off."""
    return bool(change.now and not change.was)


def turned_off(change: Change) -> bool:
    """The rule is off, and was on."""
    return bool(change.was and not change.now)


def changed(change: Change) -> bool:
    """The value is another one."""
    return bool(change.now != change.was)


class Rule(NamedTuple):
    """What a rule means to people.

    ``section``: of the console's form; ``hint`` can name the bounds, ``{low}`` and ``{high}``. ``said``: a change in
    words, a sentence or several. ``weaker``: whether only an Admin may make a change. ``choices``: values and labels of
    a list, or of boxes. ``box``: the name of the field of a box, from the member and the value.
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
    """A member of the settings that has a rule. ``name``: on the wire, ``password.minLength``; ``path``: of attributes;
    ``values``: of which a list is made."""

    name: str
    path: tuple[str, ...]
    rule: Rule
    control: Control
    hint: str
    values: tuple[str, ...] = ()

    def of(self, settings: msgspec.Struct) -> Any:
        """Return the value in a client's settings."""
        return reduce(getattr, self.path, settings)

    def change(self, old: msgspec.Struct, new: msgspec.Struct, effects: Effects = Effects()) -> Change:  # noqa: B008
        return Change(self.of(old), self.of(new), old, new, effects)

    def is_locked(self, settings: msgspec.Struct) -> bool:
        """Whether only an Admin may change a rule that is on or off, or that has choices, to any other value."""
        now = self.of(settings)
        others = [not now] if self.control == "check" else [one for one, _ in self.rule.choices if one != now]
        changes = [Change(now, other, settings, settings) for other in others]
        return self.control in ("check", "select") and bool(changes) and all(map(self.rule.weaker, changes))


def leaves(model: type[msgspec.Struct], path: tuple[str, ...] = (), under: str = "") -> Iterator[Leaf]:
    """The members of settings that have a rule, those of groups too, in their order."""
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
    hint = rule.hint.format(low=meta.ge, high=meta.le)
    return Leaf(name=name, path=path, rule=rule, control=control, hint=hint, values=values)


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def change_of(model: type[msgspec.Struct], **namespace: Any) -> type[msgspec.Struct]:
    """The body of a change of settings: every member is optional, those of groups too. ``namespace``: of the class."""
    members = []
    for name, kind in get_type_hints(model, include_extras=True).items():
        if name in model.__struct_fields__:
            part = change_of(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else kind
            members.append((name, Union[part, UnsetType], UNSET))  # noqa: UP007 - kinds are values
    return msgspec.defstruct(
        f"{model.__name__}Change",
        members,
        rename="camel",
        frozen=True,
        module=model.__module__,
        namespace={"__doc__": f"A change of :class:`{model.__name__}`.", **namespace},
    )
