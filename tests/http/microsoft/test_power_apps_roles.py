"""Power Apps: roles of a caller, by hand and from the groups that the token tells."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import World
from tests.support.accounts import new_client, trail
from tests.support.envelope import check_success
from tests.support.people import last_reason, member, roles_line, set_roles, users_of

KINDS = pytest.mark.parametrize("kind", ["graph", "api", "api-v1"])
OPS, WRITERS = "11111111-aaaa-4aaa-8aaa-111111111111", "22222222-aaaa-4aaa-8aaa-222222222222"
TABLE = [roles_line(OPS, "Operator"), roles_line(WRITERS, "Author", "Publisher")]
#: What Entra sends in place of the groups when there are more than it lists.
OVERAGE: list[dict[str, Any]] = [
    {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x"}}},
    {"_claim_names": {"groups": "src1"}},
    {"hasgroups": True},
    {"hasgroups": "true"},
]


@KINDS
async def test_groups_are_roles_as_long_as_the_token_tells_them(world: World, kind: str) -> None:
    provider = await world.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    for groups, roles in (
        ([OPS, "unknown"], ["Operator", "Viewer"]),
        ([OPS, WRITERS], ["Author", "Publisher", "Operator", "Viewer"]),
        ([WRITERS], ["Author", "Publisher", "Viewer"]),
        ([], ["Viewer"]),
    ):
        me = await world.me(world.microsoft.mint(kind, claims={"groups": groups}))
        assert me["roles"] == roles
    changes = [event for event in await trail(world.app, provider.client) if event.event == "user_roles_changed"]
    assert len(changes) == 3


async def test_they_count_at_once_for_the_tokens_that_came_before(world: World) -> None:
    """One user has one set of roles, whichever token shows who it is."""
    await world.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    before = world.microsoft.mint("api")
    assert (await world.me(before))["roles"] == ["Viewer"]
    await world.me(world.microsoft.mint("api", claims={"groups": [OPS]}))
    assert (await world.me(before))["roles"] == ["Operator", "Viewer"]


@pytest.mark.parametrize(
    "nonsense",
    [None, "", 7, True, {}, {OPS: True}, [7, None, [OPS]], OPS.upper(), f"{OPS},{WRITERS}", [f"{OPS}\x00"]],
    ids=repr,
)
async def test_a_claim_that_makes_no_sense_gives_nothing(world: World, nonsense: Any) -> None:
    await world.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    me = await world.me(world.microsoft.mint("api", claims={"groups": nonsense}))
    assert me["roles"] == ["Viewer"]


async def test_another_claim_holds_them(world: World) -> None:
    """App roles, for instance; they do not make a person's token one of an app alone."""
    await world.entra_of_ours(entra={"groupClaim": "roles"}, groupRoles=TABLE, defaultRoles=["Viewer"])
    me = await world.me(world.microsoft.mint("api", claims={"roles": [OPS], "groups": [WRITERS]}))
    assert me["roles"] == ["Operator", "Viewer"]


@KINDS
@pytest.mark.parametrize("overage", OVERAGE, ids=["elsewhere", "named", "some", "some, in words"])
async def test_more_groups_than_the_token_lists_take_no_roles_away(
    world: World, kind: str, overage: dict[str, Any]
) -> None:
    """Which they are is not known: neither are roles kept that may be gone, nor taken away that are still due. The
    caller is refused, with a sentence that says why."""
    provider = await world.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    known = world.microsoft.mint(kind, claims={"groups": [OPS]})
    me = await world.me(known)
    reply = await world.refused(world.microsoft.mint(kind, claims=overage), code="SSO_FAILED")
    assert "more groups than it tells" in reply.json["error"]["message"]
    assert "too many" in await last_reason(world.app, provider.client)
    assert (await world.me(known))["roles"] == me["roles"] == ["Operator", "Viewer"]
    # Somebody new is not made with fewer roles than are due either.
    await world.refused(world.microsoft.mint(kind, user="bob", claims=overage), code="SSO_FAILED")
    assert list(await users_of(world.app, provider.client)) == ["alice@contoso.example"]


@pytest.mark.parametrize("overage", OVERAGE, ids=["elsewhere", "named", "some", "some, in words"])
async def test_too_many_groups_do_not_matter_where_groups_give_nothing(world: World, overage: dict[str, Any]) -> None:
    await world.entra_of_ours()
    for kind in ("graph", "api"):
        assert (await world.me(world.microsoft.mint(kind, claims=overage)))["roles"] == ["Operator"]


async def test_too_many_of_something_else_do_not_matter(world: World) -> None:
    await world.entra_of_ours(groupRoles=TABLE, entra={"groupClaim": "roles"}, defaultRoles=["Viewer"])
    for overage in OVERAGE:
        me = await world.me(world.microsoft.mint("api", claims={**overage, "roles": [OPS]}))
        assert me["roles"] == ["Operator", "Viewer"]


async def test_groups_that_are_told_count_whatever_else_is_elsewhere(world: World) -> None:
    await world.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    claims = {"groups": [OPS], "_claim_names": {"address": "src1"}, "hasgroups": False}
    assert (await world.me(world.microsoft.mint("api", claims=claims)))["roles"] == ["Operator", "Viewer"]
    odd: dict[str, Any]
    for odd in ({"_claim_names": "groups"}, {"_claim_names": ["groups"]}, {"hasgroups": "no"}):
        assert (await world.me(world.microsoft.mint("api", claims=odd)))["roles"] == ["Viewer"]


async def test_a_person_whom_no_group_gives_a_role(world: World) -> None:
    provider = await world.entra_of_ours(groupRoles=TABLE, defaultRoles=[])
    await world.refused(world.microsoft.mint("api"), code="SSO_FAILED")
    assert (await last_reason(world.app, provider.client)).startswith("no group gives a role; groups: ")
    assert await users_of(world.app, provider.client) == {}
    token = world.microsoft.mint("api", claims={"groups": [OPS]})
    assert (await world.me(token))["roles"] == ["Operator"]
    await world.refused(world.microsoft.mint("api"), code="SSO_FAILED")


async def test_roles_that_somebody_gave_here_stay(world: World) -> None:
    provider = await world.entra_of_ours(groupRoles=TABLE, defaultRoles=["Viewer"])
    token = world.microsoft.mint("api", claims={"groups": [OPS]})
    user_id = (await world.me(token))["user"]["id"]
    await set_roles(world.app, provider.client, user_id, "Operator", "Viewer", "Approver")
    assert (await world.me(token))["roles"] == ["Approver", "Operator", "Viewer"]
    assert (await world.me(world.microsoft.mint("api")))["roles"] == ["Approver", "Viewer"]


async def test_a_role_decides_what_is_answered(world: World) -> None:
    provider = await world.entra(defaultRoles=["Viewer"])
    token = world.microsoft.mint("graph")
    user_id = (await world.me(token))["user"]["id"]
    refused = await world.app.get("/api/client/providers", token=token)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    await set_roles(world.app, provider.client, user_id, "User Admin")
    assert check_success(await world.app.get("/api/client/providers", token=token))["items"]


async def test_a_user_admins_provider_makes_no_admin_and_touches_none(world: World) -> None:
    client = await new_client(world.app)
    user_admin = await member(world.app, client, "User Admin")
    provider = await world.entra_of_ours(client)
    alice = await world.me(world.microsoft.mint("graph"))
    body = {"displayName": "mine", "entra": {"guests": True}}
    changed = await world.app.send(
        "PATCH", f"/api/client/providers/{provider.name}", body, token=user_admin.token
    )  # fmt: skip
    assert check_success(changed)["reachesAdmins"] is False
    await world.me(world.microsoft.mint("graph"))
    await set_roles(world.app, client, alice["user"]["id"], "Admin")
    await world.refused(world.microsoft.mint("graph"), code="SSO_FAILED")


async def test_who_becomes_an_admin_is_out_at_such_a_provider_with_a_token_that_was_let_in_before(world: World) -> None:
    """The verdict on a token is remembered for minutes; whether its bearer may come in this way is not."""
    client = await new_client(world.app)
    user_admin, admin = await member(world.app, client, "User Admin"), await member(world.app, client, "Admin")
    provider = await world.entra_of_ours(client)
    path = f"/api/client/providers/{provider.name}"
    check_success(await world.app.send("PATCH", path, {"entra": {"guests": True}}, token=user_admin.token))
    for kind, user in (("graph", "alice"), ("api", "bob")):
        token = world.microsoft.mint(kind, user=user)
        number = (await world.me(token))["user"]["id"]
        await set_roles(world.app, client, number, "Admin")
        await world.refused(token, code="SSO_FAILED")
        # The link was not proved, so it is gone: neither another role nor an Admin's save brings it back.
        await set_roles(world.app, client, number, "Operator")
        await world.refused(token, code="SSO_FAILED")
    check_success(await world.app.send("PATCH", path, {}, token=admin.token))
    await world.refused(token, code="SSO_FAILED")


async def test_who_is_an_admin_is_out_at_a_provider_that_a_user_admin_changed_and_in_when_an_admin_saved_it(
    world: World,
) -> None:
    client = await new_client(world.app)
    user_admin, admin = await member(world.app, client, "User Admin"), await member(world.app, client, "Admin")
    provider = await world.entra_of_ours(client)
    path, token = f"/api/client/providers/{provider.name}", world.microsoft.mint("graph")
    users = f"/api/client/users/{(await world.me(token))['user']['id']}"
    [row] = check_success(await world.app.get(f"{users}/identities", token=admin.token))["items"]
    check_success(await world.app.post(f"{users}/identities/{row['id']}/confirm", token=admin.token))
    await set_roles(world.app, client, int(users.rpartition("/")[2]), "Admin")
    assert (await world.me(token))["roles"] == ["Admin"]
    check_success(await world.app.send("PATCH", path, {"entra": {"guests": True}}, token=user_admin.token))
    await world.refused(token, code="SSO_FAILED")
    check_success(await world.app.send("PATCH", path, {}, token=admin.token))
    assert (await world.me(token))["roles"] == ["Admin", "Operator"]
