"""A provider's groups grant roles from the same sign-in on, for as long as the person is a member."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client, new_user, trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import (
    last_reason,
    oidc_provider,
    roles_line,
    session_of,
    set_roles,
    user_of,
    users_of,
)
from tests.support.single_sign_on import check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store

TABLE = [
    roles_line("ops", "Operator"),
    roles_line("writers", "Author", "Publisher"),
    roles_line("checkers", "Approver"),
]


async def test_they_count_in_the_very_sign_in(app: App) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        browser = await company.sign_in("ada", "ada@mail.example", groups=["ops", "unknown", "writers"])
        me = await session_of(browser)
        assert me["roles"] == ["Author", "Publisher", "Operator", "Viewer"]
        assert "jobs:execute" in me["permissions"]
        assert "templates:approve" not in me["permissions"]


async def test_they_are_added_and_removed_with_the_groups(app: App) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        for groups, roles in (
            (["ops"], ["Operator", "Viewer"]),
            (["checkers"], ["Approver", "Viewer"]),
            (["checkers", "ops"], ["Approver", "Operator", "Viewer"]),
            ([], ["Viewer"]),
        ):
            me = await session_of(await company.sign_in("ada", "ada@mail.example", groups=groups))
            assert me["roles"] == roles
        changes = [event for event in await trail(app, company.client) if event.event == "user_roles_changed"]
        assert [(change.members["before"], change.members["after"]) for change in changes] == [
            (["Operator", "Viewer"], ["Approver", "Viewer"]),
            (["Approver", "Viewer"], ["Approver", "Operator", "Viewer"]),
            (["Approver", "Operator", "Viewer"], ["Viewer"]),
        ]
        assert {change.members["provider"] for change in changes} == {company.made["id"]}


@matrix("silence", [None, "", [], {}, 7, True, [7, None, ["ops"]], {"ops": True}], ids=repr)
async def test_a_claim_that_is_gone_or_makes_no_sense_gives_nothing(app: App, silence: Any) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        await company.sign_in("ada", "ada@mail.example", groups=["ops"])
        me = await session_of(await company.sign_in("ada", groups=silence))
        assert me["roles"] == ["Viewer"]


async def test_a_change_counts_immediately_in_sessions_that_are_open(app: App) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        first = await company.sign_in("ada", "ada@mail.example", groups=["ops"])
        assert "jobs:execute" in (await session_of(first))["permissions"]
        await company.sign_in("ada", groups=["writers"])
        me = await session_of(first)
        assert me["roles"] == ["Author", "Publisher", "Viewer"]
        assert "jobs:execute" not in me["permissions"]


async def test_a_change_of_the_table_counts_at_the_next_sign_in(app: App) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        browser = await company.sign_in("ada", "ada@mail.example", groups=["ops"])
        await company.change(groupRoles=[roles_line("ops", "Author")], defaultRoles=[])
        assert (await session_of(browser))["roles"] == ["Operator", "Viewer"]
        assert (await session_of(await company.sign_in("ada", groups=["ops"])))["roles"] == ["Author"]


async def test_what_was_given_by_hand_stays(app: App) -> None:
    async with oidc_provider(app, vouches=True, groupRoles=TABLE, defaultRoles=[]) as company:
        user_id, email = await new_user(app, company.client, roles=["Operator", "Viewer"])
        await company.sign_in("ada", email, groups=["ops", "checkers"])
        await company.sign_in("ada", email, groups=[])
        assert (await user_of(app, company.client, user_id))["roles"] == ["Operator", "Viewer"]
        await company.sign_in("ada", email, groups=["writers"])
        await set_roles(app, company.client, user_id, "Approver", "Author")
        await company.sign_in("ada", email, groups=[])
        assert (await user_of(app, company.client, user_id))["roles"] == ["Approver"]


async def test_a_role_that_was_taken_by_hand_comes_back_with_the_group(app: App) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        me = await session_of(await company.sign_in("ada", "ada@mail.example", groups=["ops"]))
        await set_roles(app, company.client, me["user"]["id"], "Viewer")
        assert (await session_of(await company.sign_in("ada", groups=["ops"])))["roles"] == ["Operator", "Viewer"]
        assert (await session_of(await company.sign_in("ada", groups=[])))["roles"] == ["Viewer"]


async def test_of_two_providers_each_removes_what_it_gave(app: App) -> None:
    async with (
        oidc_provider(app, vouches=True, groupRoles=TABLE, defaultRoles=[]) as one,
        oidc_provider(app, one.client, vouches=True, groupRoles=TABLE, defaultRoles=[]) as other,
    ):
        user_id, email = await new_user(app, one.client)
        steps: list[tuple[Any, list[str], list[str]]] = [
            (one, ["ops"], ["Operator", "Viewer"]),
            (other, ["ops", "checkers"], ["Approver", "Operator", "Viewer"]),
            (one, [], ["Approver", "Operator", "Viewer"]),  # the other provider grants Operator as well
            (other, ["checkers"], ["Approver", "Viewer"]),
            (one, ["checkers"], ["Approver", "Viewer"]),
            (other, [], ["Approver", "Viewer"]),
            (one, [], ["Viewer"]),
        ]
        for number, (company, groups, roles) in enumerate(steps):
            invited = (user_id,) if number == 1 else ()  # to the account that the other provider knows
            come = company.sign_in_invited if invited else company.sign_in
            me = await session_of(await come(*invited, "ada", email, groups=groups))
            assert (me["user"]["id"], me["roles"]) == (user_id, roles), (company.name, groups)


async def test_a_user_with_no_role_left_is_rejected_and_has_none(app: App) -> None:
    async with oidc_provider(app, groupRoles=TABLE, defaultRoles=[]) as company:
        browser = await company.sign_in("ada", "ada@mail.example", groups=["ops"])
        user = (await session_of(browser))["user"]["id"]
        _, reply = await company.attempt("ada", groups=[])
        assert check_no_one_got_in(reply) == "Your account at the identity provider doesn't grant you any roles here"
        assert (await last_reason(app, company.client)).startswith("no group grants a role; groups: ")
        assert (await user_of(app, company.client, user))["roles"] == []
        # The earlier session gives no access that requires a permission.
        assert (await session_of(browser))["permissions"] == []
        assert (await session_of(await company.sign_in("ada", groups=["ops"])))["roles"] == ["Operator"]


EXACT = [
    "OPS",
    "Ops",
    "ops2",
    "op",
    "xops",
    "ops/admins",
    "ops,others",
    "ops;others",
    "o ps",
    "ops\u200b",
    "ορs",
    "*",
    ".*",
]


@matrix("group", EXACT)
async def test_a_group_that_merely_resembles_a_listed_one_gives_nothing(app: App, group: str) -> None:
    async with oidc_provider(app, groupRoles=TABLE) as company:
        me = await session_of(await company.sign_in("ada", "ada@mail.example", groups=[group]))
        assert me["roles"] == ["Viewer"]


NAMED: list[tuple[str, str, Any, bool]] = [
    ("Plant Managers (EU)", "", ["Plant Managers (EU)"], True),
    ("Plant Managers (EU)", "", "Plant Managers (EU)", True),
    ("Plant Managers (EU)", "", ["Plant  Managers (EU)"], False),
    ("Plant Managers (EU)", " ", ["Plant Managers (EU)"], False),
    ("ops", "", ["\n  ops\t"], True),
    (" ops ", "", ["ops"], True),
    (" ", ";", ["a;;b", " "], False),
    ("ops", ";", ["writers; ops;x"], True),
    ("ops", "", ["writers;ops"], False),
    ("cn=ops,ou=groups,dc=acme", "", ["cn=ops,ou=groups,dc=acme"], True),
    ("cn=ops,ou=groups,dc=acme", ",", ["cn=ops,ou=groups,dc=acme"], False),
    ("6f1b1f3c-0000-4000-8000-000000000001", "", ["6F1B1F3C-0000-4000-8000-000000000001"], False),
    ("Ä" * 512, "", ["Ä" * 512], True),
]


@matrix(("listed", "separator", "sent", "counts"), NAMED)
async def test_how_groups_are_written(app: App, listed: str, separator: str, sent: Any, counts: bool) -> None:
    async with oidc_provider(app, groupRoles=[roles_line(listed, "Operator")], groupSeparator=separator) as company:
        me = await session_of(await company.sign_in("ada", "ada@mail.example", groups=sent))
        assert ("Operator" in me["roles"]) is counts


async def test_another_claim_can_hold_them(app: App) -> None:
    claim = "https://acme.example/claims/roles"
    async with oidc_provider(app, oidc={"groupClaim": claim}, groupRoles=TABLE) as company:
        told: dict[str, Any] = {"groups": ["writers"], claim: ["ops"]}
        browser = await company.sign_in("ada", "ada@mail.example", **told)
        assert (await session_of(browser))["roles"] == ["Operator", "Viewer"]
        company.op.only_in_userinfo = {claim}
        later = await company.sign_in("ada", "ada@mail.example", **{claim: ["checkers"]})
        assert (await session_of(later))["roles"] == ["Approver", "Viewer"]


async def test_saml_attributes_give_them_too(app: App) -> None:
    client = await new_client(app)
    okta = await saml_provider(app, client, groupRoles=TABLE, saml={"attributes": {"groups": "Abteilung"}})
    for values, roles in (
        ({"Abteilung": ["ops", "checkers"]}, ["Approver", "Operator", "Viewer"]),
        ({"Abteilung": "checkers"}, ["Approver", "Viewer"]),
        ({"groups": ["ops"]}, ["Viewer"]),
        ({}, ["Viewer"]),
    ):
        reply = await okta.call(okta.response("ada@mail.example", attributes=values))
        assert reply.data["user"]["roles"] == roles
    assert len(await users_of(app, client)) == 1
