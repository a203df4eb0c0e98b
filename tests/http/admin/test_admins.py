"""System admins manage each other, and the last active one stays, even with two concurrent requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.rules import rule
from tests.support.system_admins import ADMINS, AUTH, SystemAdmin, another, events, sign_in, signed_in_admin

pytestmark = pytest.mark.one_store

NEW = "granite-otter-47-lantern"


@pytest.fixture
async def root(app: App) -> AsyncIterator[SystemAdmin]:
    """Root as the only admin; disables those that a test created."""
    app.clock.advance(3600)
    root = await signed_in_admin(app)
    yield root
    for admin in check_success(await root.get(f"{ADMINS}?first=100&state=active"))["items"]:
        if admin["id"] != root.id:
            await root.post(f"{ADMINS}/{admin['id']}/disable")


async def test_a_new_admin_gets_a_random_password_shown_once(root: SystemAdmin) -> None:
    made = check_success(await root.post(ADMINS, {"username": "Grace"}), 201)
    assert set(made) == {"admin", "password"}
    assert len(made["password"]) >= 20
    assert set(made["admin"]) == {"id", "username", "secondFactor", "createdAt", "disabledAt", "lastSignInAt"}
    check_success(await sign_in(root.app, "grace", made["password"]))
    seen = await root.get(f"{ADMINS}/{made['admin']['id']}")
    assert check_success(seen)["lastSignInAt"] is not None
    assert made["password"] not in seen.text


async def test_a_given_password_follows_the_rules_and_is_not_shown(root: SystemAdmin) -> None:
    made = check_success(await root.post(ADMINS, {"username": "given", "password": NEW}), 201)
    assert made["password"] is None
    check_success(await sign_in(root.app, "given", NEW))
    for weak in ("short", "passwordpassword", "manifest manifest"):
        check_refusal(await root.post(ADMINS, {"username": "weak", "password": weak}), 400, "VALIDATION_ERROR")
    check_refusal(await root.post(ADMINS, {"username": "GIVEN"}), 409, "CONFLICT")
    check_refusal(await root.post(ADMINS, {"username": " spaced"}), 400, "VALIDATION_ERROR")


@rule("SESSION-ENDED-BY-OTHERS")
async def test_a_disabled_admin_is_signed_out_and_signs_in_again_when_enabled(root: SystemAdmin) -> None:
    other = await another(root)
    data = check_success(await root.post(f"{ADMINS}/{other.id}/disable"))
    assert data["disabledAt"] is not None
    check_refusal(await other.get(ADMINS), 401, "INVALID_TOKEN")
    check_refusal(await sign_in(root.app, other.username), 403, "ACCOUNT_DISABLED")
    check_refusal(await root.post(f"{ADMINS}/{other.id}/disable"), 409, "CONFLICT")
    assert check_success(await root.post(f"{ADMINS}/{other.id}/enable"))["disabledAt"] is None
    check_refusal(await root.post(f"{ADMINS}/{other.id}/enable"), 409, "CONFLICT")
    check_refusal(await other.get(ADMINS), 401, "INVALID_TOKEN")  # the earlier sessions have ended
    check_success(await (await other.again()).get(ADMINS))


async def test_the_last_active_admin_stays(root: SystemAdmin) -> None:
    check_refusal(await root.post(f"{ADMINS}/{root.id}/disable"), 409, "CONFLICT")
    other = await another(root)
    check_success(await other.post(f"{ADMINS}/{root.id}/disable"))
    check_refusal(await other.post(f"{ADMINS}/{other.id}/disable"), 409, "CONFLICT")
    check_success(await other.post(f"{ADMINS}/{root.id}/enable"))
    root.token = (await root.again()).token


@rule("RANK")
async def test_one_of_two_admins_who_disable_each_other_stays(root: SystemAdmin) -> None:
    for _ in range(4):
        one, other = await another(root), await another(root)
        replies = await asyncio.gather(
            one.post(f"{ADMINS}/{other.id}/disable"), other.post(f"{ADMINS}/{one.id}/disable")
        )
        assert sorted(reply.status for reply in replies) == [200, 401], [reply.text for reply in replies]
        listed = check_success(await root.get(f"{ADMINS}?state=active&first=100"))["items"]
        assert len({one.id, other.id} & {admin["id"] for admin in listed}) == 1


async def test_one_of_the_last_two_admins_who_disable_themselves_stays(root: SystemAdmin) -> None:
    for _ in range(4):
        other = await another(root)
        replies = await asyncio.gather(*(me.post(f"{ADMINS}/{me.id}/disable") for me in (root, other)))
        assert sorted(reply.status for reply in replies) == [200, 409], [reply.text for reply in replies]
        left, gone = (root, other) if replies[1].status == 200 else (other, root)
        if gone is root:
            check_success(await left.post(f"{ADMINS}/{root.id}/enable"))
            root.token = (await root.again()).token
            check_success(await root.post(f"{ADMINS}/{other.id}/disable"))


async def test_a_reset_gives_a_new_password_once_and_ends_the_sessions(root: SystemAdmin) -> None:
    other = await another(root)
    made = check_success(await root.post(f"{ADMINS}/{other.id}/reset-password"))
    check_refusal(await other.get(ADMINS), 401, "INVALID_TOKEN")
    check_refusal(await sign_in(root.app, other.username), 401, "INVALID_CREDENTIALS")
    check_success(await sign_in(root.app, other.username, made["password"]))
    check_refusal(await root.post(f"{ADMINS}/{root.id}/reset-password"), 409, "CONFLICT")


async def test_admins_change_their_password_with_the_current_one(root: SystemAdmin) -> None:
    me = await another(root)
    elsewhere = await me.again()
    wrong = {"currentPassword": "wrong", "newPassword": NEW}
    check_refusal(await me.post(f"{AUTH}/password", wrong), 401, "INVALID_CREDENTIALS")
    for weak in ("short", PASSWORD):
        body = {"currentPassword": PASSWORD, "newPassword": weak}
        check_refusal(await me.post(f"{AUTH}/password", body), 400, "VALIDATION_ERROR")
    check_success(await me.post(f"{AUTH}/password", {"currentPassword": PASSWORD, "newPassword": NEW}))
    check_success(await me.get(f"{AUTH}/me"))
    check_refusal(await elsewhere.get(f"{AUTH}/me"), 401, "INVALID_TOKEN")
    check_refusal(await sign_in(root.app, me.username), 401, "INVALID_CREDENTIALS")
    check_success(await sign_in(root.app, me.username, NEW))


async def test_guesses_of_the_current_password_are_rate_limited(root: SystemAdmin) -> None:
    me = await another(root)
    body = {"currentPassword": "wrong", "newPassword": NEW}
    codes = [(await me.post(f"{AUTH}/password", body)).code for _ in range(8)]
    assert codes[0] == "INVALID_CREDENTIALS"
    assert codes[-1] == "RATE_LIMITED"


async def test_the_sessions_of_an_admin_can_be_ended(root: SystemAdmin) -> None:
    other = await another(root)
    await other.again()
    assert check_success(await root.send("DELETE", f"{ADMINS}/{other.id}/sessions")) == {"ended": 2}
    check_refusal(await other.get(ADMINS), 401, "INVALID_TOKEN")


async def test_the_list_is_paged_filtered_searched_and_sorted(root: SystemAdmin) -> None:
    for name in ("paged-c", "Paged-a", "paged-b"):
        check_success(await root.post(ADMINS, {"username": name}), 201)
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = check_success(await root.get(f"{ADMINS}?q=PAGED&sort=USERNAME&first=2&after={cursor}"))
        found += [admin["username"] for admin in page["items"]]
        cursor = page["nextCursor"]
    assert found == ["Paged-a", "paged-b", "paged-c"]
    down = check_success(await root.get(f"{ADMINS}?q=paged&sort=USERNAME_DESC"))["items"]
    assert [admin["username"] for admin in down] == found[::-1]
    check_success(await root.post(f"{ADMINS}/{down[0]['id']}/disable"))
    off = check_success(await root.get(f"{ADMINS}?q=paged&state=disabled"))["items"]
    assert [admin["username"] for admin in off] == ["paged-c"]
    for wrong in ("sort=NAME", "state=x", "sort=USERNAME&after=999999"):
        check_refusal(await root.get(f"{ADMINS}?{wrong}"), 400, "VALIDATION_ERROR")


async def test_an_unknown_admin_is_not_found(root: SystemAdmin) -> None:
    for method, action in (("GET", ""), ("POST", "/disable"), ("POST", "/enable"), ("POST", "/reset-password"),
                         ("POST", "/reset-second-factor"), ("DELETE", "/sessions")):  # fmt: skip
        check_refusal(await root.send(method, f"{ADMINS}/999999{action}"), 404, "NOT_FOUND")


async def test_every_action_is_in_the_installations_audit_trail_without_secrets(root: SystemAdmin) -> None:
    other = await another(root)
    made = [check_success(await root.post(f"{ADMINS}/{other.id}/reset-password"))["password"]]
    for act in ("disable", "enable"):
        check_success(await root.post(f"{ADMINS}/{other.id}/{act}"))
    mine = [
        (e, actor, detail) for e, actor, subject, detail in await events(root.app) if subject == f"admin:{other.id}"
    ]
    assert [e for e, _, _ in mine if e.startswith("admin_")] == [
        "admin_created", "admin_password_reset", "admin_disabled", "admin_enabled",
    ]  # fmt: skip
    assert all(actor == f"admin:{root.id}" for e, actor, _ in mine if e.startswith("admin_"))
    assert mine[-1][2] == {"before": {"disabled": True}, "after": {"disabled": False}}
    assert made[0] not in str(mine)
    assert "argon2" not in str(mine)
