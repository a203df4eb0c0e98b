"""Roles of a Power Apps caller, assigned manually or by the groups in the token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.accounts import new_client, trail
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.people import last_reason, member, roles_line, set_roles, users_of

pytestmark = pytest.mark.one_store

KINDS = matrix("kind", ["graph", "api", "api-v1"])
OPS, WRITERS = "11111111-aaaa-4aaa-8aaa-111111111111", "22222222-aaaa-4aaa-8aaa-222222222222"
TABLE = [roles_line(OPS, "Operator"), roles_line(WRITERS, "Author", "Publisher")]
#: Entra's replacement for groups when there are too many to list.
OVERAGE: list[dict[str, Any]] = [
    {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x"}}},
    {"_claim_names": {"groups": "src1"}},
    {"hasgroups": True},
    {"hasgroups": "true"},
]


@KINDS
async def test_groups_are_roles_as_long_as_the_token_tells_them(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    for groups, roles in (
        ([OPS, "unknown"], ["Operator", "Viewer"]),
        ([OPS, WRITERS], ["Author", "Publisher", "Operator", "Viewer"]),
        ([WRITERS], ["Author", "Publisher", "Viewer"]),
        ([], ["Viewer"]),
    ):
        me = await setup.me(setup.microsoft.mint(kind, claims={"groups": groups}))
        assert me["roles"] == roles
    changes = [event for event in await trail(setup.app, provider.client) if event.event == "user_roles_changed"]
    assert len(changes) == 3


async def test_they_count_immediately_for_the_tokens_that_came_before(setup: MicrosoftSetup) -> None:
    """A user has a single set of roles, whichever token identifies them."""
    await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    before = setup.microsoft.mint("api")
    assert (await setup.me(before))["roles"] == ["Viewer"]
    await setup.me(setup.microsoft.mint("api", claims={"groups": [OPS]}))
    assert (await setup.me(before))["roles"] == ["Operator", "Viewer"]


@matrix(
    "nonsense",
    [None, "", 7, True, {}, {OPS: True}, [7, None, [OPS]], OPS.upper(), f"{OPS},{WRITERS}", [f"{OPS}\x00"]],
)
async def test_a_claim_that_makes_no_sense_gives_nothing(setup: MicrosoftSetup, nonsense: Any) -> None:
    await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    me = await setup.me(setup.microsoft.mint("api", claims={"groups": nonsense}))
    assert me["roles"] == ["Viewer"]


async def test_another_claim_holds_them(setup: MicrosoftSetup) -> None:
    """App roles, for instance, which don't turn a person's token into an app-only token."""
    await setup.entra_of_ours(entra={"groupClaim": "roles"}, groupRoles=TABLE, defaultRoles=["Viewer"])
    me = await setup.me(setup.microsoft.mint("api", claims={"roles": [OPS], "groups": [WRITERS]}))
    assert me["roles"] == ["Operator", "Viewer"]


@KINDS
@matrix("overage", OVERAGE, ids=["elsewhere", "named", "some", "some, in words"])
async def test_more_groups_than_the_token_lists_take_no_roles_away(
    setup: MicrosoftSetup, kind: str, overage: dict[str, Any]
) -> None:
    """If groups are unknown, no roles change, neither removing valid ones nor keeping outdated ones. The caller is
    rejected with a message that says why."""
    provider = await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    known = setup.microsoft.mint(kind, claims={"groups": [OPS]})
    me = await setup.me(known)
    reply = await setup.refused(setup.microsoft.mint(kind, claims=overage), code="SSO_FAILED")
    assert "too many groups" in reply.json["error"]["message"]
    assert "too many" in await last_reason(setup.app, provider.client)
    assert (await setup.me(known))["roles"] == me["roles"] == ["Operator", "Viewer"]
    # Nor is a new user created with fewer roles than intended.
    await setup.refused(setup.microsoft.mint(kind, user="bob", claims=overage), code="SSO_FAILED")
    assert list(await users_of(setup.app, provider.client)) == ["alice@contoso.example"]


@matrix("overage", OVERAGE, ids=["elsewhere", "named", "some", "some, in words"])
async def test_too_many_groups_do_not_matter_where_groups_give_nothing(
    setup: MicrosoftSetup, overage: dict[str, Any]
) -> None:
    await setup.entra_of_ours()
    for kind in ("graph", "api"):
        assert (await setup.me(setup.microsoft.mint(kind, claims=overage)))["roles"] == ["Operator"]


async def test_too_many_of_something_else_do_not_matter(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours(groupRoles=TABLE, entra={"groupClaim": "roles"}, defaultRoles=["Viewer"])
    for overage in OVERAGE:
        me = await setup.me(setup.microsoft.mint("api", claims={**overage, "roles": [OPS]}))
        assert me["roles"] == ["Operator", "Viewer"]


async def test_groups_that_are_told_count_whatever_else_is_elsewhere(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    claims = {"groups": [OPS], "_claim_names": {"address": "src1"}, "hasgroups": False}
    assert (await setup.me(setup.microsoft.mint("api", claims=claims)))["roles"] == ["Operator", "Viewer"]
    odd: dict[str, Any]
    for odd in ({"_claim_names": "groups"}, {"_claim_names": ["groups"]}, {"hasgroups": "no"}):
        assert (await setup.me(setup.microsoft.mint("api", claims=odd)))["roles"] == ["Viewer"]


async def test_a_person_whom_no_group_gives_a_role(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=[])
    await setup.refused(setup.microsoft.mint("api"), code="SSO_FAILED")
    assert (await last_reason(setup.app, provider.client)).startswith("no group grants a role; groups: ")
    assert await users_of(setup.app, provider.client) == {}
    token = setup.microsoft.mint("api", claims={"groups": [OPS]})
    assert (await setup.me(token))["roles"] == ["Operator"]
    await setup.refused(setup.microsoft.mint("api"), code="SSO_FAILED")


async def test_roles_that_someone_gave_here_stay(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    token = setup.microsoft.mint("api", claims={"groups": [OPS]})
    user_id = (await setup.me(token))["user"]["id"]
    await set_roles(setup.app, provider.client, user_id, "Operator", "Viewer", "Approver")
    assert (await setup.me(token))["roles"] == ["Approver", "Operator", "Viewer"]
    assert (await setup.me(setup.microsoft.mint("api")))["roles"] == ["Approver", "Viewer"]


async def test_a_role_decides_what_is_answered(setup: MicrosoftSetup) -> None:
    provider = await setup.entra(defaultRoles=["Viewer"])
    token = setup.microsoft.mint("graph")
    user_id = (await setup.me(token))["user"]["id"]
    refused = await setup.app.get("/api/client/providers", token=token)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    await set_roles(setup.app, provider.client, user_id, "User Admin")
    assert check_success(await setup.app.get("/api/client/providers", token=token))["items"]


async def test_a_user_admins_provider_makes_no_admin_and_touches_none(setup: MicrosoftSetup) -> None:
    client = await new_client(setup.app)
    user_admin = await member(setup.app, client, "User Admin")
    provider = await setup.entra_of_ours(client)
    alice = await setup.me(setup.microsoft.mint("graph"))
    body = {"displayName": "mine", "entra": {"guests": True}}
    changed = await setup.app.send(
        "PATCH", f"/api/client/providers/{provider.name}", body, token=user_admin.token
    )  # fmt: skip
    assert check_success(changed)["reachesAdmins"] is False
    await setup.me(setup.microsoft.mint("graph"))
    await set_roles(setup.app, client, alice["user"]["id"], "Admin")
    await setup.refused(setup.microsoft.mint("graph"), code="SSO_FAILED")


async def test_who_becomes_an_admin_is_out_at_such_a_provider_with_a_token_that_was_let_in_before(
    setup: MicrosoftSetup,
) -> None:
    """The token's result is cached for minutes, but not whether its bearer can sign in this way."""
    client = await new_client(setup.app)
    user_admin, admin = await member(setup.app, client, "User Admin"), await member(setup.app, client, "Admin")
    provider = await setup.entra_of_ours(client)
    path = f"/api/client/providers/{provider.name}"
    check_success(await setup.app.send("PATCH", path, {"entra": {"guests": True}}, token=user_admin.token))
    for kind, user in (("graph", "alice"), ("api", "bob")):
        token = setup.microsoft.mint(kind, user=user)
        number = (await setup.me(token))["user"]["id"]
        await set_roles(setup.app, client, number, "Admin")
        await setup.refused(token, code="SSO_FAILED")
        # The link was unverified, so it's gone; neither another role nor an Admin's save restores it.
        await set_roles(setup.app, client, number, "Operator")
        await setup.refused(token, code="SSO_FAILED")
    check_success(await setup.app.send("PATCH", path, {}, token=admin.token))
    await setup.refused(token, code="SSO_FAILED")


async def test_who_is_an_admin_is_out_at_a_provider_that_a_user_admin_changed_and_in_when_an_admin_saved_it(
    setup: MicrosoftSetup,
) -> None:
    client = await new_client(setup.app)
    user_admin, admin = await member(setup.app, client, "User Admin"), await member(setup.app, client, "Admin")
    provider = await setup.entra_of_ours(client)
    path, token = f"/api/client/providers/{provider.name}", setup.microsoft.mint("graph")
    users = f"/api/client/users/{(await setup.me(token))['user']['id']}"
    [row] = check_success(await setup.app.get(f"{users}/identities", token=admin.token))["items"]
    check_success(await setup.app.post(f"{users}/identities/{row['id']}/confirm", token=admin.token))
    await set_roles(setup.app, client, int(users.rpartition("/")[2]), "Admin")
    assert (await setup.me(token))["roles"] == ["Admin"]
    check_success(await setup.app.send("PATCH", path, {"entra": {"guests": True}}, token=user_admin.token))
    await setup.refused(token, code="SSO_FAILED")
    check_success(await setup.app.send("PATCH", path, {}, token=admin.token))
    assert (await setup.me(token))["roles"] == ["Admin", "Operator"]
