"""What operators look at is closed to everybody else, and tells nothing of versions (security bar 104)."""

from __future__ import annotations

import pytest

from manifest_auth import __version__
from tests.support.house import App, running

PUBLIC = "https://auth.acme.example"
TOKEN = "metrics-token-of-this-test"


async def test_metrics_are_open_where_the_public_address_is_this_machine(app: App) -> None:
    await app.get("/healthz")
    found = await app.get("/metrics")
    assert found.status == 200
    assert "manifest_request_seconds_count" in found.text


async def test_metrics_do_not_exist_for_the_public_without_a_token(database_url: str) -> None:
    async with running(database_url, MANIFEST_PUBLIC_URL=PUBLIC) as app:
        assert (await app.get("/metrics")).code == "NOT_FOUND"
        assert (await app.get("/metrics", token="whatever")).code == "NOT_FOUND"


async def test_metrics_open_with_their_token_alone(database_url: str) -> None:
    async with running(database_url, MANIFEST_PUBLIC_URL=PUBLIC, MANIFEST_METRICS_TOKEN=TOKEN) as app:
        assert (await app.get("/metrics")).code == "UNAUTHENTICATED"
        assert (await app.get("/metrics", token=TOKEN[:-1])).code == "INVALID_TOKEN"
        assert (
            await app.get("/metrics", token=(await app.sign_in(client="acme")).data["token"])
        ).code == "INVALID_TOKEN"
        assert (await app.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"})).status == 401
        assert (await app.get("/metrics", token=TOKEN)).status == 200


async def test_metrics_name_routes_and_no_ids(app: App) -> None:
    admin = await app.admin_token()
    await app.get("/api/admin/clients/acme/users/987654", token=admin)
    await app.get("/no/such/path-7f3a")
    text = (await app.get("/metrics")).text
    assert "/api/admin/clients/{client}/users/{user}" in text
    assert "987654" not in text
    assert "path-7f3a" not in text


@pytest.mark.parametrize(
    "path", ["/.git/config", "/.env", "/secret.key", "/manifest-auth.db", "/data/secret.key", "/debug", "/"]
)
async def test_files_of_the_server_are_no_paths(app: App, path: str) -> None:
    assert (await app.get(path)).code == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/api/client/auth/me", "/no/such/path"])
async def test_headers_tell_no_version(app: App, path: str) -> None:
    headers = (await app.get(path)).headers
    assert "server" not in headers
    assert "x-powered-by" not in headers
    assert not [value for name, value in headers.items() if __version__ in value and name != "content-security-policy"]
