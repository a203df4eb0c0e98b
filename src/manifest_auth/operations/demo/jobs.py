"""The demo's jobs, in each of their states, and what was recorded in them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from manifest_auth.operations.demo import picture
from manifest_auth.operations.demo.visits import Visit
from manifest_auth.services import Services
from manifest_auth.work import files, job_operations, records
from manifest_auth.work.job_rules import Priority, value_of


async def add(by: Visit, template_id: int, name: str, asset: str, priority: Priority, *users: int) -> int:
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
    data, key, quota = picture.gauge(), services.random.bytes(20).hex(), services.settings.upload_quota
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
            unit, actor, key=key, name="gauge.png", media_type="image/png", size=size,
            sha256=hashlib.sha256(data).hexdigest(), quota=quota,
        )
    )  # fmt: skip
    return added.id
