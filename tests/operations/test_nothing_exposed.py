"""The server exposes no internal details, and no header contains its version."""

from __future__ import annotations

from manifest_auth import __version__
from tests.support.application import App, running
from tests.support.matrix import matrix
from tests.support.rules import rule


@rule("NOTHING-EXPOSED")
@matrix("path", ["/.git/config", "/.env", "/secret.key", "/manifest-auth.db", "/data/secret.key", "/debug"])
async def test_files_of_the_server_are_no_paths(app: App, path: str) -> None:
    assert (await app.get(path)).code == "NOT_FOUND"


@rule("NOTHING-EXPOSED")
@matrix("path", ["/healthz", "/readyz", "/docs/api", "/api/client/auth/me", "/no/such/path"])
async def test_headers_tell_no_version(app: App, path: str) -> None:
    headers = (await app.get(path)).headers
    assert "server" not in headers
    assert "x-powered-by" not in headers
    assert not [value for name, value in headers.items() if __version__ in value and name != "content-security-policy"]


async def test_the_metrics_token_counts_as_a_bearer_only(database_url: str) -> None:
    async with running(database_url, MANIFEST_METRICS_TOKEN="scrape-me-91") as app:
        assert (await app.get("/metrics", headers={"Authorization": "Bearer scrape-me-91"})).status == 200
        for scheme in ("Basic scrape-me-91", "Token scrape-me-91", "scrape-me-91"):
            assert (await app.get("/metrics", headers={"Authorization": scheme})).code == "INVALID_TOKEN"
