"""Warnings before a license expires: a header in the grace period, metrics, the admin API, and the log."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.licence import Seats
from manifest_auth.maintenance.licence_watch import watch
from tests.licence.seat_attempts import shown
from tests.licence.vendor import DAY, PATH, install, key
from tests.support.application import App
from tests.support.statements import counted_statements

pytestmark = pytest.mark.still

HEADER = "x-license-warning"
SEATS = {"full": 3, "operate": 2, "connect": 1}


async def told(app: App, *, admin: bool = False) -> str | None:
    """The header of a response to a client's user, or to a system admin."""
    if admin:
        return (await app.get("/api/admin/clients", token=await app.admin_token())).headers.get(HEADER)
    return (await app.sign_in(client="acme")).headers.get(HEADER)


def sample(app: App, name: str, **labels: str) -> float | None:
    return app.services.metrics.registry.get_sample_value(name, labels)


async def test_the_grace_time_is_told_with_every_answer(premise: App) -> None:
    await install(premise, key(premise, expires_at=premise.clock.ms // 1000 + 40 * DAY))
    assert (await told(premise), await told(premise, admin=True)) == (None, None)
    premise.clock.advance(11 * DAY)
    assert await told(premise) is None  # only system admins are warned in advance
    assert await told(premise, admin=True) == "license expires at 2027-02-24T08:00:00.000Z"
    premise.clock.advance(30 * DAY)
    line = "license expired at 2027-02-24T08:00:00.000Z; access ends at 2027-03-10T08:00:00.000Z"
    reply = await premise.sign_in(client="acme")
    assert (reply.status, reply.headers[HEADER]) == (200, line)
    assert (await premise.sign_in(password="wrong", client="acme")).headers[HEADER] == line
    assert (await premise.graphql("{ me { id } }", reply.data["token"])).headers[HEADER] == line
    assert await told(premise, admin=True) == line
    assert (await premise.get("/healthz")).headers.get(HEADER) is None
    assert (await shown(premise))["warning"] == line
    premise.clock.advance(14 * DAY)
    assert await told(premise) is None
    assert await told(premise, admin=True) == line.replace("ends", "ended")


async def test_without_a_license_system_admins_are_told(premise: App) -> None:
    assert await told(premise, admin=True) == "no license is installed"
    anonymous = await premise.get("/api/admin/clients")
    assert anonymous.headers.get(HEADER) is None


async def test_metrics_say_how_many_days_and_seats_are_left(premise: App) -> None:
    await watch(premise.services)
    assert sample(premise, "manifest_license_days_left") == 0
    assert sample(premise, "manifest_license_seats", type="full", count="used") == 10
    assert sample(premise, "manifest_license_seats", type="full", count="granted") == 0
    await install(premise, key(premise, expires_at=premise.clock.ms // 1000 + 10 * DAY, seats=Seats(**SEATS)))
    assert sample(premise, "manifest_license_days_left") == 10
    premise.clock.advance(12.5 * DAY)
    await watch(premise.services)
    assert sample(premise, "manifest_license_days_left") == -2.5
    for kind, granted in SEATS.items():
        assert sample(premise, "manifest_license_seats", type=kind, count="granted") == granted
    text = (await premise.get("/metrics")).text
    assert "manifest_license_days_left -2.5" in text


async def test_the_admin_plane_shows_all_that_is_granted_and_taken(premise: App) -> None:
    before = await shown(premise)
    assert (before["state"], before["seats"], before["seatsFree"]) == ("missing", None, None)
    assert before["seatsUsed"] == {"full": 10, "operate": 2, "connect": 2}
    text = key(premise, seats=Seats(11, 5, 1), installation=before["installationId"])
    after: dict[str, Any] = (await install(premise, text)).data
    assert after == await shown(premise)
    assert after["seatsUsed"] == before["seatsUsed"]
    assert after["seatsFree"] == {"full": 1, "operate": 3, "connect": 3}
    assert (after["issuedAt"], after["expiresAt"], after["graceEndsAt"]) == (
        "2027-01-15T08:00:00.000Z", "2028-01-15T08:00:00.000Z", "2028-01-29T08:00:00.000Z",
    )  # fmt: skip
    assert after["warning"] is None


async def test_a_clock_set_back_is_told(premise: App) -> None:
    await install(premise, key(premise))
    premise.clock.advance(3 * DAY)
    await watch(premise.services)
    assert (await shown(premise))["warning"] is None
    premise.clock.advance(-DAY)
    premise.services.licence.reported_set_back = False
    await watch(premise.services)
    assert premise.services.licence.reported_set_back
    assert "the clock is behind" in (await shown(premise))["warning"]


async def test_hosted_mode_asks_the_store_nothing_of_it(app: App) -> None:
    token = await app.admin_token()
    with counted_statements() as seen:
        await watch(app.services)
        body = {"email": "hosted@acme.example", "roles": ["Viewer"]}
        user = (await app.post("/api/admin/clients/acme/users", body, token=token)).data["id"]
        path = f"/api/admin/clients/acme/users/{user}"
        await app.send("PUT", f"{path}/roles", {"roles": ["Admin"]}, token=token)
        await app.post(f"{path}/deactivate", token=token)
        assert (await app.post(f"{path}/restore", token=token)).status == 200
    assert len(seen) > 10
    assert [sql for sql in seen if "licences" in sql or "seats_taken" in sql] == []
    assert "manifest_license" not in (await app.get("/metrics")).text
    found = (await app.get(PATH, token=token)).data
    assert (found["state"], found["seatsUsed"], found["warning"]) == ("not-needed", None, None)
    assert found["installationId"]
