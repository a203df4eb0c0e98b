"""Attacks by a User Admin on what an Admin trusts: a provider's settings, an address, or its mailbox."""

from __future__ import annotations

from tests.hostile.scenario import Scenario, attack, guard
from tests.support.people import Member
from tests.support.single_sign_on import SamlProvider, saml_provider
from tests.support.user_management import NEW, RENEW, SET_ROLES, UPDATE, reset


async def _saml(scenario: Scenario) -> SamlProvider:
    company = await saml_provider(
        scenario.app, scenario.honest.client, domains=[scenario.honest.domain], createUsers=False
    )
    await scenario.vouch(scenario.honest, f"domains/{scenario.honest.domain}")
    return company


async def _set(scenario: Scenario, by: Member, name: str, body: dict[str, object]) -> None:
    path = f"/api/client/providers/{name}"
    assert (await scenario.app.send("PATCH", path, body, token=by.token)).status == 200


@attack
async def settings_for_a_while_plant_an_identity(scenario: Scenario) -> bool:
    """The User Admin maps the address to an attribute that people can edit, signs in as the victim, and restores the
    settings. An Admin looks, sees the old settings, and saves."""
    company, future_admin = await _saml(scenario), await scenario.user(scenario.honest)
    says = {"email": f"planter@{scenario.honest.domain}", "department": future_admin[1]}
    clerk, admin = scenario.honest.user_admin, scenario.honest.admin
    await _set(scenario, clerk, company.name, {"saml": {"attributes": {"email": "department"}}})
    await company.call(company.response("planter", attributes=says))
    await _set(scenario, clerk, company.name, {"saml": {"attributes": {"email": ""}}})
    await _set(scenario, admin, company.name, {})
    await scenario.honest.team.send("Admin", SET_ROLES, id=future_admin[0], roles=["Admin"])
    reply = await company.call(company.response("planter", attributes=says))
    return reply.status == 200 and bool(reply.data["user"]["id"] == future_admin[0])


@attack
async def an_address_that_was_planted_gets_the_new_admins_link(scenario: Scenario) -> bool:
    future_admin, evil = await scenario.person(scenario.honest), f"mailbox@{scenario.hostile.domain}"
    await scenario.honest.team.send("User Admin", UPDATE, id=future_admin.id, input={"email": evil})
    for received in await scenario.mails_to(evil):
        await scenario.app.post("/api/client/auth/email/confirm", {"token": received.token})
    scenario.mail.mails.clear()
    await scenario.honest.team.send("Admin", SET_ROLES, id=future_admin.id, roles=["Admin"])
    named = {"X-Client-ID": scenario.honest.client}
    await scenario.app.post("/api/client/auth/password/forgot", {"email": evil}, headers=named)
    for received in await scenario.mails_to(evil):
        reply = await reset(scenario.app, received.token, NEW)
        if reply.status == 200 and reply.data["user"]["id"] == future_admin.id:
            return "Admin" in reply.data["user"]["roles"]
    return False


@attack
async def an_address_at_the_honest_provider_was_planted(scenario: Scenario) -> bool:
    """The victim's account gets the address that the attacker has at the company's own provider."""
    company = await scenario.company(createUsers=False)
    future_admin, own = await scenario.user(scenario.honest), f"planter@{scenario.honest.domain}"
    await scenario.honest.team.send("User Admin", UPDATE, id=future_admin[0], input={"email": own})
    for received in await scenario.mails_to(own):
        await scenario.app.post("/api/client/auth/email/confirm", {"token": received.token})
    await company.attempt("planter", own)
    await scenario.honest.team.send("Admin", SET_ROLES, id=future_admin[0], roles=["Admin"])
    browser, _ = await company.attempt("planter", own)
    me = await browser.me()
    return me.status == 200 and bool(me.data["user"]["id"] == future_admin[0]) and "Admin" in me.data["roles"]


@attack
async def an_admin_who_renames_a_provider_trusts_what_it_says(scenario: Scenario) -> bool:
    """The User Admin redirected it a moment ago, and the Admin didn't check."""
    evil = await scenario.of_hostile(scenario.op(), scenario.honest, "User Admin", domains=[scenario.honest.domain])
    await scenario.vouch(scenario.honest, f"domains/{scenario.honest.domain}")
    await _set(scenario, scenario.honest.admin, evil.name, {"displayName": "Our company"})
    browser, _ = await evil.attempt("evil", scenario.honest.admin.email)
    me = await browser.me()
    return me.status == 200 and bool(me.data["user"]["id"] == scenario.honest.admin.id)


@attack
async def a_mailbox_is_flooded_with_links(scenario: Scenario) -> bool:
    user_id, email = await scenario.user(scenario.hostile, f"victim@{scenario.honest.domain}")
    for _ in range(30):
        await scenario.hostile.team.send("Admin", RENEW, id=user_id)
    return len(await scenario.mails_to(email)) > 15


@guard
async def a_client_uses_up_what_another_may_ask_of_an_address(scenario: Scenario) -> bool:
    wanted = f"new-boss@{scenario.honest.domain}"
    for _ in range(8):
        user_id, _ = await scenario.user(scenario.hostile)
        await scenario.hostile.team.send("Admin", UPDATE, id=user_id, input={"email": wanted})
    user_id, _ = await scenario.user(scenario.honest)
    reply = await scenario.honest.team.send("Admin", UPDATE, id=user_id, input={"email": wanted})
    return "errors" in reply.json


@guard
async def a_record_is_looked_at_again_and_again(scenario: Scenario) -> bool:
    """Releasing and recreating a claim doesn't reset the limit on look-ups."""
    token, domain = scenario.hostile.admin.token, f"loop.{scenario.hostile.domain}"
    statuses = []
    for _ in range(4):
        await scenario.app.post("/api/client/domains", {"domain": domain}, token=token)
        statuses.append((await scenario.app.post(f"/api/client/domains/{domain}/check", token=token)).status)
        await scenario.app.send("DELETE", f"/api/client/domains/{domain}", token=token)
    return statuses.count(200) > 1
