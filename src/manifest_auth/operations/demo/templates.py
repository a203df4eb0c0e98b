"""The demo's templates, in each of their states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth.operations.demo.visits import Visit
from manifest_auth.work import template_operations, templates
from manifest_auth.work.versions import NewStep

PUMP = (
    NewStep("Close the inlet valve", "Turn clockwise until it stops, then hang the lock on it."),
    NewStep("Read the pressure gauge", "In bar, with a picture of the gauge.", requires_evidence=True),
    NewStep("Listen for cavitation", "Anything that sounds like gravel?", requires_evidence=True),
    NewStep("Open the inlet valve"),
)
FORKLIFT = (
    NewStep("Look at tyres and forks", "Cuts, cracks, bent tips."),
    NewStep("Test horn and brakes", requires_evidence=True),
    NewStep("Note the hour meter", requires_evidence=True),
)
BOILER = (
    NewStep("Check the water level"),
    NewStep("Start the feed pump"),
    NewStep("Raise the pressure slowly", "At most 1 bar in ten minutes.", requires_evidence=True),
)
EXTINGUISHERS = (NewStep("Seal and pin are there"), NewStep("Pressure is in the green", requires_evidence=True))
CONFINED = (NewStep("Measure oxygen", "At least 19.5 %.", requires_evidence=True), NewStep("Name the attendant"))


class Writers(NamedTuple):
    """Those who work on templates, signed in."""

    author: Visit
    approver: Visit
    publisher: Visit


async def add(by: Writers, name: str, about: str, steps: tuple[NewStep, ...]) -> int:
    """A draft; the template's id."""
    made = await by.author.work(lambda unit, actor: template_operations.add(unit, actor, name, about, steps))
    return made.id


async def move(visit: Visit, operation: Callable[..., Any], template_id: int, *more: object) -> None:
    """One move of the latest version."""
    await visit.work(
        lambda unit, actor: operation(unit, actor, template_operations.read_latest(unit, template_id), *more)
    )


async def submit(by: Writers, template_id: int, comment: str = "") -> None:
    """Submits the latest version, as the author."""
    await move(by.author, template_operations.submit, template_id, comment)


async def approve(by: Writers, template_id: int, comment: str = "") -> None:
    """Approves the latest version, as the approver."""
    await move(by.approver, template_operations.approve, template_id, comment)


async def reject(by: Writers, template_id: int, comment: str) -> None:
    """Rejects the latest version, as the approver."""
    await move(by.approver, template_operations.reject, template_id, comment)


async def publish(by: Writers, template_id: int, comment: str = "") -> None:
    """Submits, approves and publishes the draft."""
    await submit(by, template_id)
    await approve(by, template_id, comment)
    await move(by.publisher, template_operations.publish, template_id)


async def next_version(by: Writers, template_id: int, steps: tuple[NewStep, ...]) -> None:
    """A new version with other steps, published."""
    await move(by.author, template_operations.add_version, template_id)
    await move(by.author, template_operations.edit, template_id, 1, steps)
    await publish(by, template_id)


async def archive(by: Writers, template_id: int, comment: str) -> None:
    """Archives the template, as the publisher."""
    await by.publisher.work(
        lambda unit, actor: template_operations.archive(unit, actor, templates.get(unit, template_id), comment)
    )
