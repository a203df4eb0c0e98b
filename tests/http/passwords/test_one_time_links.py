"""A one-time link lets a user choose a password that meets the client's policy, and signs them in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import Keys, hashes_counted, keys_of, new_user, opened_by, settle
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import oidc_provider, session_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser
from tests.support.team import Team, new_team
from tests.support.user_management import (
    NEW,
    RENEW,
    RESET,
    UPDATE,
    accept,
    events,
    invited,
    reset,
    started_reset,
    token_in,
)

pytestmark = pytest.mark.one_store

LOOK = "/api/client/auth/link"


@pytest.fixture
async def team(app: App) -> Team:
    return await new_team(app)


async def user_with(team: Team, password: str = PASSWORD, **members: Any) -> tuple[int, str]:
    return await new_user(team.app, team.client, password=password, **members)


async def test_a_first_password_is_chosen_and_its_holder_is_in(team: Team) -> None:
    user_id, token = await invited(team, "first@engines.example", "Author")
    reply = await accept(team.app, token)
    data = check_success(reply)
    assert set(data) == {"token", "refreshToken", "expiresIn", "user"}
    assert data["user"] == {
        "id": user_id, "email": "first@engines.example", "firstName": "", "lastName": "", "roles": ["Author"],
        "clientId": team.client,
    }  # fmt: skip
    keys = Keys(data["token"], data["refreshToken"], reply.cookie("session"))
    assert (await team.app.me(keys.token)).data["session"]["method"] == "link"
    assert await opened_by(team.app, keys) == ["token", "cookie", "refresh token"]
    assert (await team.app.sign_in("first@engines.example", NEW, team.client)).status == 200
    [event] = await events(team, "invitation_accepted")
    assert (event.actor, event.subject) == ("anonymous", f"user:{user_id}")
    assert event.members == {"made_by": f"user:{(await team.member('Admin')).id}", "sessions_ended": 0}


@rule("SESSION-ENDED-BY-OTHERS")
async def test_a_new_password_takes_the_old_ones_place_and_every_session_ends(team: Team) -> None:
    user_id, email = await user_with(team)
    there = [await keys_of(team.app, email, client=team.client) for _ in range(3)]
    reply = await reset(team.app, await started_reset(team, user_id))
    mine = Keys(check_success(reply)["token"], reply.data["refreshToken"], reply.cookie("session"))
    for keys in there:
        assert await opened_by(team.app, keys) == []
    assert await opened_by(team.app, mine) == ["token", "cookie", "refresh token"]
    check_refusal(await team.app.sign_in(email, PASSWORD, team.client), 401, "INVALID_CREDENTIALS")
    assert (await team.app.sign_in(email, NEW, team.client)).status == 200
    [event] = await events(team, "password_reset")
    assert event.members["sessions_ended"] == 3


async def test_until_it_is_used_the_old_password_and_the_sessions_stay(team: Team) -> None:
    user_id, email = await user_with(team)
    keys = await keys_of(team.app, email, client=team.client)
    await started_reset(team, user_id)
    assert (await team.app.sign_in(email, PASSWORD, team.client)).status == 200
    assert await opened_by(team.app, keys) == ["token", "cookie", "refresh token"]


async def test_someone_without_a_password_gets_one_by_a_reset_too(team: Team) -> None:
    user_id, email = await new_user(team.app, team.client)
    check_success(await reset(team.app, await started_reset(team, user_id)))
    assert (await team.app.sign_in(email, NEW, team.client)).status == 200


async def test_a_cookie_that_comes_along_is_not_adopted_and_its_session_ends(team: Team) -> None:
    _, email = await user_with(team)
    keys = await keys_of(team.app, email, client=team.client)
    _, token = await invited(team)
    reply = await accept(team.app, token, cookie=keys.cookie)
    assert reply.cookie("session") != keys.cookie
    assert (await team.app.me(cookie=keys.cookie)).status == 401


@matrix("choose", [accept, reset])
@matrix("password", ["fourteen-chars", "passwordpassword", "aaaaaaaaaaaaaaaaaaaa", "weak-engines.example", "x" * 257])
async def test_the_clients_rules_count_and_a_password_they_reject_leaves_the_link_open(
    shared: Team, choose: Any, password: str
) -> None:
    user_id, token = await invited(shared, f"weak-{len(await events(shared, 'user_created'))}@engines.example")
    field = "password"
    if choose is reset:
        token, field = await started_reset(shared, user_id), "newPassword"
    error = check_refusal(await choose(shared.app, token, password), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [field]
    check_success(await choose(shared.app, token, NEW))


@pytest.fixture(scope="module")
async def shared(app: App) -> Team:
    """A client for many small cases."""
    return await new_team(app)


async def test_a_client_that_asks_for_more_gets_it(team: Team) -> None:
    _, token = await invited(team)
    await settle(team.app, team.client, password={"minLength": 30, "characterClasses": 4})
    check_refusal(await accept(team.app, token, NEW), 400, "VALIDATION_ERROR")
    check_refusal(await accept(team.app, token, NEW + NEW[::-1]), 400, "VALIDATION_ERROR")
    check_success(await accept(team.app, token, NEW + "Quartz 9 Meadow"))


async def test_earlier_passwords_do_not_come_back_by_a_reset(team: Team) -> None:
    await settle(team.app, team.client, password={"history": 3})
    user_id, email = await user_with(team)
    check_success(await reset(team.app, await started_reset(team, user_id)))
    token = await started_reset(team, user_id)
    for old in (NEW, PASSWORD):
        error = check_refusal(await reset(team.app, token, old), 400, "VALIDATION_ERROR")
        assert error["details"] == [
            {"field": "newPassword", "message": "You used this password before. Enter a different one."}
        ]
    check_success(await reset(team.app, token, "quartz-meadow-58-signal"))
    assert (await team.app.sign_in(email, "quartz-meadow-58-signal", team.client)).status == 200


@rule("ONE-TIME-LINK")
@matrix(("choose", "life"), [(accept, 72 * 3600), (reset, 30 * 60)])
async def test_it_works_until_its_time_is_over(team: Team, choose: Any, life: int) -> None:
    people = [await invited(team) for _ in range(2)]
    tokens = [token for _, token in people]
    if choose is reset:
        tokens = [await started_reset(team, user_id) for user_id, _ in people]
    team.app.clock.advance(life - 1)
    check_success(await choose(team.app, tokens[0]))
    team.app.clock.advance(1)
    check_refusal(await choose(team.app, tokens[1]), 401, "INVALID_TOKEN")


@rule("ONE-TIME-LINK")
@matrix("choose", [accept, reset])
async def test_of_five_who_use_it_at_the_same_time_one_is_in(team: Team, choose: Any) -> None:
    user_id, token = await invited(team)
    if choose is reset:
        token = await started_reset(team, user_id)
    tries = [choose(team.app, token, f"{NEW}-{number}") for number in range(5)]
    replies = await asyncio.gather(*tries)
    assert sorted(reply.status for reply in replies) == [200] + [401] * 4
    [won] = [number for number, reply in enumerate(replies) if reply.status == 200]
    email = replies[won].data["user"]["email"]
    assert (await team.app.sign_in(email, f"{NEW}-{won}", team.client)).status == 200


@rule("ONE-TIME-LINK")
async def test_a_new_one_closes_earlier_ones_of_its_purpose_alone(team: Team) -> None:
    user_id, invitation = await invited(team)
    first = await started_reset(team, user_id)
    second = await started_reset(team, user_id)
    check_refusal(await reset(team.app, first), 401, "INVALID_TOKEN")
    check_success(await team.app.post(LOOK, {"token": invitation}))
    renewed = token_in(await team.ask("Admin", RENEW, id=user_id))
    check_refusal(await accept(team.app, invitation), 401, "INVALID_TOKEN")
    check_success(await team.app.post(LOOK, {"token": second}))
    check_success(await accept(team.app, renewed))
    check_refusal(await reset(team.app, second), 401, "INVALID_TOKEN")  # a chosen password closes all other links


@rule("ONE-TIME-LINK")
async def test_another_address_closes_what_went_to_the_one_before(team: Team) -> None:
    user_id, invitation = await invited(team)
    resetting = await started_reset(team, user_id)
    await team.ask("Admin", UPDATE, id=user_id, input={"title": "Another title"})
    check_success(await team.app.post(LOOK, {"token": invitation}))
    await team.ask("Admin", UPDATE, id=user_id, input={"email": "moved@engines.example"})
    check_refusal(await accept(team.app, invitation), 401, "INVALID_TOKEN")
    check_refusal(await reset(team.app, resetting), 401, "INVALID_TOKEN")


async def test_a_password_that_is_changed_closes_an_open_reset(team: Team) -> None:
    user_id, email = await user_with(team)
    token = await started_reset(team, user_id)
    keys = await keys_of(team.app, email, client=team.client)
    body = {"currentPassword": PASSWORD, "newPassword": "quartz-meadow-58-signal"}
    check_success(await team.app.post("/api/client/auth/password", body, token=keys.token))
    check_refusal(await reset(team.app, token), 401, "INVALID_TOKEN")


async def test_an_invited_person_can_can_sign_in_through_a_provider_instead(app: App) -> None:
    async with oidc_provider(app, displayName="The company", createUsers=False) as company:
        team = Team(app, company.client)
        user_id, token = await invited(team)
        [way] = check_success(await app.post(LOOK, {"token": token}))["providers"]
        assert way["displayName"] == "The company"
        assert f"client={company.client}&provider={company.name}" in way["url"]
        me = await session_of(await company.sign_in("ada", query={"invitation": token}))
        assert me["user"]["id"] == user_id
        check_refusal(await accept(app, token), 401, "INVALID_TOKEN")


async def test_a_reset_link_opens_nothing_at_a_provider(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        team = Team(app, company.client)
        user_id, _ = await invited(team)
        token = await started_reset(team, user_id)
        begun = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=token)
        check_refusal(begun, 401, "SSO_FAILED")
        check_success(await reset(app, token))


async def test_who_has_a_password_chooses_no_first_one(team: Team) -> None:
    user_id, email = await user_with(team)
    token = token_in(await team.ask("Admin", RENEW, id=user_id))
    told = check_success(await team.app.post(LOOK, {"token": token}))
    assert (told["password"], "already has a password" in told["message"]) == (None, True)
    check_refusal(await accept(team.app, token), 409, "CONFLICT")
    assert (await team.app.sign_in(email, PASSWORD, team.client)).status == 200


@matrix("choose", [accept, reset])
async def test_where_passwords_are_not_used_none_is_chosen(team: Team, choose: Any) -> None:
    user_id, token = await invited(team)
    if choose is reset:
        token = await started_reset(team, user_id)
    await team.member("Viewer")
    await settle(team.app, team.client, passwordSignIn=False)
    check_refusal(await choose(team.app, token), 409, "CONFLICT")
    told = check_success(await team.app.post(LOOK, {"token": token}))
    assert (told["password"], "Passwords are turned off" in told["message"]) == (None, True)


async def test_where_passwords_are_not_used_no_link_for_one_is_made(team: Team) -> None:
    user_id, _ = await user_with(team)
    await team.member("Admin")
    await settle(team.app, team.client, passwordSignIn=False)
    assert (await team.refused("Admin", RESET, id=user_id)).code == "CONFLICT"
    path = f"/api/admin/clients/{team.client}/users/{user_id}/password-reset"
    check_refusal(await team.app.post(path, token=await team.app.admin_token()), 409, "CONFLICT")
    assert await events(team, "password_reset_started") == []


async def test_a_caller_who_tries_one_password_after_the_other_has_to_wait(team: Team) -> None:
    """Each one costs hashes. The account's own counters don't change."""
    await settle(team.app, team.client, password={"history": 1})
    user_id, email = await user_with(team)
    token = await started_reset(team, user_id)
    replies = [await reset(team.app, token, PASSWORD) for _ in range(6)]
    assert [reply.code for reply in replies] == ["VALIDATION_ERROR"] * 5 + ["RATE_LIMITED"]
    assert (await team.app.sign_in(email, PASSWORD, team.client)).status == 200
    team.app.clock.advance(int(replies[-1].headers["retry-after"]))
    check_success(await reset(team.app, token))


async def test_a_link_that_does_not_work_costs_no_hash(team: Team) -> None:
    user_id, _ = await user_with(team)
    token = await started_reset(team, user_id)
    with hashes_counted() as hashes:
        check_refusal(await reset(team.app, "x" * 32), 401, "INVALID_TOKEN")
        check_refusal(await accept(team.app, token), 401, "INVALID_TOKEN")
        assert hashes == []
        check_success(await reset(team.app, token))
        assert len(hashes) == 1
