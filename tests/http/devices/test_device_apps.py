"""Apps of devices: one that every client has, and more that its managers make, rename and remove."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.people import member

pytestmark = pytest.mark.one_store
APPS = "/api/client/device-apps"


async def test_they_are_made_renamed_and_removed(app: App) -> None:
    client = await new_client(app)
    clerk = (await member(app, client, "User Admin")).token
    made = check_success(await app.post(APPS, {"name": "Inspection"}, token=clerk), 201)
    assert made["id"].startswith("app_")
    assert len(made["id"]) == 20
    check_success(await app.send("PATCH", f"{APPS}/{made['id']}", {"name": "Inspection 2"}, token=clerk))
    items = check_success(await app.get(APPS, token=clerk))["items"]
    assert [(one["id"], one["name"]) for one in items] == [
        (f"manifest.{client}", "Manifest"), (made["id"], "Inspection 2"),
    ]  # fmt: skip
    twin = check_success(await app.get(f"/api/admin/clients/{client}/device-apps", token=await app.admin_token()))
    assert twin["items"] == items
    assert check_success(await app.send("DELETE", f"{APPS}/{made['id']}", token=clerk)) == {"ended": 0}
    events = [(one.event, one.subject) for one in await trail(app, client)]
    subject = f"device_app:{made['id']}"
    assert events[-3:] == [(f"device_app_{what}", subject) for what in ("created", "changed", "removed")]


async def test_the_one_of_every_client_stays_and_anothers_is_not_there(app: App) -> None:
    client, other = await new_client(app), await new_client(app)
    clerk, foreign = [(await member(app, one, "Admin")).token for one in (client, other)]
    for method, body in (("PATCH", {"name": "X"}), ("DELETE", None)):
        check_refusal(await app.send(method, f"{APPS}/manifest.{client}", body, token=clerk), 409, "CONFLICT")
        check_refusal(await app.send(method, f"{APPS}/manifest.{other}", body, token=clerk), 404, "NOT_FOUND")
    made = check_success(await app.post(APPS, {"name": "Inspection"}, token=foreign), 201)
    check_refusal(await app.send("DELETE", f"{APPS}/{made['id']}", token=clerk), 404, "NOT_FOUND")


async def test_there_are_fifty_at_most(app: App) -> None:
    client = await new_client(app)
    path, root = f"/api/admin/clients/{client}/device-apps", await app.admin_token()
    for number in range(50):
        check_success(await app.post(path, {"name": f"App {number}"}, token=root), 201)
    check_refusal(await app.post(path, {"name": "One more"}, token=root), 409, "CONFLICT")
