"""A link to an Admin's account is valid only while its creator can manage Admins, which is checked when it's used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.accounts import act_on, trail
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.people import OidcProvider, last_reason, member, oidc_provider, session_of, set_roles
from tests.support.rows import become_admin_past_the_server
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in
from tests.support.team import Team, new_team
from tests.support.user_management import accept, invited, reset, started_reset

pytestmark = pytest.mark.one_store

LOOK = "/api/client/auth/link"
WHY = "link: the account belongs to an Admin now, and a User Admin created the link"


async def demoted(team: Team, maker: int) -> None:
    await set_roles(team.app, team.client, maker, "User Admin")


async def deactivated(team: Team, maker: int) -> None:
    await act_on(team.app, f"{team.client}/users/{maker}/deactivate")


LOSES = matrix("loses", [demoted, deactivated])
Loses = Callable[[Team, int], Awaitable[None]]


@pytest.fixture
async def team(app: App) -> Team:
    """A client with an Admin besides the one who creates links."""
    made = await new_team(app)
    await member(app, made.client, "Admin")
    return made


async def begins(company: OidcProvider, team: Team, token: str) -> tuple[Browser, str]:
    """A browser that went to the provider with an invitation, and the address that it returns to."""
    browser = Browser(team.app)
    started = await browser.start("oidc", client=team.client, provider=company.name, invitation=token)
    assert started.status == 302, started.text
    return browser, company.op.visit(started.headers["location"])


@LOSES
async def test_an_invitation_by_a_former_admin_sets_no_password(team: Team, loses: Loses) -> None:
    maker = await team.member("Admin")
    _, token = await invited(team, "", "Admin")
    assert (await team.app.post(LOOK, {"token": token})).status == 200
    await loses(team, maker.id)
    check_refusal(await team.app.post(LOOK, {"token": token}), 401, "INVALID_TOKEN")
    check_refusal(await accept(team.app, token), 401, "INVALID_TOKEN")
    assert (await trail(team.app, team.client))[-1].members["why"] == WHY


@LOSES
async def test_a_reset_by_a_earlier_admin_sets_no_password(team: Team, loses: Loses) -> None:
    maker, other = await team.member("Admin"), await member(team.app, team.client, "Admin")
    token = await started_reset(team, other.id)
    await loses(team, maker.id)
    check_refusal(await reset(team.app, token), 401, "INVALID_TOKEN")


@rule("RANK")
@LOSES
async def test_an_invitation_by_a_earlier_admin_links_no_identity(team: Team, loses: Loses) -> None:
    """The browser leaves while the creator is an Admin, and returns afterward."""
    maker = await team.member("Admin")
    invitee, token = await invited(team, "", "Admin")
    async with oidc_provider(team.app, team.client, createUsers=False) as company:
        assert company.made["reachesAdmins"] is True
        company.knows("a-person-with-the-link")
        browser, back = await begins(company, team, token)
        await loses(team, maker.id)
        sentence = check_no_one_got_in(await browser.send("GET", back))
        assert sentence == "The invitation is no longer valid"
        assert (
            await last_reason(team.app, team.client)
            == "the account belongs to an Admin now, and a User Admin created the invitation"
        )
        again = (await company.invite(invitee)).data["token"]  # created by a system admin
        browser, back = await begins(company, team, again)
        assert (await browser.send("GET", back)).status == 302
        assert (await session_of(browser))["user"]["id"] == invitee


@rule("RANK")
async def test_a_provider_that_cannot_sign_in_admins_uses_up_no_invitation(team: Team) -> None:
    _, token = await invited(team, "", "Admin")
    async with oidc_provider(team.app, team.client, createUsers=False) as company:
        clerk = await team.member("User Admin")
        assert (await company.change(token=clerk.token, defaultRoles=["Operator"]))["reachesAdmins"] is False
        company.knows("a-person-of-the-clerk")
        browser, back = await begins(company, team, token)
        check_no_one_got_in(await browser.send("GET", back))
    assert (await accept(team.app, token)).status == 200


async def test_it_works_while_its_creator_is_an_admin(team: Team) -> None:
    await team.member("Admin")
    _, token = await invited(team, "", "Admin")
    assert (await accept(team.app, token)).status == 200


@LOSES
async def test_a_link_for_a_non_admin_stays_valid(team: Team, loses: Loses) -> None:
    maker = await team.member("Admin")
    _, token = await invited(team, "", "Viewer")
    await loses(team, maker.id)
    assert (await accept(team.app, token)).status == 200


async def test_an_admins_account_is_rejected_regardless_of_closed_links(team: Team) -> None:
    """A User Admin created the link before the account became an Admin's. Even if it were still open, the stored roles
    decide, and not whether the change of roles closed it."""
    rising, token = await invited(team, by="User Admin")
    await become_admin_past_the_server(team, rising, token)
    check_refusal(await accept(team.app, token), 401, "INVALID_TOKEN")
    async with oidc_provider(team.app, team.client, createUsers=False) as company:
        company.knows("planted")
        browser, back = await begins(company, team, token)
        check_no_one_got_in(await browser.send("GET", back))
        assert (
            await last_reason(team.app, team.client)
            == "the account belongs to an Admin now, and a User Admin created the invitation"
        )
