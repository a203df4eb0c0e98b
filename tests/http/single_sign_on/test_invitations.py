"""With an open invitation, its holder can claim the account through an identity, once."""

from __future__ import annotations

from tests.support.accounts import act_on, new_user, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import OidcProvider, last_reason, member, oidc_provider, session_of
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import (
    ACS,
    Browser,
    act_on_provider,
    check_no_one_got_in,
    entity_id,
    request_of,
    saml_provider,
)

DAY = 86_400
CLOSED = "The invitation is no longer valid"


async def token_for(company: OidcProvider, user_id: int) -> str:
    return str(check_success(await company.invite(user_id), 201)["token"])


async def test_an_invitation_opens_the_account_whatever_the_address(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        user_id, _ = await new_user(app, company.client, roles=["Author"])
        invited = check_success(await company.invite(user_id), 201)
        assert set(invited) == {"token", "link", "sent", "expiresAt"}
        assert invited["sent"] is False  # since mail isn't set up
        assert invited["link"].partition("#")[2] == invited["token"]
        assert len(invited["token"]) >= 32
        me = await session_of(await company.sign_in("ada", "ada@gmail.example", query={"invitation": invited["token"]}))
        assert (me["user"]["id"], me["roles"]) == (user_id, ["Author", "Viewer"])
        assert (await session_of(await company.sign_in("ada")))["user"]["id"] == user_id
        [linked] = [event for event in await trail(app, company.client) if event.event == "identity_linked"]
        assert (linked.subject, linked.members["how"]) == (f"user:{user_id}", "invitation")


async def test_the_account_keeps_its_address_and_its_name(app: App) -> None:
    async with oidc_provider(app) as company:
        user_id, email = await new_user(app, company.client, firstName="Grace", lastName="Hopper")
        query = {"invitation": await token_for(company, user_id)}
        me = await session_of(await company.sign_in("ada", "ada@mail.example", given_name="Ada", query=query))
        assert (me["user"]["email"], me["user"]["firstName"]) == (email, "Grace")


async def test_it_works_once(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        user_id, _ = await new_user(app, company.client)
        token = await token_for(company, user_id)
        await company.sign_in("ada", query={"invitation": token})
        begun = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=token)
        assert check_no_one_got_in(begun) == CLOSED


async def test_of_two_who_began_with_it_the_first_one_back_gets_the_account(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        user_id, _ = await new_user(app, company.client)
        query = {"client": company.client, "provider": company.name, "invitation": await token_for(company, user_id)}
        browsers, addresses = [Browser(app), Browser(app)], []
        for number, browser in enumerate(browsers):
            company.knows(f"claimant-{number}")
            begun = await browser.start("oidc", **query)
            addresses.append(company.op.visit(begun.headers["location"]))
        company.knows("claimant-0")
        assert (await browsers[0].send("GET", addresses[0])).status == 302
        company.knows("claimant-1")
        assert check_no_one_got_in(await browsers[1].send("GET", addresses[1])) == CLOSED
        assert "was used or has expired" in await last_reason(app, company.client)


async def test_it_is_open_for_three_days(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        (first, _), (second, _) = [await new_user(app, company.client) for _ in range(2)]
        tokens = [await token_for(company, user) for user in (first, second)]
        app.clock.advance(3 * DAY - 1)
        await company.sign_in("in-time", query={"invitation": tokens[0]})
        app.clock.advance(1)
        begun = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=tokens[1])
        assert check_no_one_got_in(begun) == CLOSED


async def test_it_must_not_run_out_on_the_way(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        user_id, _ = await new_user(app, company.client)
        token = await token_for(company, user_id)
        app.clock.advance(3 * DAY - 60)
        browser = Browser(app)
        begun = await browser.start("oidc", client=company.client, provider=company.name, invitation=token)
        app.clock.advance(61)
        company.knows("late")
        assert check_no_one_got_in(await browser.send("GET", company.op.visit(begun.headers["location"]))) == CLOSED


async def test_a_new_one_closes_the_one_before(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        (user_id, _), (other, _) = [await new_user(app, company.client) for _ in range(2)]
        first, bystander = await token_for(company, user_id), await token_for(company, other)
        second = await token_for(company, user_id)
        begun = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=first)
        assert check_no_one_got_in(begun) == CLOSED
        for sub, token, expected in (("ada", second, user_id), ("bob", bystander, other)):
            assert (await session_of(await company.sign_in(sub, query={"invitation": token})))["user"]["id"] == expected


@matrix("token", ["x", "A" * 32, "' or 1=1 --", "ünïcödé", "1"])
async def test_a_made_up_one_opens_nothing(app: App, token: str) -> None:
    async with oidc_provider(app, createUsers=True) as company:
        await token_for(company, (await new_user(app, company.client))[0])
        begun = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=token)
        assert check_no_one_got_in(begun) == CLOSED


async def test_it_counts_in_its_own_client_alone(app: App) -> None:
    async with oidc_provider(app) as mine, oidc_provider(app) as other:
        token = await token_for(mine, (await new_user(app, mine.client))[0])
        begun = await Browser(app).start("oidc", client=other.client, provider=other.name, invitation=token)
        assert check_no_one_got_in(begun) == CLOSED
        assert (
            await Browser(app).start("oidc", client=mine.client, provider=mine.name, invitation=token)
        ).status == 302


async def test_a_known_person_stays_the_same_user(app: App) -> None:
    async with oidc_provider(app) as company:
        known = await session_of(await company.sign_in("ada", "ada@mail.example"))
        user_id, _ = await new_user(app, company.client)
        token = await token_for(company, user_id)
        again = await session_of(await company.sign_in("ada", query={"invitation": token}))
        assert again["user"]["id"] == known["user"]["id"]
        # An ineligible person didn't use it up.
        assert (await session_of(await company.sign_in("bob", query={"invitation": token})))["user"]["id"] == user_id


async def test_a_deactivated_user_is_not_invited_and_not_let_in(app: App) -> None:
    async with oidc_provider(app) as company:
        user_id, _ = await new_user(app, company.client)
        token = await token_for(company, user_id)
        company.knows("ada")
        browser = Browser(app)
        started = await browser.start("oidc", client=company.client, provider=company.name, invitation=token)
        back = company.op.visit(started.headers["location"])
        await act_on(app, f"{company.client}/users/{user_id}/deactivate")
        check_refusal(await company.invite(user_id), 409, "CONFLICT")
        assert check_no_one_got_in(await browser.send("GET", back)) == CLOSED
        late = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=token)
        assert check_no_one_got_in(late) == CLOSED
        await act_on(app, f"{company.client}/users/{user_id}/restore")
        late = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=token)
        assert check_no_one_got_in(late) == CLOSED


async def test_who_can_invite_whom(app: App) -> None:
    async with oidc_provider(app) as company:
        people = {role: await member(app, company.client, role) for role in ("Admin", "User Admin", "Author", "Viewer")}
        for inviter in people:
            for invited in ("Admin", "User Admin", "Viewer"):
                reply = await company.invite(people[invited].id, people[inviter].token)
                may = inviter == "Admin" or (inviter == "User Admin" and invited != "Admin")
                assert (reply.status, inviter, invited) == (201 if may else 403, inviter, invited)
        check_refusal(await company.invite(people["Admin"].id * 1000, people["Admin"].token), 404, "NOT_FOUND")
        assert (await company.invite(people["Admin"].id)).status == 201


async def test_another_clients_user_is_not_there(app: App) -> None:
    async with oidc_provider(app) as company:
        client_admin = await member(app, company.client, "Admin")
        check_refusal(await company.invite(app.ids["viewer@globex.example"], client_admin.token), 404, "NOT_FOUND")
        check_refusal(await company.invite(app.ids["viewer@globex.example"]), 404, "NOT_FOUND")
        path = f"/api/admin/clients/no-such-client/users/{client_admin.id}/invitation"
        check_refusal(await app.post(path, token=await app.admin_token()), 404, "NOT_FOUND")


async def test_the_token_is_shown_once_and_written_nowhere(app: App) -> None:
    async with oidc_provider(app) as company:
        client_admin, (user_id, _) = await member(app, company.client, "Admin"), await new_user(app, company.client)
        token = (await company.invite(user_id, client_admin.token)).data["token"]
        [invited] = [event for event in await trail(app, company.client) if event.event == "user_invited"]
        assert (invited.actor, invited.subject) == (f"user:{client_admin.id}", f"user:{user_id}")
        assert token not in invited.detail


async def test_a_saml_provider_takes_one_too(app: App) -> None:
    okta = await saml_provider(app, createUsers=False)
    user_id, _ = await new_user(app)
    reply = await app.post(f"/api/admin/clients/acme/users/{user_id}/invitation", token=await app.admin_token())
    browser = Browser(app)
    request_id, relay_state = await okta.start(browser, invitation=reply.data["token"])
    response = okta.response("any-user", in_response_to=request_id)
    assert (await okta.post(browser, response, relay_state)).status == 303
    assert (await session_of(browser))["user"]["id"] == user_id


@matrix("act", ["switch-off", "delete"])
async def test_a_provider_that_is_gone_uses_none_up(app: App, act: str) -> None:
    async with oidc_provider(app) as gone, oidc_provider(app, gone.client) as other:
        user_id, _ = await new_user(app, gone.client)
        token = await token_for(gone, user_id)
        browser = Browser(app)
        begun = await browser.start("oidc", client=gone.client, provider=gone.name, invitation=token)
        await act_on_provider(app, gone.client, gone.name, act)
        gone.knows("ada")
        check_no_one_got_in(await browser.send("GET", gone.op.visit(begun.headers["location"])))
        assert (await session_of(await other.sign_in("ada", query={"invitation": token})))["user"]["id"] == user_id


async def test_an_unasked_saml_response_uses_none_up(app: App) -> None:
    """An invitation belongs to the sign-in that it started; an unsolicited response is a different one."""
    idp = Idp(issuer="http://www.okta.com/exkinvited")
    okta = await saml_provider(app, idp=idp, createUsers=False)
    user_id, _ = await new_user(app)
    path = f"/api/admin/clients/acme/users/{user_id}/invitation"
    token = (await app.post(path, token=await app.admin_token())).data["token"]
    begun = await Browser(app).start("okta-saml", provider=okta.name, client="acme", invitation=token)
    assert request_of(begun)
    unasked = idp.response(entity_id("acme"), ACS, name_id="eve", now_ms=app.clock.now_ms())
    check_no_one_got_in(await okta.call(unasked))
