"""View models of the provider pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from manifest_auth.operations.providers.recently import Recently
from manifest_auth.pages.console.provider_forms import Shown
from manifest_auth.pages.console.provider_presets import Preset
from manifest_auth.permissions import Role, role_names
from manifest_auth.protocols.oidc import Finding as Found
from manifest_auth.sign_in.providers.provider_tries import Tried

LIST = "/console/providers"
NEW = f"{LIST}/new"
STEPS = (
    ("ours", "Our values"),
    ("theirs", "Their values"),
    ("rules", "Who gets in"),
    ("test", "Test"),
    ("try", "Try it"),
    ("live", "Go live"),
)


class Step(NamedTuple):
    """``href``: empty while the provider is not made."""

    key: str
    title: str
    href: str


class Head(msgspec.Struct, frozen=True):
    """What all pages of one provider begin with. ``path``: its page; ``current``: key of the step, empty for the
    overview; ``gives``: what an Admin confirms who saves it; ``saved``: a step was saved just now."""

    name: str
    display_name: str
    preset: Preset
    path: str
    steps: tuple[Step, ...]
    current: str
    is_new: bool = False
    is_on: bool = False
    reaches_admins: bool = True
    gives: tuple[str, ...] = ()
    saved: bool = False

    @property
    def following(self) -> Step | None:
        """The step behind this one."""
        keys = [step.key for step in self.steps]
        number = keys.index(self.current) + 1 if self.current in keys else 0
        return self.steps[number] if number < len(self.steps) else None


class Row(NamedTuple):
    name: str
    display_name: str
    preset: Preset
    path: str
    is_on: bool
    reaches_admins: bool
    domains: tuple[str, ...]
    recently: Recently


class ListView(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]


class ChooseView(msgspec.Struct, frozen=True):
    presets: tuple[Preset, ...]


class Value(NamedTuple):
    """Of ours, to be copied."""

    id: str
    label: str
    value: str


class OursView(msgspec.Struct, frozen=True):
    """``certificates``: of our keys, base64, newest first."""

    head: Head
    values: tuple[Value, ...]
    certificates: tuple[str, ...] = ()


class Certificate(NamedTuple):
    subject: str
    ends: str
    fingerprint: str


class TheirsView(msgspec.Struct, frozen=True):
    """``action``: where the form goes; ``hidden``: that goes along; ``certificates``: those that are pinned."""

    head: Head
    action: str
    display_name: str
    fields: tuple[Shown, ...]
    more: tuple[Shown, ...]
    hidden: tuple[tuple[str, str], ...] = ()
    certificates: tuple[Certificate, ...] = ()


class RoleRow(NamedTuple):
    """``groups``: one a line."""

    role: str
    groups: str
    everyone: bool


class DomainRow(NamedTuple):
    """``field``: of the form; ``counts``: whether it is proved to be the client's."""

    field: str
    domain: str
    is_listed: bool
    counts: bool


class FactorRule(NamedTuple):
    """Who answers for the second factor: ``trust``, ``claims`` or ``ask``; ``amr``, ``acr``: accepted values, one a
    line; ``without_time``: a sign-in there is a recent proof though no time arrives."""

    answers: str
    amr: str
    acr: str
    without_time: bool


class RulesView(msgspec.Struct, frozen=True):
    """``factor``: None where no one signs in at the provider."""

    head: Head
    create_users: bool
    roles: tuple[RoleRow, ...]
    domains: tuple[DomainRow, ...]
    group_separator: str
    return_addresses: str
    factor: FactorRule | None


class Finding(NamedTuple):
    """``step``: of the wizard, where it is mended."""

    level: str
    text: str
    step: str


_WORST_FIRST = ("bad", "unknown", "note", "ok")
_MENDED_AT = {"settings": "theirs", "rules": "rules"}


def findings_of(found: Iterable[Found]) -> tuple[Finding, ...]:
    """The findings of a test, what is wrong first."""
    each = (Finding(one.level, one.text, _MENDED_AT[one.about]) for one in found)
    return tuple(sorted(each, key=lambda one: _WORST_FIRST.index(one.level)))


class TestView(msgspec.Struct, frozen=True):
    """``findings``: None before the test; ``works``: None where the test cannot tell."""

    head: Head
    findings: tuple[Finding, ...] | None = None
    works: bool | None = None

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings or ())


class TryView(msgspec.Struct, frozen=True):
    """``tried``: None before the try; ``roles``: names of those that the person would have; ``auth_at``: milliseconds,
    0 where ``auth_time`` is no number."""

    head: Head
    tried: Tried | None
    roles: tuple[str, ...] = ()
    auth_at: int = 0


class LiveView(msgspec.Struct, frozen=True):
    """``start``: where a sign-in begins, empty where no one signs in; ``tried``: the last try, by
    this session or as the trail has it; None for none lately."""

    head: Head
    start: str
    tried: Tried | None
    domains: tuple[str, ...]


class OverviewView(msgspec.Struct, frozen=True):
    head: Head
    start: str
    recently: Recently
    domains: tuple[str, ...]
    create_users: bool
    default_roles: tuple[str, ...]
    groups: int
    second_factor: str
    next: Step


class DeleteView(msgspec.Struct, frozen=True):
    """``people``: how many are linked."""

    head: Head
    people: int


def path_of(name: str) -> str:
    return f"{LIST}/{name}"


def steps_of(address: str, *, signs_in: bool) -> tuple[Step, ...]:
    """The wizard's steps for a provider that is saved. ``signs_in``: whether people sign in there."""
    return tuple(Step(key, title, f"{address}?step={key}") for key, title in STEPS if signs_in or key != "try")


def new_steps(preset: Preset, name: str, *, signs_in: bool) -> tuple[Step, ...]:
    """The wizard's steps for a provider that is not saved yet; only the first two have addresses.

    ``signs_in``: whether there is a step to try a sign-in.
    """
    start = f"{NEW}?preset={preset.key}&name={name}"
    here = {"ours": start, "theirs": f"{start}&step=theirs"}
    return tuple(Step(key, title, here.get(key, "")) for key, title in STEPS if signs_in or key != "try")


def our_values(preset: Preset, ourselves: Any) -> tuple[Value, ...]:
    """Our addresses and names, which the preset's provider asks for, those that its kind has. ``ourselves``: an
    ``OurselvesData``."""
    values = ((member, label, getattr(ourselves, member)) for member, label in preset.ours)
    return tuple(Value(*value) for value in values if value[-1])


def role_rows(settings: dict[str, Any]) -> tuple[RoleRow, ...]:
    """The rows of the form that gives roles by group. ``settings``: of a provider, as on the wire."""
    lines = settings.get("groupRoles", ())
    return tuple(
        RoleRow(
            role.value,
            "\n".join(line["group"] for line in lines if role.value in line["roles"]),
            role.value in settings.get("defaultRoles", ()),
        )
        for role in Role
    )


def try_view(head: Head, tried: Tried | None) -> TryView:
    if tried is None:
        return TryView(head, None)
    return TryView(head, tried, role_names(tried.roles), _moment(tried.auth_time))


def _moment(seconds: str) -> int:
    """Milliseconds of a number that can be a time; 0: it cannot."""
    number = float(seconds) if re.fullmatch(r"\d{1,10}(?:\.\d+)?", seconds) else 0.0
    return int(number * 1000)
