"""Saving a Microsoft provider claims its directory; also covers the deletion of the directory's owner."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.application import App
from tests.support.background_jobs import sweep_clients
from tests.support.directory_claims import client_of, directory
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.single_sign_on import add_provider

pytestmark = pytest.mark.one_store

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"


def settings_of(kind: str, which: str) -> dict[str, Any]:
    """The settings of a provider for a directory."""
    application = "0a0a0a0a-1111-4111-8111-0000000000aa"
    found: dict[str, dict[str, Any]] = {
        "entra": {"directory": which, "applications": [application]},
        "dynamics": {"directory": which, "clientId": application, "organization": "https://x.crm.dynamics.com"},
        "oidc": {"issuer": f"https://login.microsoftonline.com/{which}/v2.0", "clientId": application},
    }
    return found[kind]


@matrix("kind", ["entra", "dynamics", "oidc"])
async def test_a_provider_claims_its_directory_by_being_saved(app: App, kind: str) -> None:
    client, first, second = await client_of(app), directory(), directory()
    settings: dict[str, Any] = {kind: settings_of(kind, first)}
    made = await add_provider(app, client.name, **settings)
    assert [item["directory"] for item in check_success(await client.own("GET"))["items"]] == [first]
    await add_provider(app, client.name, **settings)  # saving it again adds no claim
    path = f"/api/client/providers/{made['name']}"
    changed = await app.send("PATCH", path, {kind: settings_of(kind, second)}, token=client.token)
    check_success(changed)
    listed = check_success(await client.own("GET"))["items"]
    assert [(item["directory"], item["state"]) for item in listed] == [(first, "pending"), (second, "pending")]
    assert [event for event, _, _ in await client.events()] == ["directory_claimed", "directory_claimed"]


async def test_a_directory_of_another_cloud_is_claimed_there(app: App) -> None:
    client, one, two = await client_of(app), directory(), directory()
    await add_provider(app, client.name, entra={**settings_of("entra", one), "cloud": "china"})
    issuer = f"https://login.partner.microsoftonline.cn/{two}/v2.0"
    await add_provider(app, client.name, oidc={**settings_of("oidc", two), "issuer": issuer})
    clouds = {item["directory"]: item["cloud"] for item in check_success(await client.own("GET"))["items"]}
    assert clouds == {one: "china", two: "china"}


@matrix(
    "issuer",
    [
        "https://accounts.google.com",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com.evil.example/d0d0d0d0-0000-4000-8000-00000000ffff/v2.0",
        "https://evil.example/login.microsoftonline.com/d0d0d0d0-0000-4000-8000-00000000ffff/v2.0",
        f"https://login.microsoftonline.com/{CONSUMERS}/v2.0",
    ],
)
async def test_other_providers_claim_none(app: App, issuer: str) -> None:
    client = await client_of(app)
    await add_provider(app, client.name, oidc={"issuer": issuer, "clientId": "x"})
    assert check_success(await client.own("GET"))["items"] == []


@matrix("kind", ["entra", "dynamics"])
async def test_no_provider_is_saved_for_personal_accounts(app: App, kind: str) -> None:
    client = await client_of(app)
    body = {"name": "personal", kind: settings_of(kind, CONSUMERS)}
    error = check_refusal(await app.post("/api/client/providers", body, token=client.token), 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == f"{kind}.directory"
    assert check_success(await app.get("/api/client/providers", token=client.token))["items"] == []


async def test_an_owner_that_is_deleted_for_good_holds_nothing(app: App) -> None:
    one, other, which = await client_of(app), await client_of(app), directory()
    check_success(await one.vouch(which))
    check_success(await app.send("DELETE", f"/api/admin/clients/{one.name}", token=one.root))
    app.clock.advance(31 * 86_400)
    await sweep_clients(app)
    other.root = await app.admin_token()
    assert check_success(await other.vouch(which))["state"] == "proved"
