"""Templates and jobs for tests of other features, created by the operations in one unit of work."""

from __future__ import annotations

import itertools

from manifest_auth.accounts import users
from manifest_auth.licence import UNCOUNTED
from manifest_auth.permissions import Role, mask_of
from manifest_auth.store import TenantUnit
from manifest_auth.work import Actor, job_operations, template_operations, templates
from manifest_auth.work.jobs import Job
from manifest_auth.work.template_operations import VersionSnapshot
from manifest_auth.work.templates import Template
from manifest_auth.work.versions import NewStep, Version

_numbers = itertools.count(1)
STEPS = (
    NewStep("Close the valve", "", False),
    NewStep("Read the gauge", "In bar.", True),
    NewStep("Open it", "", False),
)


def user(unit: TenantUnit, *roles: Role, email: str = "") -> int:
    """A user for one test, who is an Operator by default."""
    number = next(_numbers)
    made = users.create(
        unit,
        UNCOUNTED,
        email=email or f"worker-{number}@work.example",
        first_name="Wil",
        last_name=f"Worker {number}",
        title="",
        roles=mask_of(list(roles or (Role.OPERATOR,))),
        password_hash=None,
        now=1,
    )
    return made.id


def published(unit: TenantUnit, by: Actor, *steps: NewStep, name: str = "Valve check") -> Template:
    """A template with one published version."""
    template = template_operations.add(unit, by, name, "", steps or STEPS)
    publish_latest(unit, by, template.id)
    return templates.get(unit, template.id)


def publish_latest(unit: TenantUnit, by: Actor, template_id: int) -> Version:
    """Move the latest version from draft to published."""
    for move in (template_operations.submit, template_operations.approve):
        move(unit, by, template_operations.read_latest(unit, template_id))
    return template_operations.publish(unit, by, template_operations.read_latest(unit, template_id))


def next_version(unit: TenantUnit, by: Actor, template_id: int, *steps: NewStep) -> Version:
    """Add another version and publish it; it has the previous steps unless some are given."""
    draft = template_operations.add_version(unit, by, template_operations.read_latest(unit, template_id))
    if steps:
        seen: VersionSnapshot = template_operations.read_latest(unit, template_id)
        template_operations.edit(unit, by, seen, draft.revision, steps)
    return publish_latest(unit, by, template_id)


def job(unit: TenantUnit, by: Actor, *steps: NewStep, started: bool = False) -> Job:
    """A job with a separate template."""
    made = job_operations.add(unit, by, template_id=published(unit, by, *steps).id)
    return job_operations.start(unit, by, made.id) if started else made
