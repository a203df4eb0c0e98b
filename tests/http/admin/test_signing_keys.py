"""System admins see signing keys without their secrets, rotate them, and retire them."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.forged_tokens import b64, every_secret
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.system_admins import SystemAdmin, events, signed_in_admin

pytestmark = pytest.mark.one_store

KEYS = "/api/admin/keys"
MEMBERS = {"id", "purpose", "algorithm", "state", "createdAt", "retiredAt", "expiresAt"}


@pytest.fixture
async def root(app: App) -> SystemAdmin:
    app.clock.advance(60)
    return await signed_in_admin(app)


async def signing(root: SystemAdmin, purpose: str) -> str:
    [key] = check_success(await root.get(f"{KEYS}?purpose={purpose}&state=signing"))["items"]
    return str(key["id"])


async def test_each_purpose_has_a_key_and_no_secret_is_shown(root: SystemAdmin) -> None:
    reply = await root.get(f"{KEYS}?state=signing")
    items = check_success(reply)["items"]
    assert {key["purpose"] for key in items} == {
        "access",
        "refresh",
        "admin-access",
        "admin-refresh",
        "service",
        "forms",
        "page-state",
    }
    assert all(set(key) == MEMBERS for key in items)
    for raw in every_secret(root.app):
        for secret in (raw.hex(), b64(raw)):
            assert secret not in reply.text


async def test_after_a_rotation_old_keys_verify_and_no_one_is_signed_out(root: SystemAdmin) -> None:
    user = (await root.app.sign_in("viewer@acme.example")).data
    old = await signing(root, "access")
    done = check_success(await root.post(f"{KEYS}/rotate", {"purpose": "access"}))
    assert done == {"rotated": ["access"]}
    assert await signing(root, "access") != old
    [key] = [k for k in check_success(await root.get(f"{KEYS}?purpose=access"))["items"] if k["id"] == old]
    assert key["state"] == "verifying"
    assert key["expiresAt"] > key["retiredAt"]
    check_success(await root.app.me(user["token"]))
    check_success(await root.app.me((await root.app.sign_in("viewer@acme.example")).data["token"]))
    everything = check_success(await root.post(f"{KEYS}/rotate", {}))
    assert everything == {
        "rotated": ["access", "refresh", "admin-access", "admin-refresh", "service", "forms", "page-state"]
    }
    check_success(await root.get(KEYS))
    check_success(await root.app.refresh(user["refreshToken"]))


@rule("KEY-ROTATION")
async def test_a_retired_key_no_longer_signs(root: SystemAdmin) -> None:
    user = (await root.app.sign_in("viewer@acme.example")).data
    old = await signing(root, "access")
    data = check_success(await root.post(f"{KEYS}/{old}/retire", {}))
    assert (data["id"], data["state"]) == (old, "verifying")
    assert await signing(root, "access") != old
    check_success(await root.app.me(user["token"]))
    check_refusal(await root.post(f"{KEYS}/{old}/retire", {}), 409, "CONFLICT")


@rule("KEY-ROTATION")
@matrix("retired_before", [False, True])
async def test_with_at_once_everything_it_signed_is_void(root: SystemAdmin, retired_before: bool) -> None:
    signed_in = await root.app.sign_in("viewer@acme.example")
    old = await signing(root, "access")
    check_success(await root.app.me(signed_in.data["token"]))
    if retired_before:
        check_success(await root.post(f"{KEYS}/{old}/retire", {}))
    data = check_success(await root.post(f"{KEYS}/{old}/retire", {"atOnce": True}))
    assert data["state"] == "expired"
    check_refusal(await root.app.me(signed_in.data["token"]), 401, "INVALID_TOKEN")
    check_success(await root.app.me(cookie=signed_in.cookie("session")))  # cookies aren't signed with keys
    fresh = check_success(await root.app.refresh(signed_in.data["refreshToken"]))
    check_success(await root.app.me(fresh["token"]))
    check_refusal(await root.post(f"{KEYS}/{old}/retire", {"atOnce": True}), 409, "CONFLICT")


async def test_one_of_several_concurrent_retirements_succeeds(root: SystemAdmin) -> None:
    old = await signing(root, "refresh")
    replies = await asyncio.gather(*(root.post(f"{KEYS}/{old}/retire", {}) for _ in range(3)))
    assert sorted(reply.status for reply in replies) == [200, 409, 409]
    await signing(root, "refresh")  # one key is left for signing


async def test_the_list_is_paged_and_sorted(root: SystemAdmin) -> None:
    for _ in range(2):
        root.app.clock.advance(1)
        check_success(await root.post(f"{KEYS}/rotate", {}))
    for sort in ("CREATED", "CREATED_DESC", "ID", "ID_DESC"):
        whole = check_success(await root.get(f"{KEYS}?first=100&sort={sort}"))["items"]
        by = [(key["createdAt"], key["id"]) if sort.startswith("CREATED") else key["id"] for key in whole]
        assert by == sorted(by, reverse=sort.endswith("_DESC"))
        found, cursor = [], ""
        while cursor is not None:
            page = check_success(await root.get(f"{KEYS}?first=3&sort={sort}&after={cursor}"))
            found += page["items"]
            cursor = page["nextCursor"]
        assert found == whole
    for wrong in ("purpose=x", "state=x", "sort=x", "after=nothing", "first=0"):
        check_refusal(await root.get(f"{KEYS}?{wrong}"), 400, "VALIDATION_ERROR")


async def test_an_invalid_key_or_purpose_is_rejected(root: SystemAdmin) -> None:
    kinds = {
        key["purpose"]: key["algorithm"] for key in check_success(await root.get(f"{KEYS}?state=signing"))["items"]
    }
    assert kinds == {
        "access": "ES256", "refresh": "BLAKE2b", "admin-access": "HS256", "admin-refresh": "BLAKE2b",
        "service": "ES256", "forms": "HMAC-SHA-256", "page-state": "AES-256-GCM",
    }  # fmt: skip
    check_refusal(await root.post(f"{KEYS}/nothing/retire", {}), 404, "NOT_FOUND")
    check_refusal(await root.post(f"{KEYS}/rotate", {"purpose": "licence"}), 400, "VALIDATION_ERROR")


async def test_every_act_is_in_the_audit_trail(root: SystemAdmin) -> None:
    old = await signing(root, "refresh")
    check_success(await root.post(f"{KEYS}/{old}/retire", {"atOnce": True}))
    check_success(await root.post(f"{KEYS}/rotate", {"purpose": "refresh"}))
    (retired, _, subject, detail), (rotated, actor, _, more) = (await events(root.app))[-2:]
    assert (retired, subject) == ("key_retired", f"key:{old}")
    assert detail["before"] == {"retired_at": None, "expires_at": None}
    assert detail["after"]["expires_at"] == root.app.clock.now_ms()
    assert (rotated, actor, more) == ("keys_rotated", f"admin:{root.id}", more | {"purposes": ["refresh"]})
