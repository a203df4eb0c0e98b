"""A client's users in the admin API are created, found, changed, given roles, deactivated, and restored."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rules import rule

BASE = "/api/admin/clients/acme/users"
GOOD = "granite-otter-47-lantern"
MEMBERS = {
    "id",
    "email",
    "firstName",
    "lastName",
    "title",
    "roles",
    "hasPassword",
    "createdAt",
    "deactivatedAt",
    "lastSignInAt",
    "emailProvedAt",
    "pendingEmail",
}


async def create(app: App, admin: str, email: str, base: str = BASE, **more: Any) -> dict[str, Any]:
    body = {"email": email, "roles": ["Viewer"], "password": GOOD, **more}
    data: dict[str, Any] = check_success(await app.post(base, body, token=admin), 201)
    return data


async def test_a_new_user_can_sign_in(app: App, admin: str) -> None:
    names = {"firstName": "Zoë", "lastName": "O’Brien-Müller", "title": "Fitter"}
    made = await create(app, admin, "zoe@acme.example", **names, roles=["Author", "Operator"])
    assert set(made) == MEMBERS
    assert {name: made[name] for name in names} == names
    assert (made["roles"], made["hasPassword"], made["deactivatedAt"]) == (["Author", "Operator"], True, None)
    assert made["lastSignInAt"] is None
    user = check_success(await app.sign_in("zoe@acme.example", GOOD))["user"]
    assert (user["id"], user["firstName"], user["roles"]) == (made["id"], "Zoë", ["Author", "Operator"])
    seen = check_success(await app.get(f"{BASE}/{made['id']}", token=admin))
    assert seen["lastSignInAt"] is not None
    assert {**seen, "lastSignInAt": None} == made


async def test_a_user_without_a_password_cannot_sign_in(app: App, admin: str) -> None:
    body = {"email": "none@acme.example", "roles": ["Viewer"]}
    assert check_success(await app.post(BASE, body, token=admin), 201)["hasPassword"] is False
    for guess in ("x", GOOD, "None", "null"):
        check_refusal(await app.sign_in("none@acme.example", guess), 401, "INVALID_CREDENTIALS")


async def test_no_response_contains_a_hash_or_a_password(app: App, admin: str) -> None:
    reply = await app.post(BASE, {"email": "hush@acme.example", "roles": ["Viewer"], "password": GOOD}, token=admin)
    replies = [reply, await app.get(BASE, token=admin), await app.get(f"{BASE}/{reply.data['id']}", token=admin)]
    for seen in replies:
        assert GOOD not in seen.text
        assert "$argon2" not in seen.text
        assert "hash" not in seen.text.lower()


NO_ADDRESS = [
    "", "ab", "no-at", "@acme.example", "a@", "a@@acme.example", "a@b@c.example", "a b@acme.example",
    " a@acme.example", "a@acme.example ", "a@acme.example\n", "a@acme..example", "a@.example", "a@acme.example.",
    "a@-acme.example", '"a b"@acme.example', "a(comment)@acme.example", "<a@acme.example>", "a,b@acme.example",
    "a@acme.example,b@c.example", "a\u200b@acme.example", "a\u202e@acme.example", "p\u0430ypal@acme.example",
    "a@\u0430cme.example", "x" * 65 + "@acme.example", "a@" + "x" * 260, "a\x7f@acme.example",
    5, None, ["a@acme.example"],
]  # fmt: skip


@matrix("email", NO_ADDRESS)
async def test_an_invalid_address_is_rejected(app: App, admin: str, email: Any) -> None:
    body = {"email": email, "roles": ["Viewer"]}
    error = check_refusal(await app.post(BASE, body, token=admin), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["email"]
    user = f"{BASE}/{app.ids['viewer@acme.example']}"
    check_refusal(await app.send("PATCH", user, {"email": email}, token=admin), 400, "VALIDATION_ERROR")


@matrix(
    "roles",
    [[], ["admin"], ["ADMIN"], ["Owner"], ["Admin", "x"], "Admin", [1], [None], None, {"Admin": True}, [["Admin"]],
     ["System Admin"], ["Viewer"] * 8],
)  # fmt: skip
async def test_an_invalid_list_of_roles_is_rejected(app: App, admin: str, roles: Any) -> None:
    body = {"email": "roles@acme.example", "roles": roles}
    check_refusal(await app.post(BASE, body, token=admin), 400, "VALIDATION_ERROR")
    user = f"{BASE}/{app.ids['viewer@acme.example']}/roles"
    check_refusal(await app.send("PUT", user, {"roles": roles}, token=admin), 400, "VALIDATION_ERROR")
    check_refusal(await app.send("PUT", user, {}, token=admin), 400, "VALIDATION_ERROR")


@matrix(
    "password",
    ["short", "fourteen-chars", "passwordpassword", "aaaaaaaaaaaaaaaa", "manifest manifest", "x" * 257, "", 5],
)
async def test_a_first_password_follows_the_rules(app: App, admin: str, password: Any) -> None:
    body = {"email": "weak@acme.example", "roles": ["Viewer"], "password": password}
    error = check_refusal(await app.post(BASE, body, token=admin), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["password"]
    assert check_success(await app.get(f"{BASE}?q=weak@", token=admin))["items"] == []


async def test_password_and_hash_are_exclusive_and_a_hash_must_be_valid(app: App, admin: str) -> None:
    body = {"email": "either@acme.example", "roles": ["Viewer"]}
    refused = [
        {"password": GOOD, "passwordHash": "$2b$10$" + "a" * 53},
        {"passwordHash": "plain text"},
        {"passwordHash": "$2b$31$" + "a" * 53},
        {"passwordHash": "$argon2id$v=19$m=99999999,t=9999,p=1$AAAA$AAAA"},
    ]
    for more in refused:
        check_refusal(await app.post(BASE, {**body, **more}, token=admin), 400, "VALIDATION_ERROR")


async def test_an_address_is_unique_in_its_client_in_any_case(app: App, admin: str) -> None:
    made = await create(app, admin, "Unique@Acme.Example")
    assert made["email"] == "Unique@Acme.Example"
    for email in ("Unique@Acme.Example", "unique@acme.example", "UNIQUE@ACME.EXAMPLE"):
        body = {"email": email, "roles": ["Viewer"]}
        check_refusal(await app.post(BASE, body, token=admin), 409, "CONFLICT")
    other = f"{BASE}/{app.ids['viewer@acme.example']}"
    reply = await app.send("PATCH", other, {"email": "uNIQUE@acme.example"}, token=admin)
    check_refusal(reply, 409, "CONFLICT")
    await create(app, admin, "unique@acme.example", BASE.replace("acme", "globex"))


async def test_one_of_several_concurrent_requests_gets_an_address(app: App, admin: str) -> None:
    body = {"email": "contested@acme.example", "roles": ["Viewer"]}
    replies = await asyncio.gather(*(app.post(BASE, body, token=admin) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 5


@rule("RANK")
async def test_omitted_fields_do_not_change(app: App, admin: str) -> None:
    made = await create(app, admin, "change@acme.example", firstName="First", lastName="Last", title="Title")
    user = f"{BASE}/{made['id']}"
    changed = check_success(await app.send("PATCH", user, {"lastName": "", "title": "New"}, token=admin))
    assert changed == {**made, "lastName": "", "title": "New"}
    extra = {"roles": ["Admin"], "passwordHash": "x", "id": 1, "deactivatedAt": "2020-01-01T00:00:00.000Z"}
    error = check_refusal(await app.send("PATCH", user, extra, token=admin), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == list(extra)
    assert check_success(await app.get(user, token=admin)) == changed
    moved = check_success(await app.send("PATCH", user, {"email": "moved@acme.example"}, token=admin))
    assert moved["email"] == "moved@acme.example"
    check_refusal(await app.sign_in("change@acme.example", GOOD), 401, "INVALID_CREDENTIALS")
    check_success(await app.sign_in("moved@acme.example", GOOD))
    for name in ("firstName", "lastName", "title"):
        for value in ("two\nlines", "x" * 101, None, 5):
            check_refusal(await app.send("PATCH", user, {name: value}, token=admin), 400, "VALIDATION_ERROR")


async def test_a_change_of_roles_takes_effect_with_the_next_request(app: App, admin: str) -> None:
    made = await create(app, admin, "promoted@acme.example")
    token = check_success(await app.sign_in("promoted@acme.example", GOOD))["token"]
    assert check_success(await app.me(token))["roles"] == ["Viewer"]
    roles = {"roles": ["Publisher", "Author", "Author"]}
    data = check_success(await app.send("PUT", f"{BASE}/{made['id']}/roles", roles, token=admin))
    assert data["roles"] == ["Author", "Publisher"]
    me = check_success(await app.me(token))
    assert me["roles"] == ["Author", "Publisher"]
    assert "templates:publish" in me["permissions"]


@rule("SESSION-ENDED-BY-OTHERS")
async def test_deactivation_ends_all_sessions_and_a_restored_user_signs_in_again(app: App, admin: str) -> None:
    made = await create(app, admin, "leaving@acme.example")
    user = f"{BASE}/{made['id']}"
    first, second = [await app.sign_in("leaving@acme.example", GOOD) for _ in range(2)]
    data = check_success(await app.post(f"{user}/deactivate", token=admin))
    assert data["deactivatedAt"] is not None
    for signed_in in (first, second):
        check_refusal(await app.me(signed_in.data["token"]), 401, "INVALID_TOKEN")
        check_refusal(await app.me(cookie=signed_in.cookie("session")), 401, "INVALID_TOKEN")
        check_refusal(await app.refresh(signed_in.data["refreshToken"]), 401, "INVALID_TOKEN")
    check_refusal(await app.sign_in("leaving@acme.example", GOOD), 403, "ACCOUNT_DISABLED")
    check_refusal(await app.sign_in("leaving@acme.example", "wrong"), 401, "INVALID_CREDENTIALS")
    check_refusal(await app.post(f"{user}/deactivate", token=admin), 409, "CONFLICT")
    assert check_success(await app.post(f"{user}/restore", token=admin))["deactivatedAt"] is None
    check_refusal(await app.post(f"{user}/restore", token=admin), 409, "CONFLICT")
    check_refusal(await app.me(first.data["token"]), 401, "INVALID_TOKEN")
    check_success(await app.sign_in("leaving@acme.example", GOOD))


async def test_a_users_sessions_can_be_ended(app: App, admin: str) -> None:
    made = await create(app, admin, "ended@acme.example")
    signed_in = await app.sign_in("ended@acme.example", GOOD)
    check_success(await app.sign_in("ended@acme.example", GOOD))
    path = f"{BASE}/{made['id']}/sessions"
    assert check_success(await app.send("DELETE", path, token=admin)) == {"ended": 2}
    check_refusal(await app.me(signed_in.data["token"]), 401, "INVALID_TOKEN")
    assert check_success(await app.send("DELETE", path, token=admin)) == {"ended": 0}


@rule("FOREIGN-IS-MISSING")
async def test_another_clients_id_looks_nonexistent(app: App, admin: str) -> None:
    foreign, missing = app.ids["author@globex.example"], 999_999
    acts: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("PUT", "/roles", {"roles": ["Admin"]}),
        ("POST", "/deactivate", None),
        ("POST", "/restore", None),
        ("DELETE", "/sessions", None),
    ]
    before = check_success(await app.get(f"/api/admin/clients/globex/users/{foreign}", token=admin))
    for method, action, body in acts:
        replies = [await app.send(method, f"{BASE}/{id_}{action}", body, token=admin) for id_ in (foreign, missing)]
        check_refusal(replies[0], 404, "NOT_FOUND")
        same_but_request_id(*replies)
    after = check_success(await app.get(f"/api/admin/clients/globex/users/{foreign}", token=admin))
    assert after == before


async def test_a_list_has_pages_and_search_and_only_one_clients_users(app: App, admin: str) -> None:
    made = [(await create(app, admin, f"paged-{n}@acme.example", lastName="Ångström"))["id"] for n in range(5)]
    found: list[int] = []
    cursor = ""
    while cursor is not None:
        data = check_success(await app.get(f"{BASE}?first=2&after={cursor}&q=PAGED-", token=admin))
        assert len(data["items"]) <= 2
        found += [user["id"] for user in data["items"]]
        cursor = data["nextCursor"]
    assert found == made
    for q in ("Ångström", "ångström", "ÅNGSTRÖM"):
        assert len(check_success(await app.get(f"{BASE}?q={q}", token=admin))["items"]) == 5
    whole = check_success(await app.get(f"{BASE}?first=100", token=admin))["items"]
    assert not {user["id"] for user in whole} & {v for k, v in app.ids.items() if k.endswith("@globex.example")}
