"""View models of the provider pages, and the conversion between their forms and the members of a body."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from manifest_auth.errors import ValidationError
from manifest_auth.pages.account.frame import names_of
from manifest_auth.pages.console.provider_kinds import FIELDS, Field, Preset
from manifest_auth.permissions import Role, roles_of
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers.settings import Rules
from manifest_auth.sign_in.providers.kind import CertificateData, OurselvesData
from manifest_auth.sign_in.providers.provider_proofs import Tried
from manifest_auth.tenants.claims import Claim
from manifest_auth.text.languages import marked as _

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

if TYPE_CHECKING:

    class TheirsForm(msgspec.Struct, frozen=True):
        """All fields of all kinds, each a text; empty if not filled in. ``rename``: only shows the values for a
        name."""

        preset: str = ""
        name: str = ""
        rename: str = ""
        displayName: str = ""
else:
    _FORM_NAMES = {field.attribute: field.path for fields in FIELDS.values() for field in fields}
    TheirsForm = msgspec.defstruct(
        "TheirsForm",
        [(name, str, "") for name in ("preset", "name", "rename", "displayName", *_FORM_NAMES)],
        rename=_FORM_NAMES,
        frozen=True,
        module=__name__,
    )


class FieldView(NamedTuple):
    """A field as the template shows it. ``is_kept``: it is a stored secret, which is not shown."""

    field: Field
    value: str
    is_kept: bool = False


def body_of_form(kind: str, form: TheirsForm, metadata: str = "") -> dict[str, Any]:
    """Returns the members of a body from the form, without empty secrets and without members that metadata provides.
    ``metadata``: fetched metadata, which replaces pasted metadata."""
    given = typed_texts(kind, form)
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


def theirs_view(
    head: Head,
    kind: str,
    texts: Mapping[str, str],
    display_name: str,
    ours: OurselvesData,
    *,
    has_secret: bool = False,
    certificates: tuple[CertificateData, ...] = (),
    hidden: tuple[tuple[str, str], ...] = (),
) -> SimpleNamespace:
    """Returns the server's values, and the form of the provider's. ``texts``: by the paths of the fields; a secret is
    never shown again."""
    shown = [
        FieldView(field, "", has_secret) if field.input == "secret" else FieldView(field, texts[field.path])
        for field in FIELDS[kind]
    ]
    return SimpleNamespace(
        head=head,
        action=NEW if head.is_new else f"{head.path}/theirs",
        display_name=display_name,
        fields=[one for one in shown if not one.field.is_more],
        more=[one for one in shown if one.field.is_more],
        certificates=certificates,
        hidden=hidden,
        ours=[(member, label, value) for member, label in head.preset.ours if (value := getattr(ours, member))],
        our_certificates=ours.certificates,
    )


def stored_texts(kind: str, members: Mapping[str, Any]) -> dict[str, str]:
    """Returns the texts of the fields, by their paths. ``members`` come from a body."""
    return {field.path: _text(field, _get(members, field.path)) for field in FIELDS[kind]}


def typed_texts(kind: str, form: TheirsForm) -> dict[str, str]:
    """Returns the texts of the fields as they were typed, by their paths."""
    return {field.path: getattr(form, field.attribute) for field in FIELDS[kind]}


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
    """Yields PEM blocks, or one certificate per line."""
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
    ("theirs", _("Provider settings")),
    ("rules", _("Access")),
    ("live", _("Test and turn on")),
)


class Step(NamedTuple):
    """A step of the wizard. ``href``: empty until the provider is saved; ``state``: ``done``, ``bad``, or empty."""

    key: str
    title: str
    href: str
    state: str = ""


class Head(msgspec.Struct, frozen=True):
    """The common content of all pages of one provider. ``path``: its page; ``current``: key of the step, empty for the
    overview; ``gives``: what an Admin confirms by saving it."""

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

    @property
    def following(self) -> Step | None:
        """Returns the next step."""
        keys = [step.key for step in self.steps]
        number = keys.index(self.current) + 1 if self.current in keys else 0
        return self.steps[number] if number < len(self.steps) else None


_WORST_FIRST = ("bad", "unknown", "note", "ok")


def tested(found: list[Finding] | None, works: bool | None) -> SimpleNamespace | None:
    """Returns the result of a test, problems first. ``found``: None before the test."""
    if found is None:
        return None
    findings = sorted(found, key=lambda one: _WORST_FIRST.index(one.level))
    return SimpleNamespace(findings=findings, works=works, counts=Counter(one.level for one in found))


def path_of(name: str) -> str:
    return f"{LIST}/{name}"


def steps_of(address: str, states: Mapping[str, str]) -> tuple[Step, ...]:
    """Returns the wizard's steps for a saved provider. ``states``: by step."""
    return tuple(Step(key, title, f"{address}?step={key}", states.get(key, "")) for key, title in STEPS)


def try_view(tried: Tried) -> SimpleNamespace:
    """Returns the result of a test sign-in."""
    return SimpleNamespace(tried=tried, roles=names_of(roles_of(tried.roles)), auth_at=_moment(tried.auth_time))


def _moment(seconds: str) -> int:
    """Returns the milliseconds of a number that is a valid time, or 0."""
    number = float(seconds) if re.fullmatch(r"\d{1,10}(?:\.\d+)?", seconds) else 0.0
    return int(number * 1000)


MOST_DOMAINS = 50  # shown in the form, which can have at most a hundred fields
NEW_GROUPS = 3  # empty rows of the table


def _attributes() -> dict[str, str]:
    """Maps the model's attributes to the names of the form's fields."""
    own = ("createUsers", "groupSeparator", "returnAddresses", "secondFactor", "amr", "acr", "stepUpWithoutTime")
    names = {name: name for name in (*own, "remove", "more", *map(group_of, range(NEW_GROUPS)))}
    for role in Role:
        for row in ("everyone", *map(group_of, range(NEW_GROUPS))):
            names[box_of(row, role)] = f"{row}.{role.value.replace(' ', '-')}"
    return names | {f"domain{number}": f"domain{number}" for number in range(MOST_DOMAINS)}


def group_of(row: int) -> str:
    """Returns the field for the name of a new group."""
    return f"group{row}"


def box_of(row: str, role: Role) -> str:
    """Returns the attribute of a checkbox in the table of roles. ``row``: the field of a group, or ``everyone``."""
    return f"{row}_{role.name}"


def _ticked(form: RulesForm, row: str) -> list[str]:
    return [role.value for role in Role if getattr(form, box_of(row, role))]


if TYPE_CHECKING:

    class RulesForm(msgspec.Struct, frozen=True):
        """The rules form. Each field is a text, and an unchecked box is empty. ``remove``: a group; ``more``: the page
        is shown again, with empty rows."""

        remove: str = ""
        more: str = ""
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


def _groups(form: RulesForm, before: Rules) -> dict[str, list[str]]:
    """Returns the roles by group: the previous ones without a removed group, plus those of completed rows, which
    replace others of the same group. Raises ValidationError for an incomplete row."""
    groups = {one.group: [role.value for role in one.roles] for one in before.group_roles if one.group != form.remove}
    for row in map(group_of, range(NEW_GROUPS)):
        group, roles = getattr(form, row).strip(), _ticked(form, row)
        if bool(group) != bool(roles):
            wrong = (
                _("Choose a role for the group %(group)s", group=group)
                if group
                else _("Enter the group for these roles")
            )
            raise ValidationError(details=[(row, wrong)])
        if group:
            groups[group] = roles
    return groups


def body_of_rules(form: RulesForm, shown: Iterable[str], before: Rules) -> dict[str, Any]:
    """Returns the members of a body. ``shown``: domains that the form offered; ``before``: the provider's rules, whose
    other domains stay. Raises ValidationError for a domain that is in neither."""
    groups, chosen = _groups(form, before), chosen_domains(form)
    shown, listed = set(shown), before.domains
    if foreign := [domain for domain in chosen if domain not in shown and domain not in listed]:
        raise ValidationError(
            details=[("domains", _("%(domain)s isn't verified for this client", domain=foreign[0][:253]))]
        )
    kept = [domain for domain in listed if domain in chosen or domain not in shown]
    return {
        "createUsers": bool(form.createUsers),
        "groupRoles": [{"group": group, "roles": roles} for group, roles in groups.items()],
        "defaultRoles": _ticked(form, "everyone"),
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


def suggested(rules: Rules, claims: Iterable[Claim], taken: Collection[str]) -> Rules:
    """Returns rules for a new provider: people of the client's own domains get an account, as Viewers. ``taken``:
    domains of other providers."""
    own = tuple(claim.domain for claim in claims if claim.counts and claim.domain not in taken)[:MOST_DOMAINS]
    return msgspec.structs.replace(rules, default_roles=(Role.VIEWER,), create_users=bool(own), domains=own)


def rules_form(rules: Rules, group: str = "") -> RulesForm:
    """Returns the form with the stored values, without domains. ``group``: the group being edited."""
    edited = {box_of("group0", role): "on" for one in rules.group_roles if one.group == group for role in one.roles}
    return RulesForm(
        createUsers="on" if rules.create_users else "",
        groupSeparator=rules.group_separator,
        returnAddresses="\n".join(rules.return_addresses),
        secondFactor=rules.second_factor,
        amr="\n".join(rules.amr),
        acr="\n".join(rules.acr),
        stepUpWithoutTime="on" if rules.step_up_without_time else "",
        **({"group0": group, **edited} if edited else {}),
        **{box_of("everyone", role): "on" for role in rules.default_roles},
    )


def rules_view(
    head: Head, form: RulesForm, rules: Rules, offered: Iterable[Claim], chosen: Collection[str], *, signs_in: bool
) -> SimpleNamespace:
    """Returns the form for who can sign in. ``rules``: as stored; ``offered``: from :func:`offered_domains`;
    ``chosen``: the checked ones; ``rows``: rows of the table that can be edited: field, name of the group, names of its
    roles."""
    fields = ("everyone", *map(group_of, range(NEW_GROUPS)))
    return SimpleNamespace(
        head=head,
        form=form,
        roles=[role.value for role in reversed(Role)],  # lowest privilege first
        groups=[(one.group, [role.value for role in reversed(Role) if role in one.roles]) for one in rules.group_roles],
        rows=[(row, getattr(form, row, ""), _ticked(form, row)) for row in fields],
        domains=[(f"domain{number}", claim, claim.domain in chosen) for number, claim in enumerate(offered)],
        signs_in=signs_in,
    )


def offered_domains(claims: Iterable[Claim], listed: tuple[str, ...]) -> list[Claim]:
    """Returns verified domains, and those that the provider already has."""
    return [claim for claim in claims if claim.counts or claim.domain in listed][:MOST_DOMAINS]


def chosen_domains(form: RulesForm) -> list[str]:
    """Returns the domains that are checked in the submitted form."""
    return [domain for number in range(MOST_DOMAINS) if (domain := getattr(form, f"domain{number}"))]
