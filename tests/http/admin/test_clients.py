"""Clients in the admin API are created, found, changed, suspended, and restored, and lists are paged."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix

BASE = "/api/admin/clients"


async def create(app: App, admin: str, identifier: str, name: str = "A client", **more: Any) -> dict[str, Any]:
    body = {"identifier": identifier, "name": name, **more}
    data: dict[str, Any] = check_success(await app.post(BASE, body, token=admin), 201)
    return data


async def every_page(app: App, admin: str, path: str, first: int, q: str = "") -> list[list[Any]]:
    pages, cursor = [], 0
    while cursor is not None:
        data = check_success(await app.get(f"{path}?first={first}&after={cursor}&q={q}", token=admin))
        assert set(data) == {"items", "nextCursor"}
        pages.append(data["items"])
        cursor = data["nextCursor"]
    return pages


async def test_a_new_client_has_an_id_defaults_and_no_users(app: App, admin: str) -> None:
    data = await create(app, admin, "initech", "Initech GmbH")
    assert set(data) == {"id", "identifier", "name", "settings", "createdAt", "suspendedAt", "deleteAt"}
    assert type(data["id"]) is int
    assert (data["identifier"], data["name"], data["suspendedAt"]) == ("initech", "Initech GmbH", None)
    assert data["settings"]["refreshStrict"] is False
    assert data["settings"]["password"]["minLength"] == 15
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["createdAt"])
    for named in ("initech", str(data["id"])):
        assert check_success(await app.get(f"{BASE}/{named}", token=admin)) == data
    users = check_success(await app.get(f"{BASE}/initech/users", token=admin))
    assert users == {"items": [], "nextCursor": None}


@matrix("identifier", ["ab", "a1", "1a", "a-b", "a--b", "x" * 63, "0-0"])
async def test_identifiers_are_lower_case_letters_digits_and_inner_hyphens(
    app: App, admin: str, identifier: str
) -> None:
    assert (await create(app, admin, identifier))["identifier"] == identifier


@matrix(
    "identifier",
    ["", "a", "x" * 64, "-ab", "ab-", "Acme", "ACME", "a b", "a_b", "a.b", "ab\n", " ab", "äb", "\u0430cme", "12",
     "007", "a/b", "a\x00b", None, 12, ["ab"]],
)  # fmt: skip
async def test_other_identifiers_are_rejected(app: App, admin: str, identifier: Any) -> None:
    body = {"identifier": identifier, "name": "A client"}
    check_refusal(await app.post(BASE, body, token=admin), 400, "VALIDATION_ERROR")


@matrix("name", ["", "x" * 201, "two\nlines", "tab\tbed", "bell\x07", "\x7f", 5, None])
async def test_an_invalid_name_is_rejected(app: App, admin: str, name: Any) -> None:
    check_refusal(await app.post(BASE, {"identifier": "nameless", "name": name}, token=admin), 400, "VALIDATION_ERROR")
    check_refusal(await app.send("PATCH", f"{BASE}/acme", {"name": name}, token=admin), 400, "VALIDATION_ERROR")


@matrix(
    "settings",
    [{"refreshStrict": 1}, {"refreshStrict": "true"}, {"allowedOrigins": "https://a.example"}, {"allowedOrigins": [1]},
     {"allowedOrigins": ["a.example"]}, {"allowedOrigins": ["https://A.example"]}, {"allowedOrigins": ["https://a.example/"]},
     {"allowedOrigins": ["http://a.example"]}, {"allowedOrigins": ["http://192.0.2.1:3000"]}, {"allowedOrigins": ["https://a.example:443"]},
     {"allowedOrigins": ["http://localhost:80"]}, {"allowedOrigins": ["https://a.example:65536"]}, {"allowedOrigins": ["https://a.example:"]},
     {"allowedOrigins": ["https://a.example:x"]}, {"allowedOrigins": ["https://x@a.example"]}, {"allowedOrigins": ["https://a:b:1"]},
     {"allowedOrigins": ["*"]}, {"allowedOrigins": ["null"]}, {"allowedOrigins": ["https://*.a.example"]},
     {"allowedOrigins": ["https://a.example"] * 51}, {"password": {"minLength": 7}}, {"password": {"minLength": 65}},
     {"password": {"minLength": "15"}}, {"password": {"minLength": 15.5}}, {"password": []}, [],
     {"passwordSignIn": 0}, {"passwordSignIn": "false"}, {"returnAddresses": "https://a.example/in"},
     {"returnAddresses": ["a.example/in"]}, {"returnAddresses": ["/in"]}, {"returnAddresses": ["//a.example/in"]},
     {"returnAddresses": ["http://a.example/in"]}, {"returnAddresses": ["https://a.example/in#here"]},
     {"returnAddresses": ["https://x@a.example/in"]}, {"returnAddresses": ["javascript:alert(1)"]},
     {"returnAddresses": ["acme:/in"]}, {"returnAddresses": ["https://a.example/in"] * 51}],
)  # fmt: skip
async def test_settings_out_of_range_are_rejected_and_nothing_changes(app: App, admin: str, settings: Any) -> None:
    before = check_success(await app.get(f"{BASE}/acme", token=admin))
    reply = await app.send("PATCH", f"{BASE}/acme", {"name": "Changed", "settings": settings}, token=admin)
    check_refusal(reply, 400, "VALIDATION_ERROR")
    assert check_success(await app.get(f"{BASE}/acme", token=admin)) == before


async def test_an_identifier_is_unique(app: App, admin: str) -> None:
    await create(app, admin, "only-one")
    body = {"identifier": "only-one", "name": "Another"}
    check_refusal(await app.post(BASE, body, token=admin), 409, "CONFLICT")


async def test_one_of_several_concurrent_requests_gets_an_identifier(app: App, admin: str) -> None:
    body = {"identifier": "contested", "name": "A client"}
    replies = await asyncio.gather(*(app.post(BASE, body, token=admin) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 5
    for reply in replies:
        if reply.status == 409:
            check_refusal(reply, 409, "CONFLICT")


async def test_omitted_fields_do_not_change(app: App, admin: str) -> None:
    made = await create(app, admin, "changing", "Before", settings={"refreshStrict": True})
    renamed = check_success(await app.send("PATCH", f"{BASE}/changing", {"name": "After"}, token=admin))
    assert renamed == {**made, "name": "After"}
    loopback = ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"]
    settings = {
        "allowedOrigins": ["https://app.example", "https://intranet:8443", *loopback],
        "password": {"minLength": 12},
    }
    changed = check_success(await app.send("PATCH", f"{BASE}/{made['id']}", {"settings": settings}, token=admin))
    assert changed["name"] == "After"
    assert changed["settings"]["refreshStrict"] is True  # a request doesn't turn off settings that it omits
    assert changed["settings"]["allowedOrigins"] == settings["allowedOrigins"]
    more = {"settings": {"password": {"history": 3}, "returnAddresses": ["com.acme.app:/in"]}}
    changed = check_success(await app.send("PATCH", f"{BASE}/{made['id']}", more, token=admin))
    expected = {"minLength": 12, "characterClasses": 0, "history": 3, "maxAgeDays": 0}
    assert changed["settings"] == {
        **made["settings"],
        "allowedOrigins": settings["allowedOrigins"],
        "returnAddresses": ["com.acme.app:/in"],
        "password": expected,
    }
    assert check_success(await app.send("PATCH", f"{BASE}/changing", {}, token=admin)) == changed
    assert check_success(await app.get(f"{BASE}/changing", token=admin)) == changed


async def test_the_identifier_cannot_be_changed(app: App, admin: str) -> None:
    await create(app, admin, "fixed-name")
    body = {"identifier": "other-name", "id": 1, "suspendedAt": "2020-01-01T00:00:00.000Z"}
    error = check_refusal(await app.send("PATCH", f"{BASE}/fixed-name", body, token=admin), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["identifier", "id", "suspendedAt"]
    data = check_success(await app.get(f"{BASE}/fixed-name", token=admin))
    assert (data["identifier"], data["suspendedAt"]) == ("fixed-name", None)


async def test_suspend_and_restore_once_each(app: App, admin: str) -> None:
    await create(app, admin, "on-and-off")
    suspended = check_success(await app.post(f"{BASE}/on-and-off/suspend", token=admin))
    assert suspended["suspendedAt"] is not None
    assert check_success(await app.get(f"{BASE}/on-and-off", token=admin)) == suspended
    check_refusal(await app.post(f"{BASE}/on-and-off/suspend", token=admin), 409, "CONFLICT")
    restored = check_success(await app.post(f"{BASE}/on-and-off/restore", token=admin))
    assert restored["suspendedAt"] is None
    check_refusal(await app.post(f"{BASE}/on-and-off/restore", token=admin), 409, "CONFLICT")


async def test_no_concurrent_change_is_lost(app: App, admin: str) -> None:
    for round_ in range(5):
        name = f"merged-{round_}"
        await create(app, admin, name)
        changes = [{"name": "Renamed"}, {"settings": {"refreshStrict": True}}]
        await asyncio.gather(*(app.send("PATCH", f"{BASE}/{name}", change, token=admin) for change in changes))
        after = check_success(await app.get(f"{BASE}/{name}", token=admin))
        assert (after["name"], after["settings"]["refreshStrict"]) == ("Renamed", True)


async def test_a_client_that_does_not_exist_is_not_found_on_every_route(app: App, admin: str) -> None:
    for client in ("no-such", "999999"):
        base = f"{BASE}/{client}"
        replies = [
            await app.get(base, token=admin),
            await app.send("PATCH", base, {"name": "x"}, token=admin),
            await app.post(f"{base}/suspend", token=admin),
            await app.post(f"{base}/restore", token=admin),
            await app.get(f"{base}/users", token=admin),
            await app.post(f"{base}/users", {"email": "a@b.example", "roles": ["Viewer"]}, token=admin),
        ]
        for reply in replies:
            check_refusal(reply, 404, "NOT_FOUND")


async def test_pages_of_a_list_are_complete_and_in_a_stable_order(app: App, admin: str) -> None:
    made = [(await create(app, admin, f"paged-{n:02}", "Of the pages"))["id"] for n in range(7)]
    pages = await every_page(app, admin, BASE, 3, "paged-")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [client["id"] for page in pages for client in page] == made
    assert [len(page) for page in await every_page(app, admin, BASE, 7, "paged-")] == [7]
    whole = [client["id"] for page in await every_page(app, admin, BASE, 2) for client in page]
    assert whole == sorted(set(whole))
    assert set(made) < set(whole)


async def test_search_finds_by_identifier_and_name_in_any_case(app: App, admin: str) -> None:
    await create(app, admin, "umbrella", "Ümbrella Größe_50% AG")
    for q in ("umbrel", "UMBREL", "Ümbrella", "ümbrella", "gröSSe".replace("SS", "ß"), "GRÖ", "_50%25", "50%25 ag"):
        found = check_success(await app.get(f"{BASE}?q={q}", token=admin))["items"]
        assert [client["identifier"] for client in found] == ["umbrella"], q
    assert check_success(await app.get(f"{BASE}?q=zzz-nothing", token=admin))["items"] == []
