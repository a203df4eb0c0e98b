"""The status of the installation, and the networks that can reach the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.application import App, running
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rows import NEWEST_SCHEMA
from tests.support.rules import rule
from tests.support.system_admins import AUTH, sign_in, signed_in_admin

pytestmark = pytest.mark.one_store

STATUS = "/api/admin/status"
INSIDE, OUTSIDE = "203.0.113.9", "198.51.100.7"


async def test_the_status_has_release_database_and_counts(app: App, database_url: str) -> None:
    root = await signed_in_admin(app)
    before = check_success(await root.get(STATUS))
    assert before["schema"] == NEWEST_SCHEMA
    assert before["store"] == ("sqlite" if database_url.startswith("sqlite") else "postgresql")
    assert (before["deployment"], before["licenseState"]) == ("hosted", "not-needed")
    assert before["lastBackupAt"] is None
    assert before["counts"]["users"] == before["counts"]["activeUsers"] == 14
    assert before["counts"]["clients"] == 2
    assert before["counts"]["systemAdmins"] == 1
    app.clock.advance(90)
    await app.sign_in("viewer@acme.example")
    check_success(await root.post("/api/admin/clients/globex/suspend"))
    check_success(await root.post(f"/api/admin/clients/acme/users/{app.ids['author@acme.example']}/deactivate"))
    after = check_success(await root.get(STATUS))
    assert after["uptime"] == before["uptime"] + 90
    assert after["startedAt"] == before["startedAt"]
    changed = {name: after["counts"][name] - before["counts"][name] for name in after["counts"]}
    assert {name: by for name, by in changed.items() if by} == {
        "suspendedClients": 1, "openSessions": 1, "activeUsers": -1,
    }  # fmt: skip
    assert "secret" not in str(after).lower()


async def test_omitted_settings_do_not_change(app: App) -> None:
    root = await signed_in_admin(app)
    path = "/api/admin/settings"
    seen = check_success(await root.get(path))
    assert seen == {
        "secondFactorRequired": False, "adminAddresses": "", "environmentAdminAddresses": "", "clientDeletionDays": 30,
        "clientDeletionAudit": "delete",
    }  # fmt: skip
    assert check_success(await root.send("PATCH", path, seen)) == seen
    for wrong in ({"secondFactorRequired": 1}, {"secondFactorRequired": "true"}, {"secondFactorRequired": None},
                  {}, {"adminAddress": "10.0.0.0/8"}, {"clientDeletionDays": 31}, {"clientDeletionAudit": "keep"},
                  {"environmentAdminAddresses": "10.0.0.0/8"}):  # fmt: skip
        check_refusal(await root.send("PATCH", path, wrong), 400, "VALIDATION_ERROR")


@pytest.fixture
async def fenced(database_url: str) -> AsyncIterator[App]:
    """The admin API limited to one network; every peer is treated as the proxy."""
    more = {"MANIFEST_ADMIN_ADDRESSES": "203.0.113.0/28, 2001:db8::/32", "MANIFEST_TRUSTED_PROXIES": "192.0.2.1"}
    async with running(database_url, **more) as app:
        app.clock.advance(86_400)
        yield app


@rule("ADMIN-PLANE")
@matrix(
    ("address", "there"),
    [(INSIDE, True), ("203.0.113.15", True), ("203.0.113.16", False), (OUTSIDE, False), ("2001:db8::1", True),
     ("2001:db9::1", False), (f"::ffff:{INSIDE}", True), (f"::ffff:{OUTSIDE}", False), (f"{INSIDE}, {OUTSIDE}", False),
     (f"{OUTSIDE}, {INSIDE}", True), ("unknown", False), (f"{INSIDE}:41000", True),
     (f"{INSIDE}, {OUTSIDE}:41000", False), ("[2001:db8::1]:41000", True)],
)  # fmt: skip
async def test_the_admin_api_exists_only_for_listed_addresses(fenced: App, address: str, there: bool) -> None:
    headers = {"X-Forwarded-For": address}
    reply = await sign_in(fenced, "root", headers=headers)
    if there:
        token = check_success(reply)["token"]
        check_success(await fenced.get(STATUS, token=token, headers=headers))
    else:
        check_refusal(reply, 404, "NOT_FOUND")


@rule("ADMIN-PLANE")
async def test_other_addresses_get_not_found_with_any_credential(fenced: App) -> None:
    inside, outside = {"X-Forwarded-For": INSIDE}, {"X-Forwarded-For": OUTSIDE}
    token = check_success(await sign_in(fenced, "root", headers=inside))["token"]
    unknown = await fenced.get("/api/nothing", headers=outside)
    for method, path in (("GET", STATUS), ("POST", f"{AUTH}/sign-in"), ("PUT", STATUS), ("GET", "/api/admin/nothing"),
                         ("POST", f"{AUTH}/refresh"), ("GET", "/api/admin")):  # fmt: skip
        reply = await fenced.send(method, path, {} if method != "GET" else None, token=token, headers=outside)
        check_refusal(reply, 404, "NOT_FOUND")
        same_but_request_id(reply, unknown)
    check_success(await fenced.get(STATUS, token=token, headers=inside))
    check_success(await fenced.sign_in("viewer@acme.example", headers=outside))  # users can connect from anywhere


async def test_no_header_names_an_address_to_a_server_that_trusts_no_proxy(database_url: str) -> None:
    async with running(database_url, MANIFEST_ADMIN_ADDRESSES=INSIDE) as app:
        check_refusal(await sign_in(app, "root", headers={"X-Forwarded-For": INSIDE}), 404, "NOT_FOUND")
