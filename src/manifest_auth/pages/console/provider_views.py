"""View models of the provider pages, and the way between their forms and the members of a body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from manifest_auth.clients.providers.diagnosis import RecentActivity
from manifest_auth.errors import ValidationError
from manifest_auth.pages.console.provider_kinds import FIELDS, Field, Preset, fitting
from manifest_auth.permissions import Role, role_names
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider
from manifest_auth.providers.settings import Rules
from manifest_auth.sign_in.providers.kind import CertificateData, OurselvesData
from manifest_auth.sign_in.providers.provider_proofs import Tried
from manifest_auth.tenants.claims import Claim

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

if TYPE_CHECKING:

    class TheirsForm(msgspec.Struct, frozen=True):
        """All fields of all kinds, each a text; empty: not filled in."""

        preset: str = ""
        name: str = ""
        displayName: str = ""
else:
    _FORM_NAMES = {field.attribute: field.path for fields in FIELDS.values() for field in fields}
    TheirsForm = msgspec.defstruct(
        "TheirsForm",
        [("preset", str, ""), ("name", str, ""), ("displayName", str, ""), *((name, str, "") for name in _FORM_NAMES)],
        rename=_FORM_NAMES,
        frozen=True,
        module=__name__,
    )


class FieldView(NamedTuple):
    """A field as the template shows it. ``is_kept``: a secret that is stored, and is not shown."""

    field: Field
    value: str
    is_kept: bool = False


def body_of_form(kind: str, form: TheirsForm, metadata: str = "") -> dict[str, Any]:
    """The members of a body that the form gives. Left out: empty secrets, and what metadata gives in place of fields.
    ``metadata``: fetched, in place of what was pasted."""
    given = {field.path: getattr(form, field.attribute) for field in FIELDS[kind]}
    if metadata:
        given["saml.metadata"] = metadata
    has_metadata = bool(given.get("saml.metadata", "").strip())
    members: dict[str, Any] = {}
    for field in FIELDS[kind]:
        text = given[field.path]
        is_empty = field.input in ("secret", "prose") and not text.strip()
        if not (is_empty or field.is_asked_only or (field.is_imported and has_metadata)):
            _put(members, field.path, _member(field, text))
    return members


def shown(kind: str, values: Mapping[str, Any], *, has_secret: bool) -> tuple[FieldView, ...]:
    """The fields with the members that are stored. ``values``: of a body."""
    found = []
    for field in FIELDS[kind]:
        value = _text(field, _get(values, field.path))
        found.append(FieldView(field, value, field.input == "secret" and has_secret))
    return tuple(found)


def shown_again(kind: str, form: TheirsForm, *, has_secret: bool) -> tuple[FieldView, ...]:
    """The fields as they were typed; never a secret."""
    return tuple(
        FieldView(field, "", has_secret)
        if field.input == "secret"
        else FieldView(field, getattr(form, field.attribute))
        for field in FIELDS[kind]
    )


def _member(field: Field, text: str) -> Any:
    if field.input == "flag":
        return bool(text)
    if field.input == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if field.input == "words":
        return text.split()
    if field.input == "certificates":
        return list(_certificates(text))
    return text if field.input == "prose" else text.strip()


def _certificates(text: str) -> Iterator[str]:
    """PEM blocks, and else a certificate in each line."""
    yield from _PEM.findall(text)
    yield from (line.strip() for line in _PEM.sub("", text).splitlines() if line.strip())


def _text(field: Field, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, list | tuple):
        return (" " if field.input == "words" else "\n").join(value)
    return value if isinstance(value, str) else ""


def _put(members: dict[str, Any], path: str, value: Any) -> None:
    first, _, rest = path.partition(".")
    if rest:
        _put(members.setdefault(first, {}), rest, value)
    else:
        members[first] = value


def _get(members: Mapping[str, Any], path: str) -> Any:
    first, _, rest = path.partition(".")
    found = members.get(first)
    return _get(found, rest) if rest and isinstance(found, Mapping) else found


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


class ListView(msgspec.Struct, frozen=True):
    providers: list[Provider]
    activity: dict[int, RecentActivity]

    def preset(self, provider: Provider) -> Preset:
        return fitting(provider.kind, provider.issuer)

    def recently(self, provider: Provider) -> RecentActivity:
        return self.activity.get(provider.id, RecentActivity())


class ChooseView(msgspec.Struct, frozen=True):
    presets: tuple[Preset, ...]


class OursView(msgspec.Struct, frozen=True):
    head: Head
    ours: OurselvesData

    @property
    def values(self) -> list[tuple[str, str, str]]:
        """Names, labels and texts of our values that the preset's provider asks for, and its kind has."""
        values = ((member, label, getattr(self.ours, member)) for member, label in self.head.preset.ours)
        return [value for value in values if value[-1]]


class TheirsView(msgspec.Struct, frozen=True):
    """``action``: where the form goes; ``hidden``: that goes along; ``certificates``: those that are pinned."""

    head: Head
    action: str
    display_name: str
    fields: tuple[FieldView, ...]
    more: tuple[FieldView, ...]
    hidden: tuple[tuple[str, str], ...] = ()
    certificates: tuple[CertificateData, ...] = ()


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


_WORST_FIRST = ("bad", "unknown", "note", "ok")


def findings_of(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings of a test, what is wrong first."""
    return tuple(sorted(found, key=lambda one: _WORST_FIRST.index(one.level)))


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
    recently: RecentActivity
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


MOST_DOMAINS = 50  # in the form, which may have a hundred fields


def _attributes() -> dict[str, str]:
    """Names of the form's fields, by those of the model's attributes."""
    own = ("createUsers", "groupSeparator", "returnAddresses", "secondFactor", "amr", "acr", "stepUpWithoutTime")
    names = {name: name for name in own}
    for role in Role:
        names |= {groups_of(role): groups_field(role.value), everyone_of(role): everyone_field(role.value)}
    return names | {f"domain{number}": f"domain{number}" for number in range(MOST_DOMAINS)}


def groups_of(role: Role) -> str:
    return f"groups_{role.name}"


def everyone_of(role: Role) -> str:
    return f"everyone_{role.name}"


def groups_field(role: str) -> str:
    return f"groups.{role.replace(' ', '-')}"


def everyone_field(role: str) -> str:
    return f"everyone.{role.replace(' ', '-')}"


if TYPE_CHECKING:

    class RulesForm(msgspec.Struct, frozen=True):
        """Each field a text; a box that is not checked is empty."""

        createUsers: str = ""
        groupSeparator: str = ""
        returnAddresses: str = ""
        secondFactor: str = ""
        amr: str = ""
        acr: str = ""
        stepUpWithoutTime: str = ""
else:
    _RULES_NAMES = _attributes()
    RulesForm = msgspec.defstruct(
        "RulesForm", [(name, str, "") for name in _RULES_NAMES], rename=_RULES_NAMES, frozen=True, module=__name__
    )


def body_of_rules(form: RulesForm, shown: Iterable[str], listed: Iterable[str]) -> dict[str, Any]:
    """The members of a body. ``shown``: domains that the form offered; ``listed``: those of the provider, of which
    others than the shown ones stay. Raises ValidationError for a domain that is in neither."""
    groups: dict[str, list[str]] = {}
    for role in Role:
        for line in getattr(form, groups_of(role)).splitlines():
            if line.strip():
                groups.setdefault(line.strip(), []).append(role.value)
    chosen = [domain for number in range(MOST_DOMAINS) if (domain := getattr(form, f"domain{number}"))]
    shown, listed = set(shown), tuple(listed)
    if foreign := [domain for domain in chosen if domain not in shown and domain not in listed]:
        raise ValidationError(details=[("domains", f"{foreign[0][:253]} is not proved for this client")])
    kept = [domain for domain in listed if domain in chosen or domain not in shown]
    return {
        "createUsers": bool(form.createUsers),
        "groupRoles": [{"group": group, "roles": roles} for group, roles in groups.items()],
        "defaultRoles": [role.value for role in Role if getattr(form, everyone_of(role))],
        "groupSeparator": form.groupSeparator,
        "returnAddresses": _lines(form.returnAddresses),
        "domains": list(dict.fromkeys([*kept, *chosen])),
        "secondFactor": form.secondFactor or "trust",
        "amr": _lines(form.amr),
        "acr": _lines(form.acr),
        "stepUpWithoutTime": bool(form.stepUpWithoutTime),
    }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def factor_rule(rules: Rules) -> FactorRule:
    """What the form shows of the rule for the second factor."""
    return FactorRule(rules.second_factor, "\n".join(rules.amr), "\n".join(rules.acr), rules.step_up_without_time)


def typed_factor_rule(form: RulesForm) -> FactorRule:
    """The same, as it was typed."""
    return FactorRule(form.secondFactor, form.amr, form.acr, bool(form.stepUpWithoutTime))


def typed_roles(form: RulesForm) -> tuple[RoleRow, ...]:
    """The rows as they were typed."""
    return tuple(
        RoleRow(role.value, getattr(form, groups_of(role)), bool(getattr(form, everyone_of(role)))) for role in Role
    )


def domain_rows(claims: Iterable[Claim], listed: tuple[str, ...]) -> tuple[DomainRow, ...]:
    """Domains that are proved, and those that the provider has already."""
    offered = [claim for claim in claims if claim.counts or claim.domain in listed][:MOST_DOMAINS]
    return tuple(
        DomainRow(f"domain{number}", claim.domain, claim.domain in listed, claim.counts)
        for number, claim in enumerate(offered)
    )


def typed_domains(rows: tuple[DomainRow, ...], form: RulesForm) -> tuple[DomainRow, ...]:
    """The rows with the ticks of the submitted form."""
    chosen = {getattr(form, f"domain{number}") for number in range(MOST_DOMAINS)}
    return tuple(row._replace(is_listed=row.domain in chosen) for row in rows)
