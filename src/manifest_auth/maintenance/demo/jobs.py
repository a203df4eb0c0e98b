"""Templates and jobs of the demo, in each of their states, with a picture as evidence."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from manifest_auth.maintenance.demo.people import Visit
from manifest_auth.services import Services
from manifest_auth.work import files, job_operations, records, template_operations, templates
from manifest_auth.work.job_rules import Priority, value_of
from manifest_auth.work.versions import NewStep

# The picture that the demo's job has as evidence: a gauge, drawn here, so that no file comes with the program.


SIZE = 160  # pixels each way
_WHITE, _DARK, _RED = b"\xff\xff\xff", b"\x2b\x34\x3f", b"\xc6\x28\x28"
_NEEDLE = math.radians(-50)


def gauge() -> bytes:
    """A PNG file."""
    rows = b"".join(b"\0" + b"".join(_pixel(x - SIZE / 2, y - SIZE / 2) for x in range(SIZE)) for y in range(SIZE))
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)


def _pixel(x: float, y: float) -> bytes:
    distance, angle = math.hypot(x, y), math.atan2(y, x)
    along = math.cos(angle - _NEEDLE) * distance
    if distance < 7 or (0 < along < 52 and abs(math.sin(angle - _NEEDLE)) * distance < 2):
        return _RED
    is_mark = 54 < distance < 66 and abs(math.degrees(angle) % 30 - 15) > 13 and not 60 < math.degrees(angle) < 120
    return _DARK if is_mark or 70 < distance < 76 else _WHITE


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


# The demo's jobs, in each of their states, and what was recorded in them.


async def add_job(by: Visit, template_id: int, name: str, asset: str, priority: Priority, *users: int) -> int:
    """A new job; its id."""
    made = await by.work(
        lambda unit, actor: job_operations.add(
            unit, actor, template_id=template_id, name=name, asset_id=asset, priority=priority, assigned_user_ids=users
        )
    )
    return made.id


async def start(by: Visit, job_id: int) -> None:
    await by.work(lambda unit, actor: job_operations.start(unit, actor, job_id))


async def step(by: Visit, job_id: int, number: int, *recorded: dict[str, Any]) -> None:
    """Records these values for a step, and completes it."""
    for given in recorded:
        await record(by, job_id, number, **given)
    await by.work(lambda unit, actor: records.complete_step(unit, actor, job_id, number))


async def record(by: Visit, job_id: int, number: int, **given: Any) -> None:
    await by.work(lambda unit, actor: records.add(unit, actor, job_id, number, value_of(**given)))


async def complete(by: Visit, job_id: int) -> None:
    await by.work(lambda unit, actor: job_operations.complete(unit, actor, job_id))


async def cancel(by: Visit, job_id: int, comment: str) -> None:
    await by.work(lambda unit, actor: job_operations.cancel(unit, actor, job_id, comment))


async def upload(services: Services, by: Visit) -> int:
    """The picture, stored as an upload is; the file's id."""
    data, key, quota = gauge(), services.random.bytes(20).hex(), services.settings.upload_quota
    size = len(data)
    await by.work(
        lambda unit, actor: files.reserve(
            unit, actor, key=key, declared=size, largest=size, quota=quota, expires_at=actor.at + 1
        )
    )
    with TemporaryDirectory() as folder:
        path = Path(folder, "gauge.png")
        path.write_bytes(data)
        await services.files.store(path, key)
    added = await by.work(
        lambda unit, actor: files.add(
            unit,
            actor,
            key=key,
            name="gauge.png",
            media_type="image/png",
            size=size,
            sha256=hashlib.sha256(data).hexdigest(),
            quota=quota,
        )
    )
    return added.id


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


async def add_template(by: Writers, name: str, about: str, steps: tuple[NewStep, ...]) -> int:
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
