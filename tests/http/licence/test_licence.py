"""On-premise mode requires a license; keys are verified offline, and an invalid one changes nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.licences import DAY, LICENCE, OTHER_PUBLIC, PUBLIC, key, note_time, on_premise
from tests.support.matrix import matrix
from tests.support.postgres import Databases
from tests.support.routes import ROUTES, filled
from tests.support.rows import rows

pytestmark = pytest.mark.one_store


async def install(app: App, text: Any, admin: str | None = None) -> Any:
    return await app.post(LICENCE, {"licenseKey": text}, token=admin or await app.admin_token())


async def state(app: App) -> dict[str, Any]:
    data: dict[str, Any] = check_success(await app.get(LICENCE, token=await app.admin_token()))
    return data


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A separate database for each test, since an installed license stays."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'licence.db'}"
    server: Databases = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture
async def premises(url: str) -> AsyncIterator[App]:
    async with on_premise(url) as app:
        yield app


async def test_hosted_needs_none(app: App) -> None:
    assert (await state(app))["state"] == "not-needed"
    check_success(await app.sign_in())


async def test_without_a_license_every_client_route_is_closed_and_the_rest_is_open(premises: App) -> None:
    app = premises
    for route in ROUTES:
        path = filled(route.path)
        if not path.startswith("/api/client/"):
            if route.who == "open" and (path.startswith(("/oauth2/", "/scim/")) or "/o/nowhere" in path):
                assert (await app.send(route.method, path)).status == 403, path
            elif route.who == "open" and route.method == "GET":
                expected = 404 if path.startswith("/assets/brand/") else 200  # no client has this name
                expected = 302 if path == "/docs" else expected
                assert (await app.get(path)).status == expected, path
            continue
        body: dict[str, str] | None = {} if route.method == "POST" else None
        for token in (None, "forged"):
            reply = await app.send(route.method, path, body, token=token)
            if path == "/api/client/graphql":
                assert (reply.status, reply.json["errors"][0]["extensions"]["code"]) == (403, "LICENSE_REQUIRED")
            else:
                check_refusal(reply, 403, "LICENSE_REQUIRED")
    check_refusal(await app.sign_in(), 403, "LICENSE_REQUIRED")
    assert (await state(app))["state"] == "missing"
    check_success(await app.get("/api/admin/clients", token=await app.admin_token()))


async def test_a_good_key_opens_and_says_what_it_grants(premises: App) -> None:
    app = premises
    data = check_success(await install(app, key(app)))
    assert (data["state"], data["customer"], data["licenseId"]) == ("valid", "Initech", "L-1")
    assert data["seats"] == {"full": 5, "operate": 10, "connect": 2}
    assert data["features"] == ["sso"]
    assert data["expiresAt"].endswith("Z")
    assert await state(app) == data
    check_success(await app.sign_in())


async def test_white_space_around_a_pasted_key_is_harmless(premises: App) -> None:
    check_success(await install(premises, f"\n  {key(premises)} \r\n"))


async def test_a_key_needs_a_system_admin(premises: App) -> None:
    check_refusal(await premises.post(LICENCE, {"licenseKey": key(premises)}), 401, "UNAUTHENTICATED")
    check_refusal(await premises.get(LICENCE), 401, "UNAUTHENTICATED")
    assert (await state(premises))["state"] == "missing"


def bad_keys(app: App) -> dict[str, str]:
    good = key(app)
    version, payload, signature = good.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"id": "x"}).encode()).rstrip(b"=").decode()
    now = app.clock.now_ms() // 1000
    return {
        "words": "not a key",
        "no signature": f"{version}.{payload}.",
        "no payload": f"{version}..{signature}",
        "two parts": f"{version}.{payload}",
        "another version": f"MANIFEST2.{payload}.{signature}",
        "another payload": f"{version}.{forged}.{signature}",
        "another's signature": key(app, Ed25519PrivateKey.generate()),
        "a signature cut short": good[:-4],
        "padding": good + "==",
        "doubled": good + good,
        "letters outside ASCII": good[:-1] + "é",
        "white space inside": good.replace(".", ". "),
        "expired": key(app, issued_at=now - 10 * DAY, expires_at=now),
        "from the future": key(app, issued_at=now + DAY, expires_at=now + 2 * DAY),
        "for another installation": key(app, installation="somewhere-else"),
        "too long": "MANIFEST1." + "A" * 9000 + ".AAAA",
        "a token": "eyJhbGciOiJub25lIn0.e30.",
    }


@matrix("installed", [False, True], ids=["none before", "one before"])
async def test_a_bad_key_is_invalid_and_changes_nothing(premises: App, installed: bool) -> None:
    app = premises
    if installed:
        check_success(await install(app, key(app)))
    before = await state(app)
    messages = set()
    for name, text in bad_keys(app).items():
        error = check_refusal(await install(app, text), 400, "LICENSE_INVALID")
        messages.add(json.dumps({**error, "requestId": ""}))
        assert await state(app) == before, name
    assert len(messages) == 1  # one response for all of them
    assert (await app.sign_in()).status == (200 if installed else 403)


@matrix("value", [None, 1, True, [], {}, ""])
async def test_a_key_that_is_no_text_is_a_validation_error(premises: App, value: Any) -> None:
    check_refusal(await install(premises, value), 400, "VALIDATION_ERROR")
    check_refusal(await premises.post(LICENCE, {}, token=await premises.admin_token()), 400, "VALIDATION_ERROR")


async def test_a_key_bound_to_this_installation_is_good_here(premises: App) -> None:
    [(own,)] = await rows(premises, "installation", "value", name="id")
    check_success(await install(premises, key(premises, installation=own)))


async def test_past_expiry_there_is_a_grace_time_and_then_sign_in_is_rejected(premises: App) -> None:
    app = premises
    check_success(await install(app, key(app)))
    app.clock.advance(100 * DAY - 1)
    assert (await state(app))["state"] == "valid"
    app.clock.advance(1)
    assert (await state(app))["state"] == "grace"
    token = check_success(await app.sign_in())["token"]
    app.clock.advance(14 * DAY - 3600)
    assert (await state(app))["state"] == "grace"
    app.clock.advance(3600)
    assert (await state(app))["state"] == "expired"
    check_refusal(await app.me(token), 403, "LICENSE_EXPIRED")
    check_refusal(await app.sign_in(), 403, "LICENSE_EXPIRED")
    check_success(await install(app, key(app, id="L-2")))
    check_success(await app.sign_in())


async def test_the_grace_time_is_the_keys_own(premises: App) -> None:
    app = premises
    check_success(await install(app, key(app, grace_days=0)))
    app.clock.advance(100 * DAY)
    check_refusal(await app.sign_in(), 403, "LICENSE_EXPIRED")


async def test_a_clock_set_back_does_not_revive_a_license(premises: App) -> None:
    app = premises
    check_success(await install(app, key(app)))
    app.clock.advance(120 * DAY)
    check_refusal(await app.sign_in(), 403, "LICENSE_EXPIRED")
    await note_time(app)
    app.clock.advance(-60 * DAY)
    check_refusal(await app.sign_in(), 403, "LICENSE_EXPIRED")
    assert (await state(app))["state"] == "expired"


async def test_a_new_key_takes_the_place_of_the_old_one_and_outlives_a_restart(url: str) -> None:
    async with on_premise(url) as app:
        check_success(await install(app, key(app)))
        check_success(await install(app, key(app, id="L-2", full=1, operate=0, connect=0)))
    async with on_premise(url) as app:
        assert ((await state(app))["licenseId"], (await state(app))["state"]) == ("L-2", "valid")
        check_success(await app.sign_in())


async def test_another_public_key_does_not_honor_it_and_several_can_be_set(url: str) -> None:
    async with on_premise(url) as app:
        check_success(await install(app, key(app)))
    async with on_premise(url, OTHER_PUBLIC) as app:
        check_refusal(await app.sign_in(), 403, "LICENSE_REQUIRED")
    async with on_premise(url, f"{OTHER_PUBLIC}, {PUBLIC}") as app:
        check_success(await app.sign_in())
