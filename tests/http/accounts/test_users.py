"""Users are invited, added, changed, deactivated, and restored by their managers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import keys_of, new_user, opened_by, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.team import Team, new_team
from tests.support.user_management import (
    ADD,
    DEACTIVATE,
    END,
    INVITE,
    RENEW,
    RESET,
    RESTORE,
    SET_ROLES,
    UPDATE,
    accept,
    directory,
    events,
    invited,
    role_names_of,
    started_reset,
    token_in,
)

HOUR_MS = 3_600_000
PERSON = {
    "email": "Ada.Lovelace@Engines.example",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "title": "Countess",
    "description": "Writes programs.\nOn paper.",
    "roles": ["Author", "Approver", "Author"],
}


@pytest.fixture(scope="module")
async def shared(app: App) -> Team:
    """One client for many small cases."""
    team = await new_team(app)
    await team.member("Admin")
    return team


def millis(text: str) -> int:
    """Milliseconds within the month of the tests' clock, for comparing differences only."""
    day, clock = text.removesuffix("Z").split("T")
    hours, minutes, seconds = clock.split(":")
    return (int(day[-2:]) * 24 + int(hours)) * HOUR_MS + int(minutes) * 60_000 + round(float(seconds) * 1000)


async def test_an_invited_user_exists_and_has_a_link_for_72_hours(team: Team) -> None:
    handed = await team.ask("User Admin", INVITE, input=PERSON)
    user = handed["user"]
    told = {name: user[name] for name in PERSON} | {"roles": role_names_of(user)}
    assert told == PERSON | {"roles": ["Author", "Approver"]}
    assert user["isActive"] is True
    assert await directory(team, user["id"]) == user
    now = millis("2027-01-15T08:00:00.000Z") + team.app.clock.ms - 1_800_000_000_000
    assert millis(handed["expiresAt"]) - now == 72 * HOUR_MS
    signed_in = (await accept(team.app, token_in(handed))).data
    assert signed_in["user"]["id"] == user["id"]


async def test_an_invitation_is_renewed_and_the_old_link_stops_working(team: Team) -> None:
    user_id, first = await invited(team)
    renewed = await team.ask("User Admin", RENEW, id=user_id)
    assert renewed["user"]["id"] == user_id
    assert (await accept(team.app, first)).code == "INVALID_TOKEN"
    assert (await accept(team.app, token_in(renewed))).status == 200


async def test_an_added_user_has_no_link_and_no_password(team: Team) -> None:
    user = await team.ask("User Admin", ADD, input={"email": "plain@engines.example", "roles": ["Viewer"]})
    assert (user["firstName"], user["description"], role_names_of(user)) == ("", "", ["Viewer"])
    assert await events(team, "user_invited") == []
    assert (await team.app.sign_in("plain@engines.example", client=team.client)).code == "INVALID_CREDENTIALS"


@matrix("document", [INVITE, ADD])
@matrix(
    ("wrong", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "a" * 250 + "@b.example"}, "email"),
        ({"roles": []}, "roles"),
        ({"roles": ["Owner"]}, "roles"),
        ({"roles": ["Viewer"] * 8}, "roles"),
        ({"firstName": "x" * 101}, "firstName"),
        ({"lastName": "two\nlines"}, "lastName"),
        ({"title": "\u0000"}, ""),
        ({"description": "x" * 2001}, "description"),
    ],
)
async def test_errors_in_a_new_user_are_named_and_nobody_is_created(
    shared: Team, document: str, wrong: dict[str, Any], field: str
) -> None:
    before = len(await events(shared, "user_created"))
    body = {"email": "wrong@engines.example", "roles": ["Viewer"], **wrong}
    reply = await shared.send("Admin", document, input=body)
    if field:
        [error] = reply.json["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert [detail["field"] for detail in error["extensions"]["details"]] == [field]
    else:
        assert reply.status == 400
    assert len(await events(shared, "user_created")) == before
    assert (await shared.ask("Admin", '{ users(filter: {search: "wrong@"}) { id } }')) == []


async def test_a_taken_address_is_a_conflict_and_creates_no_link(team: Team) -> None:
    await team.ask("Admin", ADD, input={"email": "taken@engines.example", "roles": ["Viewer"]})
    for document in (ADD, INVITE):
        body = {"email": "TAKEN@engines.example", "roles": ["Viewer"]}
        assert (await team.refused("Admin", document, input=body)).code == "CONFLICT"
    assert await events(team, "user_invited") == []


@rule("RANK")
async def test_omitted_fields_do_not_change(team: Team) -> None:
    user_id, _ = await invited(team, "before@engines.example", "Viewer")
    before = await directory(team, user_id)
    for change in ({"firstName": "Grace"}, {"title": "", "lastName": None}, {"description": "a\nb"}, {}):
        after = await team.ask("User Admin", UPDATE, id=user_id, input=change)
        before |= {name: value for name, value in change.items() if value is not None}
        assert after == before
    moved = await team.ask("User Admin", UPDATE, id=user_id, input={"email": "After@engines.example"})
    assert moved == {**before, "email": "After@engines.example"}
    taken = (await team.member("Viewer")).email
    assert (await team.refused("User Admin", UPDATE, id=user_id, input={"email": taken})).code == "CONFLICT"
    refused = await team.refused("User Admin", UPDATE, id=user_id, input={"email": "no address"})
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["email"])


async def test_roles_take_effect_with_the_next_request(team: Team) -> None:
    viewer = await team.member("Viewer")
    user = await team.ask("User Admin", SET_ROLES, id=viewer.id, roles=["Publisher", "Operator"])
    assert role_names_of(user) == ["Publisher", "Operator"]
    assert (await team.app.me(viewer.token)).data["roles"] == ["Publisher", "Operator"]
    refused = await team.refused("User Admin", SET_ROLES, id=viewer.id, roles=[])
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["roles"])


@rule("SESSION-ENDED-BY-OTHERS")
async def test_a_deactivated_user_is_signed_out_and_signs_in_again_when_restored(team: Team) -> None:
    user_id, email = await new_user(team.app, team.client, password=PASSWORD)
    keys = [await keys_of(team.app, email, client=team.client) for _ in range(2)]
    gone = await team.ask("User Admin", DEACTIVATE, id=user_id)
    assert gone["isActive"] is False
    for key in keys:
        assert await opened_by(team.app, key) == []
    assert (await team.refused("User Admin", DEACTIVATE, id=user_id)).code == "CONFLICT"
    for document in (RENEW, RESET):
        assert (await team.refused("User Admin", document, id=user_id)).code == "CONFLICT"
    assert (await team.ask("User Admin", RESTORE, id=user_id))["isActive"] is True
    assert (await team.refused("User Admin", RESTORE, id=user_id)).code == "CONFLICT"
    assert await opened_by(team.app, keys[0]) == []
    assert (await team.app.sign_in(email, client=team.client)).status == 200


@rule("SESSION-ENDED-BY-OTHERS")
async def test_all_sessions_of_a_user_are_ended(team: Team) -> None:
    _, email = await new_user(team.app, team.client, password=PASSWORD)
    keys = [await keys_of(team.app, email, client=team.client) for _ in range(3)]
    user_id = (await team.app.me(keys[0].token)).data["user"]["id"]
    assert await team.ask("User Admin", END, id=user_id) == 3
    assert [await opened_by(team.app, key) for key in keys] == [[], [], []]
    assert await team.ask("User Admin", END, id=user_id) == 0


async def test_without_passwords_none_can_be_reset(app: App) -> None:
    team = await new_team(app)
    client_admin, viewer = await team.member("Admin"), await team.member("Viewer")
    await settle(app, team.client, passwordSignIn=False)
    assert (await team.refused("Admin", RESET, id=viewer.id)).code == "CONFLICT"
    path = f"/api/admin/clients/{team.client}/users/{client_admin.id}/password-reset"
    assert (await app.post(path, token=await app.admin_token())).code == "CONFLICT"


@rule("AUDIT-TRAIL")
async def test_every_action_is_in_the_audit_trail_with_before_and_after_and_no_secret(team: Team) -> None:
    clerk = await team.member("User Admin")
    user_id, token = await invited(team, "trail@engines.example", "Viewer", by="User Admin")
    new = {"title": "T", "email": "trail-2@engines.example"}
    await team.ask("User Admin", UPDATE, id=user_id, input={**new, "firstName": ""})
    await team.ask("User Admin", SET_ROLES, id=user_id, roles=["Author"])
    tokens = [token, token_in(await team.ask("User Admin", RENEW, id=user_id)), await started_reset(team, user_id)]
    await team.ask("User Admin", END, id=user_id)
    await team.ask("User Admin", DEACTIVATE, id=user_id)
    await team.ask("User Admin", RESTORE, id=user_id)
    told = [event for event in await trail(team.app, team.client) if event.subject == f"user:{user_id}"]
    by_clerk, by_boss = f"user:{clerk.id}", f"user:{(await team.member('Admin')).id}"
    assert [(event.event, event.actor) for event in told] == [
        ("user_created", by_clerk),
        ("user_invited", by_clerk),
        ("user_changed", by_clerk),
        ("user_roles_changed", by_clerk),
        ("user_invited", by_clerk),
        ("password_reset_started", by_boss),
        ("signed_out_all", by_clerk),
        ("user_deactivated", by_clerk),
        ("user_restored", by_clerk),
    ]
    assert told[0].members == {"email": "trail@engines.example", "roles": ["Viewer"]}
    assert told[2].members == {"before": {"title": "", "email": "trail@engines.example"}, "after": new}
    assert told[3].members == {"before": ["Viewer"], "after": ["Author"]}
    assert not [event for event in told for token in tokens if token in event.detail]


async def test_names_contain_no_invisible_characters(app: App, shared: Team) -> None:
    """Nor characters that change the reading order. Every operation that sets a name uses the same check."""
    token, hidden = await app.admin_token(), "Ada\u202e\u200b"
    client = f"/api/admin/clients/{shared.client}"
    provider = {"name": "p", "displayName": hidden, "oidc": {"issuer": "https://a.example", "clientId": "c"}}
    for method, path, body in (
        ("PATCH", client, {"name": hidden}),
        ("POST", "/api/admin/clients", {"identifier": "hidden", "name": hidden}),
        ("POST", f"{client}/users", {"email": "a@x.example", "roles": ["Viewer"], "firstName": hidden}),
        ("POST", f"{client}/users", {"email": "a\u3164@x.example", "roles": ["Viewer"]}),
        ("POST", f"{client}/providers", provider),
        ("POST", "/api/admin/admins", {"username": hidden, "password": PASSWORD}),
    ):
        reply = await app.send(method, path, body, token=token)
        assert (reply.status, reply.code) == (400, "VALIDATION_ERROR"), (path, reply.text)
    added = {"email": "a@x.example", "roles": ["Viewer"], "lastName": hidden}
    assert (await shared.refused("Admin", ADD, input=added)).fields == ["lastName"]
    template = "mutation($input: AddTemplateInput!) { addTemplate(input: $input) { id } }"
    assert (await shared.refused("Admin", template, input={"name": hidden})).fields == ["name"]
