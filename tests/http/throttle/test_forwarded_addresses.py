"""A backend with permission can forward its user's address, which rate limits then use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.accounts import act_on, trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.attempt_limits import ACCOUNT, ADDRESS, ORIGIN, WRONG, at
from tests.support.envelope import check_refusal, check_success
from tests.support.machines import OWN, Machine, machine
from tests.support.rules import rule
from tests.support.team import new_team

pytestmark = pytest.mark.one_store
BACKEND, THEIRS, CLAIMED = "198.51.100.200", "203.0.113.9", "203.0.113.99"
PATHS = ("sign-in", "refresh", "exchange", "password/forgot", "sign-in/continue", "discover")


@pytest.fixture
async def backend(app: App) -> Machine:
    """An Acme server that signs users in."""
    return await machine(app, "acme", mayForwardAddress=True)


async def passed(
    app: App, credential: str, address: str, email: str = "nobody@acme.example", password: str = WRONG, **more: str
) -> Reply:
    """A sign-in through the backend, for a user at that address."""
    headers = {**at(BACKEND), "Manifest-Forwarded-For": address, "Authorization": f"Bearer {credential}", **more}
    return await app.post("/api/client/auth/sign-in", {"email": email, "password": password}, headers=headers)


@rule("FORWARDED-ADDRESS")
async def test_session_and_trail_have_the_users_address_and_who_passed_it_on(
    app: App, backend: Machine, email: str
) -> None:
    signed_in = check_success(await passed(app, backend.key.text, THEIRS, email, PASSWORD))
    [session] = check_success(await app.get("/api/client/auth/sessions", token=signed_in["token"]))["items"]
    assert session["address"] == THEIRS
    await passed(app, backend.key.text, "::ffff:203.0.113.10", email)
    seen = [event for event in await trail(app, "acme") if event.event in ("signed_in", "sign_in_failed")][-2:]
    assert [(one.address, one.members["via"]) for one in seen] == [
        (THEIRS, backend.actor), ("203.0.113.10", backend.actor),
    ]  # fmt: skip


@rule("FORWARDED-ADDRESS")
async def test_a_refusal_says_who_passed_the_address_on(app: App, backend: Machine, email: str) -> None:
    keys = check_success(await passed(app, backend.key.text, THEIRS, email, PASSWORD))
    await act_on(app, f"acme/users/{keys['user']['id']}/deactivate")
    headers = {**at(BACKEND), "Manifest-Forwarded-For": THEIRS, "Authorization": f"Bearer {backend.key.text}"}
    refused = await app.post("/api/client/auth/refresh", {"refreshToken": keys["refreshToken"]}, headers=headers)
    check_refusal(refused, 401, "INVALID_TOKEN")
    last = (await trail(app, "acme"))[-1]
    assert (last.event, last.address, last.members["via"]) == ("access_refused", THEIRS, backend.actor)


@rule("FORWARDED-ADDRESS")
async def test_users_of_one_backend_share_no_limit_and_each_has_its_own(app: App, backend: Machine) -> None:
    for number in range(ADDRESS.free + 10):  # more attempts than one address is allowed
        wrong = await passed(app, backend.key.text, f"203.0.113.{number + 1}", f"n{number}@acme.example")
        check_refusal(wrong, 401, "INVALID_CREDENTIALS")
    for number in range(ADDRESS.free):
        await passed(app, backend.key.text, "203.0.113.250", f"m{number}@acme.example")
    check_refusal(await passed(app, backend.key.text, "203.0.113.250", "x@acme.example"), 429, "RATE_LIMITED")
    elsewhere = {"email": "y@acme.example", "password": WRONG}
    own = await app.post("/api/client/auth/sign-in", elsewhere, headers=at("203.0.113.250"))
    check_refusal(own, 401, "INVALID_CREDENTIALS")  # a key doesn't block an address


@rule("FORWARDED-ADDRESS", "THROTTLE-OWNER")
async def test_a_stolen_key_guesses_no_more_at_one_account(app: App, backend: Machine, email: str) -> None:
    """Not even by claiming an address that the owner signed in from."""
    check_success(await app.sign_in(email, PASSWORD, "acme", headers=at(THEIRS)))
    told = [(await passed(app, backend.key.text, THEIRS, email)).code for _ in range(ORIGIN.free + 1)]
    assert told == ["INVALID_CREDENTIALS"] * ORIGIN.free + ["RATE_LIMITED"]
    left = [(await passed(app, backend.key.text, f"203.0.113.{n}", email)).code for n in range(20, 40)]
    assert left.count("INVALID_CREDENTIALS") == ACCOUNT.free - ORIGIN.free
    check_success(await app.sign_in(email, PASSWORD, "acme", headers=at(THEIRS)))


@rule("FORWARDED-ADDRESS")
async def test_the_header_counts_from_a_service_account_with_the_right_alone(app: App, backend: Machine) -> None:
    team = await new_team(app)
    person, other = (await team.member("Admin")).token, await machine(app, team.client, mayForwardAddress=True)
    lesser = await machine(app, "acme")

    async def refused(credential: str, status: int, code: str, address: str = CLAIMED, **more: str) -> dict[str, Any]:
        reply = await passed(app, credential, address, **more)
        assert CLAIMED not in json.dumps([event.address for event in await trail(app, "acme")])
        return check_refusal(reply, status, code)

    told = (await refused(lesser.key.text, 403, "FORBIDDEN"))["details"]
    name = "Manifest-Forwarded-For"
    assert told == [{"field": name, "message": "The service account isn't allowed to forward addresses"}]
    await refused(person, 401, "INVALID_TOKEN")
    await refused(backend.key.text[:-1] + "x", 401, "INVALID_TOKEN")
    await refused(other.key.text, 403, "FORBIDDEN", **{"X-Client-ID": "acme"})
    for wrong in (f"{CLAIMED}, {THEIRS}", "somewhere", "203.0.113.0/24"):
        told = (await refused(backend.key.text, 400, "VALIDATION_ERROR", wrong))["details"]
        assert told == [{"field": name, "message": "Must be a single IP address"}]
    listed = await machine(app, "acme", mayForwardAddress=True, addresses=["192.0.2.0/24"])
    await refused(listed.key.text, 403, "FORBIDDEN")
    for path in PATHS:
        reply = await app.post(f"/api/client/auth/{path}", {}, headers={name: THEIRS})
        check_refusal(reply, 401, "UNAUTHENTICATED")
    change = {"mayForwardAddress": False}
    address = f"/api/admin/clients/acme/service-accounts/{backend.id}"
    check_success(await app.send("PATCH", address, change, token=await app.admin_token()))
    await refused(backend.key.text, 403, "FORBIDDEN")


@rule("FORWARDED-ADDRESS")
async def test_a_backend_signs_in_users_of_its_own_client_alone(app: App, email: str) -> None:
    team = await new_team(app)
    other = await machine(app, team.client, mayForwardAddress=True)
    check_refusal(await passed(app, other.key.text, THEIRS, email, PASSWORD), 401, "INVALID_CREDENTIALS")
    refresh = (await app.sign_in(email, PASSWORD, "acme")).data["refreshToken"]
    headers = {"Manifest-Forwarded-For": THEIRS, "Authorization": f"Bearer {other.key.text}"}
    reply = await app.post("/api/client/auth/refresh", {"refreshToken": refresh}, headers=headers)
    check_refusal(reply, 403, "FORBIDDEN")


@rule("FORWARDED-ADDRESS")
async def test_only_an_admin_gives_the_right(app: App) -> None:
    team = await new_team(app)
    lesser, admin = (await team.member("User Admin")).token, (await team.member("Admin")).token
    new = {"name": "portal", "roles": ["Viewer"], "mayForwardAddress": True}
    check_refusal(await app.post(OWN, new, token=lesser), 403, "FORBIDDEN")
    made = check_success(await app.post(OWN, new, token=admin), 201)
    assert made["mayForwardAddress"] is True
    renamed = check_success(await app.send("PATCH", f"{OWN}/{made['id']}", {"name": "portal-2"}, token=lesser))
    assert renamed["mayForwardAddress"] is True
    off, on = {"mayForwardAddress": False}, {"mayForwardAddress": True}
    check_success(await app.send("PATCH", f"{OWN}/{made['id']}", off, token=lesser))
    check_refusal(await app.send("PATCH", f"{OWN}/{made['id']}", on, token=lesser), 403, "FORBIDDEN")
