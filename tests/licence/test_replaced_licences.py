"""A license replaces another immediately and completely, and what a newer one revokes stays revoked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from sqlalchemy import select

from manifest_auth.audit import INSTALLATION
from manifest_auth.licence import Seats, State
from manifest_auth.maintenance import demo
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.runtime.settings import load
from manifest_auth.store import tenant_scoped
from manifest_auth.store.tables import audit_events
from tests.licence.seat_attempts import outcome, shown
from tests.licence.vendor import DAY, PUBLIC, install, key, on_premise
from tests.support.application import FAST, App
from tests.support.rules import rule


@rule("LICENCE")
async def test_a_license_that_a_newer_one_revokes_does_not_come_back(premise: App) -> None:
    old, other = key(premise, id="L-1"), key(premise, id="L-3")
    assert (await install(premise, old)).status == 200
    assert (await install(premise, key(premise, id="L-2", revokes=("L-1", "L-0")))).status == 200
    for _ in range(2):
        assert outcome(await install(premise, old)) == ("LICENSE_INVALID", "The license key is invalid")
        assert outcome(await install(premise, key(premise, id="L-0"))).code == "LICENSE_INVALID"
        assert (await install(premise, other)).status == 200  # revokes nothing itself
    assert (await shown(premise))["licenseId"] == "L-3"


async def test_a_key_that_is_rejected_revokes_nothing(premise: App) -> None:
    now = premise.clock.ms // 1000
    for bad in (
        key(premise, id="L-2", revokes=("L-1",), installation="elsewhere"),
        key(premise, id="L-2", revokes=("L-1",), issued_at=now - 2 * DAY, expires_at=now - DAY),
        key(premise, id="L-1", revokes=("L-1",)),
    ):
        assert outcome(await install(premise, bad)).code == "LICENSE_INVALID"
    assert (await install(premise, key(premise, id="L-1"))).status == 200


async def test_revoking_and_installing_at_the_same_time_leaves_no_revoked_one_in_force(premise: App) -> None:
    for n in range(12):
        one, two = key(premise, id=f"old-{n}"), key(premise, id=f"new-{n}", revokes=(f"old-{n}",))
        await asyncio.gather(*(install(premise, text) for text in (one, two, one, one)))
        assert (await shown(premise))["licenseId"] == f"new-{n}"


async def test_while_one_takes_the_place_of_another_no_one_is_rejected(premise: App) -> None:
    await install(premise, key(premise, id="L-0"))
    token = (await premise.sign_in(client="acme")).data["token"]

    async def ask() -> set[int]:
        seen = set()
        for _ in range(30):
            premise.clock.advance(0.2)  # the cached license becomes outdated
            seen.add((await premise.me(token)).status)
        return seen

    async def replace() -> set[int]:
        return {(await install(premise, key(premise, id=f"L-{n}", seats=Seats(full=n)))).status for n in range(10)}

    assert [*await asyncio.gather(ask(), replace())] == [{200}, {200}]
    found = await shown(premise)
    assert (found["licenseId"], found["seats"]["full"]) == ("L-9", 9)


async def test_every_install_is_in_the_trail_with_what_it_grants(premise: App) -> None:
    await install(premise, key(premise, id="L-7", seats=Seats(1, 2, 3), revokes=("L-6",)))
    await install(premise, key(premise, id="L-6"))
    rows: list[Any] = await premise.services.store.of(INSTALLATION).read(
        lambda unit: unit.all(
            tenant_scoped(select(audit_events.c.event, audit_events.c.detail).order_by(audit_events.c.sequence))
        )
    )
    events = [(event, json.loads(detail)) for event, detail in rows if event.startswith("license")]
    assert [event for event, _ in events] == ["license_installed", "license_refused"]
    assert events[0][1]["seats"] == {"full": 1, "operate": 2, "connect": 3}
    assert events[0][1]["revokes"] == ["L-6"]
    assert (events[0][1]["replaces"], events[0][1]["features"], events[0][1]["graceDays"]) == (None, ["sso"], 14)
    assert events[1][1] == {"why": "revoked"}
    assert not any(text in detail for text in ("MANIFEST1", "eyJ") for _, detail in rows)


async def test_the_demo_fills_a_store_without_a_license_and_counts_after_that(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    settings = {**FAST, "MANIFEST_DATA_DIR": str(tmp_path), "MANIFEST_DATABASE_URL": url,
                "MANIFEST_DEPLOYMENT": "on-premise", "MANIFEST_LICENSE_PUBLIC_KEY": PUBLIC}  # fmt: skip
    async with opened(build_services(load(settings))) as services:
        assert await demo.fill(services)
        found = await services.licence.overview()
        assert found.status.state is State.MISSING
        assert found.used == Seats(full=7, operate=1, connect=2)
    async with on_premise(url) as app:
        assert (await app.sign_in(client="acme")).code == "LICENSE_REQUIRED"
