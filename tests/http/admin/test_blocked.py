"""System admins see how many callers are rate-limited, and unblock them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.system_admins import SystemAdmin, events, sign_in, signed_in_admin

pytestmark = pytest.mark.one_store

BASE = "/api/admin/throttles"
WHO = {"client": "acme", "email": "Viewer@acme.example"}
HERE = "192.0.2.1"


@pytest.fixture
async def root(app: App) -> SystemAdmin:
    app.clock.advance(2 * 86_400)
    root = await signed_in_admin(app)
    check_success(await root.send("DELETE", BASE))
    return root


async def hold_back(app: App, email: str = "viewer@acme.example", client: str | None = "acme") -> None:
    for _ in range(7):
        await app.sign_in(email, "wrong", client)
    check_refusal(await app.sign_in(email, PASSWORD, client), 429, "RATE_LIMITED")


async def held(root: SystemAdmin, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = check_success(await root.get(f"{BASE}{query}"))["items"]
    return items


async def test_blocked_callers_are_listed_as_counters(root: SystemAdmin) -> None:
    assert await held(root) == []
    await root.app.sign_in("viewer@acme.example", "wrong", "acme")
    assert await held(root) == []  # counted, but not blocked
    await hold_back(root.app)
    [counter] = await held(root)
    assert set(counter) == {"id", "failures", "allowedAt", "updatedAt"}
    assert counter["failures"] >= 5
    assert counter["allowedAt"] > counter["updatedAt"]
    assert "viewer" not in str(counter)
    root.app.clock.advance(900)
    root.token = (await root.again()).token
    assert await held(root) == []


@matrix("body", [{**WHO, "address": HERE}, {"client": "acme", "email": "viewer@acme.example", "address": HERE}])
async def test_an_account_tried_from_an_address_is_unblocked(root: SystemAdmin, body: dict[str, str]) -> None:
    await hold_back(root.app)
    await hold_back(root.app, "author@acme.example")
    assert check_success(await root.post(f"{BASE}/clear", body))["cleared"] >= 1
    check_success(await root.app.sign_in("viewer@acme.example", PASSWORD, "acme"))
    check_refusal(await root.app.sign_in("author@acme.example", PASSWORD, "acme"), 429, "RATE_LIMITED")


async def test_an_account_is_unblocked_where_it_signed_in_before(root: SystemAdmin) -> None:
    check_success(await root.app.sign_in("publisher@acme.example", PASSWORD, "acme"))
    await hold_back(root.app, "publisher@acme.example")
    body = {"client": "acme", "email": "publisher@acme.example"}
    assert check_success(await root.post(f"{BASE}/clear", body))["cleared"] >= 1
    check_success(await root.app.sign_in("publisher@acme.example", PASSWORD, "acme"))


async def test_an_account_tried_without_a_client_is_unblocked(root: SystemAdmin) -> None:
    """No single client has the address, so the attempts count for none."""
    email = "nobody@nowhere.example"
    for _ in range(7):
        await root.app.sign_in(email, "wrong")
    check_refusal(await root.app.sign_in(email, "wrong"), 429, "RATE_LIMITED")
    body = {"client": "acme", "email": email, "address": HERE}
    assert check_success(await root.post(f"{BASE}/clear", body))["cleared"] >= 1
    check_refusal(await root.app.sign_in(email, "wrong"), 401, "INVALID_CREDENTIALS")


async def test_a_system_admin_is_unblocked(root: SystemAdmin) -> None:
    for _ in range(7):
        await sign_in(root.app, "root", "wrong")
    check_refusal(await sign_in(root.app, "root"), 429, "RATE_LIMITED")
    check_success(await root.post(f"{BASE}/clear", {"username": "ROOT"}))
    check_success(await sign_in(root.app, "root"))


async def test_an_address_is_unblocked(root: SystemAdmin) -> None:
    for number in range(51):
        await root.app.sign_in(f"nobody-{number}@acme.example", "wrong", "acme")
    check_refusal(await root.app.sign_in("nobody@acme.example", "wrong", "acme"), 429, "RATE_LIMITED")
    assert check_success(await root.post(f"{BASE}/clear", {"address": HERE}))["cleared"] >= 1
    check_refusal(await root.app.sign_in("nobody@acme.example", "wrong", "acme"), 401, "INVALID_CREDENTIALS")


async def test_all_are_unblocked(root: SystemAdmin) -> None:
    await hold_back(root.app)
    await hold_back(root.app, "author@acme.example")
    assert check_success(await root.send("DELETE", BASE))["cleared"] >= 2
    assert await held(root) == []
    check_success(await root.app.sign_in("viewer@acme.example", PASSWORD, "acme"))


async def test_the_list_is_paged_and_sorted(root: SystemAdmin) -> None:
    for name in ("viewer", "author", "operator"):
        await hold_back(root.app, f"{name}@acme.example")
        root.app.clock.advance(0.1)
    for sort in ("ALLOWED", "ALLOWED_DESC", "FAILURES", "FAILURES_DESC", "ID", "ID_DESC"):
        whole = await held(root, f"?sort={sort}")
        found, cursor = [], ""
        while cursor is not None:
            page = check_success(await root.get(f"{BASE}?first=1&sort={sort}&after={cursor}"))
            found += page["items"]
            cursor = page["nextCursor"]
        assert found == whole
        assert len(whole) >= 3
    allowed = [counter["allowedAt"] for counter in await held(root, "?sort=ALLOWED")]
    assert allowed == sorted(allowed)


WRONG_BODIES: list[dict[str, Any]] = [
    {}, {"client": "acme"}, {"email": "a@b.example"}, {"address": "example.com"}, {"address": "192.0.2.0/24"},
    {**WHO, "username": "root"}, {"username": ""}, {"address": 1},
]  # fmt: skip


@matrix("body", WRONG_BODIES)
async def test_a_request_that_names_nobody_is_rejected(root: SystemAdmin, body: dict[str, Any]) -> None:
    check_refusal(await root.post(f"{BASE}/clear", body), 400, "VALIDATION_ERROR")


async def test_cleared_limits_are_in_the_audit_trail(root: SystemAdmin) -> None:
    check_refusal(await root.post(f"{BASE}/clear", {**WHO, "client": "nowhere"}), 404, "NOT_FOUND")
    check_success(await root.post(f"{BASE}/clear", WHO))
    event, actor, subject, detail = (await events(root.app, root.app.ids["acme"]))[-1]
    assert (event, actor) == ("throttles_cleared", f"admin:{root.id}")
    assert subject == f"user:{root.app.ids['viewer@acme.example']}"
    assert detail["email"] == WHO["email"]
    check_success(await root.post(f"{BASE}/clear", {"address": HERE}))
    assert (await events(root.app))[-1][3]["address"] == HERE
