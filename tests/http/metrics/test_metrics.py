"""Access to ``/metrics``, and its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.application import App, running
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

NAMES = {
    "manifest_request_seconds": "histogram",
    "manifest_sign_ins_total": "counter",
    "manifest_refreshes_total": "counter",
    "manifest_throttled_total": "counter",
    "manifest_hash_waiting": "gauge",
    "manifest_hash_seconds": "histogram",
    "manifest_cache_total": "counter",
}


async def test_the_names_are_those_that_dashboards_know(app: App) -> None:
    await app.sign_in(client="acme")
    await app.me("x")
    await app.get("/api/nowhere/17")
    reply = await app.get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    types = dict(line.split()[2:4] for line in reply.text.splitlines() if line.startswith("# TYPE "))
    for name, kind in NAMES.items():
        assert types[name] == kind
    asked = 'manifest_request_seconds_count{method="GET",route="/api/client/auth/me",status="401"} '
    assert asked in reply.text
    assert 'route="(none)"' in reply.text
    assert "nowhere" not in reply.text  # a path in a label would let anonymous callers fill the memory


async def test_sign_ins_and_refreshes_are_counted_by_result(app: App) -> None:
    async def count(sample: str) -> float:
        lines = (await app.get("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

    before = await count("manifest_sign_ins_total{"), await count("manifest_refreshes_total{")
    data = (await app.sign_in(client="acme")).data
    await app.sign_in(client="acme", password="wrong-password-1")
    await app.refresh(data["refreshToken"])
    after = await count("manifest_sign_ins_total{"), await count("manifest_refreshes_total{")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


async def test_a_token_opens_metrics_and_nothing_else_does(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    async with running(url, MANIFEST_METRICS_TOKEN="scrape-me-91", MANIFEST_PUBLIC_URL="https://a.example") as app:
        assert (await app.get("/metrics", token="scrape-me-91")).status == 200
        assert (await app.get("/metrics")).code == "UNAUTHENTICATED"
        for wrong in ("scrape-me-9", "scrape-me-911", "", await app.admin_token()):
            reply = await app.get("/metrics", token=wrong)
            assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


@rule("NOTHING-EXPOSED")
@pytest.mark.parametrize(("public", "status"), [("http://127.0.0.1:8080", 200), ("https://auth.example.com", 404)])
async def test_without_a_token_only_a_loopback_address_shows_them(tmp_path: Path, public: str, status: int) -> None:
    async with running(f"sqlite:///{tmp_path / 'm.db'}", MANIFEST_PUBLIC_URL=public) as app:
        reply = await app.get("/metrics")
        assert reply.status == status
        if status == 404:
            assert reply.code == "NOT_FOUND"
