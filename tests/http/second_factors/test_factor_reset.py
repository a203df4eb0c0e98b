"""A manager removes a user's second factors through each interface, depending on rank, and ends all related access."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import commands
from tests.support.accounts import new_client, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.second_factors import OWN, Person, person
from tests.support.secret_keys import SECRET_KEY
from tests.support.team import Team
from tests.support.user_management import RESET_FACTORS, reset, started_reset

pytestmark = pytest.mark.one_store

REASON = "Lost her phone"
Act = Callable[[Team, Person, Path], Awaitable[tuple[int, int]]]


def _path(user_id: int) -> str:
    return f"/api/client/users/{user_id}/factors/reset"


async def _as(team: Team, role: str, user_id: int, reason: str = REASON) -> Reply:
    return await team.app.post(_path(user_id), {"reason": reason}, token=(await team.member(role)).token)


def _counts(data: dict[str, Any]) -> tuple[int, int]:
    assert {*data} == {"factors", "sessions"}
    return data["factors"], data["sessions"]


async def _by_rest(team: Team, of: Person, folder: Path) -> tuple[int, int]:
    return _counts(check_success(await _as(team, "User Admin", of.id)))


async def _by_graphql(team: Team, of: Person, folder: Path) -> tuple[int, int]:
    return _counts(await team.ask("Admin", RESET_FACTORS, id=of.id, reason=REASON))


async def _by_admin_plane(team: Team, of: Person, folder: Path) -> tuple[int, int]:
    path = f"/api/admin/clients/{team.client}/users/{of.id}/factors/reset"
    return _counts(check_success(await team.app.post(path, {"reason": REASON}, token=await team.app.admin_token())))


async def _by_command_line(team: Team, of: Person, folder: Path) -> tuple[int, int]:
    settings = {"MANIFEST_DATABASE_URL": team.app.database, "MANIFEST_SECRET_KEY": SECRET_KEY}
    words = ("user", "reset-factors", of.email, "--client", team.client, "--reason", REASON)
    done = await asyncio.to_thread(commands.run, folder, *words, **settings)
    assert done.status == 0, done.err
    assert f"{of.email}: second factors removed: 1, sessions ended: 4." in done.out
    return 1, 4


ACTS: dict[str, tuple[Act, str]] = {
    "REST": (_by_rest, "User Admin"),
    "GraphQL": (_by_graphql, "Admin"),
    "admin plane": (_by_admin_plane, "admin:1"),
    "command line": (_by_command_line, "system"),
}


@pytest.fixture
async def team(app: App, another_day: None) -> Team:
    return Team(app, await new_client(app))


async def _with_an_app(team: Team, *roles: str) -> tuple[Person, str]:
    """A user with an authenticator app and one session; returns the session's token."""
    ada = await person(team.app, team.client, *roles)
    token = await ada.token()
    await ada.enrol(token)
    return ada, token


@pytest.mark.processes
@rule("SECOND-FACTOR-RESET")
@matrix("by", ACTS)
async def test_everything_that_a_factor_gave_is_gone(team: Team, by: str, tmp_path: Path) -> None:
    app, (act, actor) = team.app, ACTS[by]
    ada, token = await _with_an_app(team)
    codes = check_success(await app.post(f"{OWN}/recovery-codes", token=token), 201)["recoveryCodes"]
    await app.post(f"{OWN}/totp", token=token)  # another app, which waits for its first code
    trusted = await ada.trusted()
    open_ones = [
        token,
        (await ada.answered()).data["token"],
        (await ada.sign_in(cookies=f"trust={trusted}")).data["token"],
    ]
    link = await started_reset(team, ada.id)
    waiting = (await ada.challenge())["challenge"]
    assert await act(team, ada, tmp_path) == (1, 4)
    assert [(await app.me(one)).status for one in open_ones] == [401] * 3
    assert ada.phone is not None
    check_refusal(await ada.go_on(waiting, otp=ada.phone.code(1)), 401, "INVALID_TOKEN")
    check_refusal(await ada.go_on(waiting, recoveryCode=codes[0]), 401, "INVALID_TOKEN")
    check_refusal(await reset(app, link), 401, "INVALID_TOKEN")
    shown = check_success(await app.get(OWN, token=await ada.token()))
    assert (shown["totp"], shown["passkeys"], shown["recoveryCodesLeft"], shown["trusted"]) == (None, [], 0, [])
    [event] = [one for one in await trail(app, team.client) if one.event == "second_factor_reset"]
    named = f"user:{(await team.member(actor)).id}" if actor in ("Admin", "User Admin") else actor
    assert (event.actor, event.subject) == (named, f"user:{ada.id}")
    members = {name: value for name, value in event.members.items() if name not in ("os_user", "sudo_user")}
    assert members == {"reason": REASON, "factors": 1, "sessions_ended": 4, "links_closed": 1}
    await ada.enrol(await ada.token())
    check_refusal(await ada.sign_in(cookies=f"trust={trusted}"), 401, "MFA_REQUIRED")


@rule("SECOND-FACTOR-GATE")
async def test_where_one_is_required_it_is_enrolled_at_the_next_sign_in_without_another_grace(app: App) -> None:
    team = Team(app, await new_client(app, secondFactor={"policy": "roles", "roles": ["Viewer"], "graceDays": 30}))
    ada, _ = await _with_an_app(team)
    check_success(await _as(team, "User Admin", ada.id))
    assert [one["field"] for one in (await ada.challenge())["details"]] == ["enrol"]
    data = await ada.enrol_at_sign_in()
    assert len(data["recoveryCodes"]) == 10


@rule("SECOND-FACTOR-RESET")
async def test_rank_decides_who_can(team: Team) -> None:
    admin, clerk = await team.member("Admin"), await team.member("User Admin")
    ada, token = await _with_an_app(team, "Admin", "Viewer")
    check_refusal(await _as(team, "User Admin", ada.id), 403, "FORBIDDEN")
    for role in ("Author", "Approver", "Publisher", "Operator", "Viewer"):
        check_refusal(await _as(team, role, clerk.id), 403, "FORBIDDEN")
    for role, one in (("Admin", admin), ("User Admin", clerk)):
        refused = await team.refused(role, RESET_FACTORS, id=one.id, reason=REASON)
        assert (refused.code, "your own" in refused.message) == ("FORBIDDEN", True)
        check_refusal(await _as(team, role, one.id), 403, "FORBIDDEN")
    assert check_success(await team.app.get(OWN, token=token))["totp"] is not None
    check_success(await _as(team, "Admin", ada.id))


@rule("SECOND-FACTOR-RESET")
async def test_a_user_of_another_client_is_one_that_never_was(team: Team) -> None:
    other = Team(team.app, await new_client(team.app))
    ada, token = await _with_an_app(other)
    never = check_refusal(await _as(team, "Admin", 10**9), 404, "NOT_FOUND")
    foreign = check_refusal(await _as(team, "Admin", ada.id), 404, "NOT_FOUND")
    assert foreign["message"] == never["message"]
    path = f"/api/admin/clients/{team.client}/users/{ada.id}/factors/reset"
    refused = await team.app.post(path, {"reason": REASON}, token=await team.app.admin_token())
    check_refusal(refused, 404, "NOT_FOUND")
    assert (await team.app.me(token)).status == 200


@matrix("reason", ["", "   ", "x" * 201, "two\nlines"])
async def test_a_reason_is_one_line(team: Team, reason: str) -> None:
    ada, token = await _with_an_app(team)
    refused = check_refusal(await _as(team, "Admin", ada.id, reason), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in refused["details"]] == ["reason"]
    assert (await team.refused("Admin", RESET_FACTORS, id=ada.id, reason=reason)).fields == ["reason"]
    assert (await team.app.me(token)).status == 200


async def test_who_has_none_loses_the_sessions_alone(team: Team) -> None:
    ada = await person(team.app, team.client)
    token = await ada.token()
    assert check_success(await _as(team, "User Admin", ada.id)) == {"factors": 0, "sessions": 1}
    assert (await team.app.me(token)).status == 401
    check_success(await ada.sign_in())


@pytest.mark.processes
async def test_the_command_ends_no_session_where_there_is_nothing_to_take_away(team: Team, tmp_path: Path) -> None:
    ada = await person(team.app, team.client)
    token = await ada.token()
    settings = {"MANIFEST_DATABASE_URL": team.app.database, "MANIFEST_SECRET_KEY": SECRET_KEY}
    words = ("user", "reset-factors", ada.email, "--client", team.client, "--reason", REASON)
    done = await asyncio.to_thread(commands.run, tmp_path, *words, **settings)
    assert done.status == 1
    assert "no second factor" in done.err
    assert (await team.app.get("/api/client/auth/sessions", token=token)).status == 200
