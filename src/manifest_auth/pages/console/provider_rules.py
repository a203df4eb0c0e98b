"""Between the form of who gets in and the members of a body: for each role the groups that give it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from manifest_auth.errors import ValidationError
from manifest_auth.pages.console.provider_views import DomainRow, FactorRule, RoleRow
from manifest_auth.permissions import Role
from manifest_auth.providers.settings import Rules
from manifest_auth.tenants.claims import Claim

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
    _NAMES = _attributes()
    RulesForm = msgspec.defstruct(
        "RulesForm", [(name, str, "") for name in _NAMES], rename=_NAMES, frozen=True, module=__name__
    )


def body_of(form: RulesForm, shown: Iterable[str], listed: Iterable[str]) -> dict[str, Any]:
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
