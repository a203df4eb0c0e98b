"""Deleting a provider removes its groups' roles, and only an Admin can turn on what an Admin turned off."""

from __future__ import annotations

import pytest

from tests.support.accounts import trail
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.people import OidcProvider, member, oidc_provider, roles_line, set_roles, users_of
from tests.support.single_sign_on import Browser, check_no_one_got_in
from tests.support.smaller_limits import provider_deletion, provider_deletion_breaks

pytestmark = pytest.mark.one_store

LINES = [roles_line("ops", "Operator"), roles_line("writers", "Author"), roles_line("bosses", "Admin")]


async def roles_of(company: OidcProvider) -> dict[str, list[str]]:
    """Roles of the client's users, by the local part of their addresses."""
    found = await users_of(company.app, company.client)
    return {email.partition("@")[0]: user["roles"] for email, user in found.items()}


async def come(company: OidcProvider, *names: str, groups: tuple[str, ...] = ("ops",)) -> None:
    for name in names:
        await company.sign_in(name, f"{name}@{company.client}.example", groups=list(groups))


@matrix("step", [1, 100])
async def test_what_groups_gave_goes_and_what_others_gave_stays(
    app: App, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    provider_deletion(monkeypatch, step)
    async with oidc_provider(app, vouches=True, groupRoles=LINES, defaultRoles=[]) as company:
        await come(company, "ada", "bob", "eve")
        people = await users_of(app, company.client)
        by_hand, both = people[f"bob@{company.client}.example"], people[f"eve@{company.client}.example"]
        await set_roles(app, company.client, by_hand["id"], "Viewer", "Operator")
        async with oidc_provider(app, company.client, vouches=True, groupRoles=LINES, defaultRoles=[]) as other:
            await other.sign_in_invited(both["id"], "eve", groups=["ops"])
            assert (await company.send("DELETE")).status == 200
            assert await roles_of(company) == {"ada": [], "bob": ["Viewer"], "eve": ["Operator"]}
            taken = [e for e in await trail(app, company.client) if e.event == "user_roles_changed"][-2:]
            assert {e.subject: e.members["after"] for e in taken} == {
                f"user:{people[f'ada@{company.client}.example']['id']}": [], f"user:{by_hand['id']}": ["Viewer"],
            }  # fmt: skip
            assert {e.members["provider"] for e in taken} == {company.made["id"]}
            events = [e.event for e in await trail(app, company.client)]
            assert events[-1] == "provider_deleted"
            assert ("provider_switched_off" in events) is (step == 1)
            assert (await other.sign_in("eve", groups=["ops"])) is not None
            assert (await other.send("DELETE")).status == 200
            assert (await roles_of(company))["eve"] == []
        assert both["roles"] == ["Operator"]


async def test_one_that_is_half_gone_signs_no_one_in_and_goes_on_where_it_was(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider_deletion(monkeypatch, 1)
    async with oidc_provider(app, vouches=True, groupRoles=LINES, defaultRoles=[]) as company:
        await come(company, "ada", "bob", "eve")
        with monkeypatch.context() as patch:
            provider_deletion_breaks(patch, at=3)
            assert (await company.send("DELETE")).status == 500
        assert sorted(map(len, (await roles_of(company)).values())) == [0, 1, 1]
        begun = await Browser(app).start("oidc", provider=company.name, client=company.client)
        check_no_one_got_in(begun)
        assert (await company.send("DELETE")).status == 200
        assert set(map(len, (await roles_of(company)).values())) == {0}
        check_refusal(await company.send("GET"), 404, "NOT_FOUND")


async def test_only_an_admin_deletes_one_whose_groups_made_admins_and_the_last_admin_stays(app: App) -> None:
    async with oidc_provider(app, vouches=True, groupRoles=LINES, defaultRoles=[]) as company:
        await come(company, "boss", "chief", groups=("bosses", "writers"))
        clerk = await member(app, company.client, "User Admin")
        check_refusal(await company.send("DELETE", token=clerk.token), 403, "FORBIDDEN")
        assert (await roles_of(company))["boss"] == ["Admin", "Author"]
        assert (await company.send("DELETE")).status == 200
        left = await roles_of(company)
        assert sorted([left["boss"], left["chief"]]) == [[], ["Admin"]]


async def test_a_user_admin_deletes_one_whose_groups_made_no_admin(app: App) -> None:
    async with oidc_provider(app, vouches=True, groupRoles=LINES, defaultRoles=[]) as company:
        await come(company, "ada")
        clerk = await member(app, company.client, "User Admin")
        assert (await company.send("DELETE", token=clerk.token)).status == 200
        assert (await roles_of(company))["ada"] == []


@matrix("by", ["Admin", "system admin"])
async def test_what_an_admin_turned_off_only_an_admin_turns_on(app: App, by: str) -> None:
    async with oidc_provider(app) as company:
        clerk, client_admin = (
            await member(app, company.client, "User Admin"),
            await member(app, company.client, "Admin"),
        )
        token = client_admin.token if by == "Admin" else ""
        assert (await company.send("POST", "/switch-off", token=token)).status == 200
        check_refusal(await company.send("POST", "/switch-on", token=clerk.token), 403, "FORBIDDEN")
        await company.change(token=clerk.token, createUsers=True)
        assert (await company.send("GET", token=clerk.token)).data["enabled"] is False
        assert (await company.send("POST", "/switch-on", token=token)).status == 200
        for act, token in (("off", clerk.token), ("on", clerk.token), ("off", clerk.token), ("on", client_admin.token)):
            assert (await company.send("POST", f"/switch-{act}", token=token)).status == 200, act
