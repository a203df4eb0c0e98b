"""Paged lists of the admin API: a page starts where the last one ended, even if that row was deleted.

Unknown parameters are rejected.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.application import App
from tests.support.badges import BadgeClient, badge_client
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.routes import filled, openapi_document
from tests.support.system_admins import SystemAdmin

CLIENTS = "/api/admin/clients"
_numbers = itertools.count(1)


async def three(root: SystemAdmin) -> str:
    """Create clients with names that share a prefix; returns the prefix."""
    begin = f"edge{next(_numbers)}-"
    for letter in "abc":
        body = {"identifier": f"{begin}{letter}", "name": f"{begin}{letter}"}
        check_success(await root.post(CLIENTS, body), 201)
    return begin


async def test_a_renamed_row_breaks_no_page(root: SystemAdmin) -> None:
    begin = await three(root)
    query = f"{CLIENTS}?q={begin}&first=2&sort=NAME"
    page = check_success(await root.get(query))
    assert [one["name"] for one in page["items"]] == [f"{begin}a", f"{begin}b"]
    check_success(await root.send("PATCH", f"{CLIENTS}/{begin}b", {"name": f"{begin}zzz"}))
    rest = check_success(await root.get(f"{query}&after={page['nextCursor']}"))
    assert [one["identifier"] for one in rest["items"]] == [f"{begin}c", f"{begin}b"]


async def test_a_deleted_row_breaks_no_page(root: SystemAdmin) -> None:
    for number in range(3):
        for _ in range(6 + number):
            await root.app.post("/api/admin/auth/sign-in", {"username": f"nobody-{number}", "password": "wrong"})
    query = "/api/admin/throttles?first=1&sort=FAILURES"
    page = check_success(await root.get(query))
    [edge] = page["items"]
    assert page["nextCursor"]
    whole = check_success(await root.get("/api/admin/throttles?first=100&sort=FAILURES"))["items"]
    check_success(await root.send("DELETE", "/api/admin/throttles"))
    assert check_success(await root.get(f"{query}&after={page['nextCursor']}"))["items"] == []
    assert whole[0] == edge


@matrix("other", ["sort=NAME_DESC", "sort=ID", "sort=IDENTIFIER"])
async def test_a_cursor_works_only_with_its_own_list_and_order(root: SystemAdmin, other: str) -> None:
    begin = await three(root)
    cursor = check_success(await root.get(f"{CLIENTS}?q={begin}&first=1&sort=NAME"))["nextCursor"]
    for path in (f"{CLIENTS}?{other}&after={cursor}", f"{CLIENTS}/acme/users?after={cursor}",
                 f"{CLIENTS}?sort=NAME&after={cursor[:-2]}", f"{CLIENTS}?sort=NAME&after={cursor}AA"):  # fmt: skip
        error = check_refusal(await root.get(path), 400, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == ["after"]


@matrix(
    ("path", "unknown"),
    [("audit?acter=user:7", "acter"), ("throttles?state=on", "state"), ("keys?q=x", "q"), ("clients?Sort=ID", "Sort"),
     ("clients/acme/users?rôle=x", "rôle"), ("admins?first=1&=", "query"), ("clients/acme/sessions?usr=1", "usr"),
     ("clients/acme/providers?limit=1", "limit")],
)  # fmt: skip
async def test_an_unknown_parameter_is_named_not_ignored(root: SystemAdmin, path: str, unknown: str) -> None:
    error = check_refusal(await root.get(f"/api/admin/{path.replace('ô', '%C3%B4')}"), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [unknown]


async def test_extra_parameters_of_browsers_and_providers_are_ignored(root: SystemAdmin) -> None:
    path = "/api/client/auth/oidc/callback?state=x&code=y"
    same_but_request_id(await root.app.get(f"{path}&session_state=z&utm_source=mail"), await root.app.get(path))


async def test_identities_are_paged_sorted_and_filtered(root: SystemAdmin) -> None:
    path = f"{CLIENTS}/acme/users/{root.app.ids['viewer@acme.example']}/identities"
    assert check_success(await root.get(f"{path}?first=1&sort=CREATED_DESC&how=invitation&q=x")) == {
        "items": [], "nextCursor": None,
    }  # fmt: skip
    for wrong in ("sort=NAME", "first=0", "after=x", "state=on", "how=x"):
        check_refusal(await root.get(f"{path}?{wrong}"), 400, "VALIDATION_ERROR")


async def test_the_trail_is_sorted_by_the_parameter_of_all_lists(root: SystemAdmin) -> None:
    oldest = check_success(await root.get("/api/admin/audit?client=0&first=3&sort=TIME"))
    assert [one["sequence"] for one in oldest["items"]] == [1, 2, 3]
    assert check_success(await root.get("/api/admin/audit?client=0&first=3&order=oldest")) == oldest
    newest = check_success(await root.get("/api/admin/audit?client=0&first=1&sort=TIME_DESC"))["items"]
    assert newest == check_success(await root.get("/api/admin/audit?client=0&first=1"))["items"]
    check_refusal(await root.get("/api/admin/audit?sort=TIME&order=newest"), 400, "VALIDATION_ERROR")


def every_list() -> list[str]:
    """The paths of responses with `items`."""
    document = openapi_document()
    schemas = document["components"]["schemas"]

    def is_list(operation: dict[str, Any]) -> bool:
        content = operation["responses"]["200"].get("content", {}).get("application/json", {})
        data = content.get("schema", {}).get("properties", {}).get("data", {}).get("$ref", "").rpartition("/")[2]
        return "items" in schemas.get(data, {}).get("properties", {})

    return [path for path, of in document["paths"].items() if "get" in of and "200" in of["get"]["responses"]
            and is_list(of["get"])]  # fmt: skip


@pytest.fixture(scope="module")
async def filled_client(app: App) -> tuple[BadgeClient, int]:
    """A client with two or three of most objects, and one of its users."""
    app.clock.advance(2 * 86_400)
    made = await badge_client(app)
    user = await member(app, made.client)
    for name in ("a", "b"):
        await made.do("POST", "/apps", {"name": name, "kind": "device"}, 201)
    for kind in ("standard", "temporary"):
        await made.badge(user.id, kind)
    for _ in range(3):
        await made.code()
        await app.sign_in(made.admin.email, client=made.client)
    return made, user.id


@matrix("path", every_list())
async def test_every_list_has_pages_and_rejects_unknown_parameters(
    app: App, filled_client: tuple[BadgeClient, int], path: str
) -> None:
    made, user_id = filled_client
    token = await app.admin_token() if path.startswith("/api/admin") else made.admin.token
    address = filled(path, client=made.client, user=user_id)
    for query in ("first=0", "first=101", "after=x", "nonsense=1"):
        error = check_refusal(await app.get(f"{address}?{query}", token=token), 400, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == [query.partition("=")[0]]
    whole = check_success(await app.get(f"{address}?first=100", token=token))
    pages: list[Any] = []
    cursor = ""
    while cursor is not None and len(pages) < 5:
        page = check_success(await app.get(f"{address}?first=1&after={cursor}", token=token))
        pages, cursor = [*pages, *page["items"]], page["nextCursor"]
    assert len(pages) == min(len(whole["items"]), 5)
    assert pages == whole["items"][: len(pages)]
    assert len(pages) > 1 or not path.endswith(("/apps", "enrolments", "badges", "auth/sessions"))
