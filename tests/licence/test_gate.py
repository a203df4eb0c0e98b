"""In on-premise mode, clients can't work without a license.

Warnings appear during the grace period, and setting the clock back doesn't help.
"""

from __future__ import annotations

import pytest

from manifest_auth.app import ROUTES
from manifest_auth.licence import Licence
from tests.licence.vendor import DAY, PATH, install, key, state
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.routes import filled
from tests.support.rules import rule

pytestmark = pytest.mark.one_store
FORM = "application/x-www-form-urlencoded"
CLIENT = [route for route in ROUTES if route.path.startswith("/api/client/")]


async def test_every_client_route_asks_for_a_license(premise: App) -> None:
    assert len(CLIENT) > 8
    for route in CLIENT:
        reply = await premise.send(route.method, filled(route.path), {} if route.body else None)
        assert reply.status == 403, route.path
        codes = reply.json["errors"][0]["extensions"] if "errors" in reply.json else reply.json["error"]
        assert codes["code"] == "LICENSE_REQUIRED", route.path


async def test_service_accounts_get_no_token_without_one(premise: App) -> None:
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"):
        reply = await premise.send("POST", path, content=b"", headers={"Content-Type": FORM})
        assert (reply.status, reply.json["error"]) == (403, "access_denied"), path
    assert (await premise.get("/.well-known/oauth-authorization-server")).status == 200


@rule("LICENCE")
async def test_health_and_the_admin_plane_work_without(premise: App) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs/api", "/metrics"):
        assert (await premise.get(path)).status == 200, path
    token = await premise.admin_token()
    assert (await premise.get("/api/admin/clients", token=token)).data["items"]
    assert await state(premise) == "missing"


async def test_a_license_allows_sign_in_and_says_what_it_grants(premise: App) -> None:
    reply = await install(premise, key(premise))
    assert reply.status == 200
    data = reply.data
    assert (data["state"], data["customer"], data["licenseId"]) == ("valid", "Initech Ltd", "L-1")
    assert data["seats"] == {"full": 10, "operate": 5, "connect": 0}
    assert data["features"] == ["sso"]
    assert data["expiresAt"].endswith("Z")
    assert (await premise.get(PATH, token=await premise.admin_token())).data == data
    token = (await premise.sign_in(client="acme")).data["token"]
    assert (await premise.me(token)).data["user"]


async def test_past_expiry_there_is_a_grace_time_and_then_an_end(premise: App) -> None:
    await install(premise, key(premise, expires_at=premise.clock.ms // 1000 + 10 * DAY))
    premise.clock.advance(10 * DAY - 1)
    assert await state(premise) == "valid"
    premise.clock.advance(2)
    assert await state(premise) == "grace"
    assert (await premise.sign_in(client="acme")).status == 200
    premise.clock.advance(14 * DAY - 3)
    assert await state(premise) == "grace"
    token = (await premise.sign_in(client="acme")).data["token"]
    premise.clock.advance(3)
    assert await state(premise) == "expired"
    assert (await premise.sign_in(client="acme")).code == "LICENSE_EXPIRED"
    assert (await premise.me(token)).code == "LICENSE_EXPIRED"
    assert (await premise.get("/healthz")).status == 200


async def test_the_license_can_name_another_grace_time(premise: App) -> None:
    await install(premise, key(premise, expires_at=premise.clock.ms // 1000 + DAY, grace_days=0))
    premise.clock.advance(DAY + 2)
    assert await state(premise) == "expired"


def test_the_grace_time_is_14_days_by_default() -> None:
    assert Licence(id="x", customer="x", issued_at=0, expires_at=1).grace_days == 14


@rule("LICENCE")
async def test_a_clock_set_back_does_not_revive_it(premise: App) -> None:
    began = premise.clock.ms
    await install(premise, key(premise, expires_at=began // 1000 + DAY, grace_days=1))
    premise.clock.advance(3 * DAY)
    assert await state(premise) == "expired"
    await premise.services.licence.record_time()  # the background job that runs every 20 seconds
    premise.clock.ms = began + 1000
    assert await state(premise) == "expired"
    assert (await premise.sign_in(client="acme")).code == "LICENSE_EXPIRED"


async def test_a_new_license_ends_the_expiry(premise: App) -> None:
    await install(premise, key(premise, expires_at=premise.clock.ms // 1000 + DAY, grace_days=0))
    premise.clock.advance(2 * DAY)
    assert (await premise.sign_in(client="acme")).code == "LICENSE_EXPIRED"
    assert (await install(premise, key(premise, id="L-2"))).data["state"] == "valid"
    assert (await premise.sign_in(client="acme")).status == 200


@rule("LICENCE")
async def test_hosted_mode_asks_for_none(app: App) -> None:
    assert (await app.sign_in(client="acme")).status == 200
    assert await state(app) == "not-needed"


@matrix("token", [None, "x.y.z"])
async def test_only_a_system_admin_can_install(premise: App, token: str | None) -> None:
    reply = await premise.post(PATH, {"licenseKey": key(premise)}, token=token)
    assert reply.status == 401
    assert await state(premise) == "missing"


async def test_no_key_that_had_expired_is_installed_by_a_clock_set_back(premise: App) -> None:
    await install(premise, key(premise, id="first"))
    short = key(premise, id="short", expires_at=premise.clock.ms // 1000 + 90 * DAY)
    premise.clock.advance(130 * DAY)
    await premise.services.licence.record_time()
    premise.clock.advance(-130 * DAY)
    assert (await install(premise, short)).code == "LICENSE_INVALID"
    assert (await premise.get(PATH, token=await premise.admin_token())).data["licenseId"] == "first"


async def test_a_clock_that_ran_ahead_is_forgiven_by_the_vendor_once(premise: App) -> None:
    await install(premise, key(premise, id="first"))
    premise.clock.advance(40_000 * DAY)
    await premise.services.licence.record_time()
    premise.clock.advance(-40_000 * DAY)
    assert await state(premise) == "expired"
    assert (await install(premise, key(premise, id="second"))).code == "LICENSE_INVALID"
    number = (await premise.get(PATH, token=await premise.admin_token())).data["installationId"]
    reset = key(premise, id="third", installation=number, resets_clock=True)
    data = (await install(premise, reset)).data
    assert (data["state"], data["warning"]) == ("valid", None)
    assert (await premise.sign_in(client="acme")).status == 200
    premise.clock.advance(100 * DAY)
    await premise.services.licence.record_time()
    premise.clock.advance(-100 * DAY)
    assert (await install(premise, reset)).code == "LICENSE_INVALID"
    assert (await premise.get(PATH, token=await premise.admin_token())).data["warning"].endswith("this server recorded")
