"""Every way to add a user is rejected if no license seat is left, even when many run at the same time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from manifest_auth import accounts
from manifest_auth.accounts import Draft
from manifest_auth.context import SYSTEM
from manifest_auth.errors import NoSeat
from manifest_auth.licence import ALLOWED, Gate, Seats, free
from manifest_auth.licence import gate as seats
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime.sealing import Macs
from manifest_auth.services import RequestContext
from manifest_auth.store import open_store
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.licence.seat_attempts import FULL_SENTENCE, WAYS, fit, grant, outcome, premises, shown
from tests.licence.vendor import PUBLIC, install, key
from tests.support.accounts import act_on, new_client, new_user, trail
from tests.support.application import App
from tests.support.commands import run
from tests.support.matrix import matrix
from tests.support.people import member, oidc_provider, roles_line, session_of, user_of, users_of
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY
from tests.support.single_sign_on import failures, saml_provider

SSO = ("by SAML", "by OpenID", "by Dynamics", "by Entra ID")
SSO_SENTENCE = "No license seat is available. Contact your administrator."
NONE = {"full": 0, "operate": 0, "connect": 0}


@pytest.fixture(scope="module")
async def shared(database_url: str) -> AsyncIterator[MicrosoftSetup]:
    async with premises(database_url) as setup:
        yield setup


@pytest.fixture
async def setup(shared: MicrosoftSetup) -> MicrosoftSetup:
    """Enough seats, unless a test changes this."""
    await shared.clear()
    await grant(shared.app, full=1000)
    return shared


@rule("LICENCE")
@matrix("name", WAYS)
async def test_a_user_above_the_number_of_seats_is_rejected_by_every_way_to_appear(
    setup: MicrosoftSetup, name: str
) -> None:
    app, client = setup.app, await new_client(setup.app)
    attempts = await WAYS[name](setup, client, 2)
    await fit(app)
    before = await users_of(app, client)
    refused = outcome(await attempts[0]())
    assert refused.code == ("SSO_FAILED" if name in SSO else "CONFLICT")
    assert refused.sentence.startswith(SSO_SENTENCE if name in SSO else FULL_SENTENCE)
    assert await users_of(app, client) == before
    if name in SSO:
        assert (await failures(app, client))[-1]["why"].startswith(f"no seat: {FULL_SENTENCE}")
    await fit(app, connect=1)
    assert outcome(await attempts[0]()).code == ""
    assert outcome(await attempts[1]()).code in ("SSO_FAILED", "CONFLICT")
    found = await shown(app)
    assert (found["seatsUsed"], found["seatsFree"]) == (found["seats"], NONE)


@rule("LICENCE")
@matrix("name", WAYS)
async def test_twenty_at_the_same_time_do_not_get_past(setup: MicrosoftSetup, name: str) -> None:
    app, client = setup.app, await new_client(setup.app)
    attempts = await WAYS[name](setup, client, 20)
    await fit(app, connect=3)
    outcomes = [outcome(reply) for reply in await asyncio.gather(*(attempt() for attempt in attempts))]
    assert sorted(one.code for one in outcomes) == [""] * 3 + ["SSO_FAILED" if name in SSO else "CONFLICT"] * 17
    found = await shown(app)
    assert found["seatsUsed"] == found["seats"]


async def test_all_ways_at_the_same_time_neither_get_past_nor_stop_one_another(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    prepared = [await WAYS[name](setup, client, 4) for name in WAYS]
    attempts = [attempts[n] for n in range(4) for attempts in prepared]
    await fit(app, connect=5)
    outcomes = [outcome(reply).code for reply in await asyncio.gather(*(attempt() for attempt in attempts))]
    assert outcomes.count("") == 5
    assert set(outcomes) <= {"", "CONFLICT", "SSO_FAILED"}
    found = await shown(app)
    assert found["seatsUsed"] == found["seats"]


async def test_roles_that_need_a_greater_seat_need_one_that_is_free(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    users = [(await new_user(app, client))[0] for _ in range(20)]
    await fit(app, operate=3)
    token = await app.admin_token()

    async def promote(user: int, *roles: str) -> str:
        path = f"/api/admin/clients/{client}/users/{user}/roles"
        return outcome(await app.send("PUT", path, {"roles": roles}, token=token)).code

    codes = await asyncio.gather(*(promote(user, "Operator", "Viewer") for user in users))
    assert sorted(codes) == [""] * 3 + ["CONFLICT"] * 17
    promoted, refused = users[codes.index("")], users[codes.index("CONFLICT")]
    assert (await user_of(app, client, refused))["roles"] == ["Viewer"]
    assert await promote(promoted, "Operator") == ""  # no higher seat than before
    assert await promote(refused, "Author") == "CONFLICT"
    assert await promote(promoted, "Viewer") == ""
    assert await promote(refused, "Operator") == ""  # the seat that was released


async def test_twenty_whom_a_group_raises_do_not_get_past(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    okta = await saml_provider(app, client, groupRoles=[{"group": "ops", "roles": ["Operator"]}])
    names, ops = [f"user-{number}@{client}.example" for number in range(20)], {"attributes": {"groups": ["ops"]}}
    for name in names:
        assert (await okta.call(okta.response(name))).status == 200
    await fit(app, operate=3)
    responses = [okta.response(name, **ops) for name in names]
    codes = [outcome(reply).code for reply in await asyncio.gather(*map(okta.call, responses))]
    assert sorted(codes) == [""] * 3 + ["SSO_FAILED"] * 17
    raised = [user for user in (await users_of(app, client)).values() if "Operator" in user["roles"]]
    assert len(raised) == 3


async def test_twenty_at_the_same_time_over_two_processes_do_not_get_past(
    setup: MicrosoftSetup, database_url: str
) -> None:
    """The operation behind ``user create``, half of them on a second store, like a command that runs while the server
    does."""
    app, client = setup.app, await new_client(setup.app)
    tenant = (await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data["id"]
    await fit(app, connect=3)
    other = open_store(database_url, 4, macs=Macs(app.services.sealer.keys))
    await other.open()
    try:
        gates = [app.services.licence, Gate(app.services.settings, other, app.clock)]

        async def create(number: int) -> bool:
            store, gate = (app.services.store, other)[number % 2], gates[number % 2]
            by = RequestContext(dataclasses.replace(app.services, seats=gate), "", "", "", SYSTEM)
            draft = Draft(f"user-{number}@{client}.example", Role.VIEWER.bit)
            try:
                await store.of(tenant).write(lambda unit: accounts.add(unit, by, draft))
            except NoSeat:
                return False
            return True

        assert sorted(await asyncio.gather(*map(create, range(20)))) == [False] * 17 + [True] * 3
    finally:
        await other.close()
    assert len(await users_of(app, client)) == 3


async def test_graphql_restores_and_sets_roles_by_the_same_rule(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    admin, other = await member(app, client, "Admin"), await member(app, client)
    gone, _ = await new_user(app, client)
    await act_on(app, f"{client}/users/{gone}/deactivate")
    await fit(app)
    query = f'mutation {{ setUserRoles(userId: {other.id}, roles: ["Author"]) {{ id }} }}'
    assert outcome(await app.graphql(query, admin.token)).code == "CONFLICT"
    query = f"mutation {{ restoreUser(id: {gone}) {{ id }} }}"
    assert outcome(await app.graphql(query, admin.token)).code == "CONFLICT"
    assert (await user_of(app, client, gone))["deactivatedAt"]
    await act_on(app, f"{client}/users/{other.id}/deactivate")
    assert outcome(await app.graphql(query, admin.token)).code == ""


@pytest.mark.processes
async def test_the_command_line_is_rejected_in_one_line(
    setup: MicrosoftSetup, database_url: str, tmp_path: Path
) -> None:
    app, client = setup.app, await new_client(setup.app)
    await fit(app)
    settings = {
        "MANIFEST_DATABASE_URL": database_url,
        "MANIFEST_SECRET_KEY": SECRET_KEY,
        "MANIFEST_DEPLOYMENT": "on-premise",
        "MANIFEST_LICENSE_PUBLIC_KEY": PUBLIC,
    }
    command = ("user", "create", "late@x.example", "--client", client, "--role", "Viewer", "--password-stdin")
    done = run(tmp_path, *command, given="kestrel-harbor-21-violet\n", **settings)
    assert done.status == 1
    assert done.line.startswith(FULL_SENTENCE)
    assert await users_of(app, client) == {}
    assert (await trail(app, client))[-1].event == "seat_refused"
    await fit(app, connect=1)
    assert run(tmp_path, *command, given="kestrel-harbor-21-violet\n", **settings).status == 0


async def test_groups_that_give_a_role_without_a_seat_change_nothing(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    okta = await saml_provider(app, client, groupRoles=[{"group": "ops", "roles": ["Operator"]}])
    name, ops = f"ada@{client}.example", {"attributes": {"groups": ["ops"]}}
    user = (await okta.call(okta.response(name))).data["user"]["id"]
    await fit(app)
    assert outcome(await okta.call(okta.response(name, **ops))) == ("SSO_FAILED", SSO_SENTENCE)
    assert (await user_of(app, client, user))["roles"] == ["Viewer"]
    assert (await okta.call(okta.response(name))).status == 200
    await fit(app, operate=1)
    assert (await okta.call(okta.response(name, **ops))).status == 200
    assert (await user_of(app, client, user))["roles"] == ["Operator", "Viewer"]
    assert (await okta.call(okta.response(name))).status == 200  # the group granted it, and removes it again
    assert (await user_of(app, client, user))["roles"] == ["Viewer"]


async def test_a_person_who_is_rejected_is_not_linked_to_the_account_of_the_address(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    okta = await saml_provider(app, client, groupRoles=[{"group": "ops", "roles": ["Operator"]}],
                               domains=[f"{client}.example"])  # fmt: skip
    user, email = await new_user(app, client)
    identities = f"/api/admin/clients/{client}/users/{user}/identities"
    await fit(app)
    response = {"attributes": {"groups": ["ops"]}}
    assert outcome(await okta.call(okta.response(email, **response))).code == "SSO_FAILED"
    assert (await app.get(identities, token=await app.admin_token())).data["items"] == []
    await fit(app, operate=1)
    assert (await okta.call(okta.response(email, **response))).data["user"]["id"] == user


async def test_an_invitation_that_was_rejected_for_a_seat_is_good_later(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    async with oidc_provider(app, client, groupRoles=[roles_line("ops", "Operator")]) as company:
        user, _ = await new_user(app, client)
        link = (await company.invite(user)).data["link"]
        asked: dict[str, Any] = {"query": {"invitation": link.rpartition("=")[2].rpartition("#")[2]}, "groups": ["ops"]}
        await fit(app)
        assert (await company.refused("ada", **asked)).startswith("no seat: ")
        await fit(app, operate=1)
        browser, reply = await company.attempt("ada", **asked)
        assert reply.status == 302, reply.text
        assert (await session_of(browser))["user"]["id"] == user


async def test_users_of_all_clients_count_and_those_who_are_deactivated_do_not(setup: MicrosoftSetup) -> None:
    app, one, two = setup.app, await new_client(setup.app), await new_client(setup.app)
    used = (await shown(app))["seatsUsed"]
    users = [await new_user(app, client) for client in (one, two)]
    await act_on(app, f"{two}/suspend")
    assert (await shown(app))["seatsUsed"] == {**used, "connect": used["connect"] + 2}
    await act_on(app, f"{one}/users/{users[0][0]}/deactivate")
    assert (await shown(app))["seatsUsed"] == {**used, "connect": used["connect"] + 1}
    # Clients that are restored, or not deleted after all, add no users, because these were counted all the time.
    path, token = f"/api/admin/clients/{two}", await app.admin_token()
    assert (await app.send("DELETE", path, {"identifier": two}, token=token)).status == 200
    assert (await app.get(path, token=token)).data["deleteAt"]
    await fit(app)
    assert (await shown(app))["seatsUsed"] == {**used, "connect": used["connect"] + 1}
    await act_on(app, f"{two}/restore")
    assert (await shown(app))["seatsUsed"] == {**used, "connect": used["connect"] + 1}


async def test_a_smaller_license_shuts_no_one_out(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    client_admin = await member(app, client, "Admin")
    await grant(app, connect=1)
    assert (await app.me(client_admin.token)).status == 200
    assert (await app.sign_in(client_admin.email, client=client)).status == 200
    [attempt] = await WAYS["by a system admin"](setup, client, 1)
    assert outcome(await attempt()).code == "CONFLICT"
    found = await shown(app)
    assert found["seatsUsed"]["full"] > found["seats"]["full"]
    query = f"/api/admin/clients/{client}/users/{client_admin.id}"
    assert (await app.send("PATCH", query, {"title": "Chief"}, token=await app.admin_token())).status == 200


async def test_without_a_license_in_force_no_one_is_added(setup: MicrosoftSetup) -> None:
    app, client = setup.app, await new_client(setup.app)
    short: dict[str, Any] = {"id": "short", "expires_at": app.clock.ms // 1000 + 60, "grace_days": 0}
    assert (await install(app, key(app, seats=Seats(full=1000), **short))).status == 200
    app.clock.advance(61)
    [attempt] = await WAYS["by a system admin"](setup, client, 1)
    assert outcome(await attempt()).code == "LICENSE_EXPIRED"
    await grant(app, full=1000)
    assert outcome(await attempt()).code == ""


@matrix("kind", ALLOWED)
async def test_a_seat_serves_the_roles_of_its_type_and_no_others(premise: App, kind: str) -> None:
    await fit(premise, **{kind: 100})
    for role in Role:
        body = {"email": f"{role.name.lower()}@x.example", "roles": [role.value]}
        reply = await premise.post("/api/admin/clients/acme/users", body, token=await premise.admin_token())
        assert (reply.status == 201) is (role in ALLOWED[kind]), role


def test_the_least_type_that_allows_all_roles() -> None:
    r = Role
    for roles, expected in (
        ([r.VIEWER], 2), ([r.OPERATOR], 1), ([r.OPERATOR, r.VIEWER], 1), ([r.VIEWER, r.AUTHOR], 0), ([r.ADMIN], 0),
        ([r.USER_ADMIN], 0), ([r.APPROVER], 0), ([r.PUBLISHER], 0), ([], 3),
    ):  # fmt: skip
        assert seats.type_index(mask_of(roles)) == expected, roles


def test_a_greater_seat_that_is_free_serves_a_lesser_user() -> None:
    assert free(Seats(3, 2, 1), Seats(1, 0, 0)) == Seats(2, 4, 5)
    assert free(Seats(3, 2, 1), Seats(1, 0, 4)) == Seats(1, 1, 1)
    assert free(Seats(3, 0, 0), Seats(4, 0, 0)) == Seats(0, 0, 0)
