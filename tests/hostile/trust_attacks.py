"""Attacks from below on what an Admin trusts: a provider's settings, an address, the mailbox behind it."""

from __future__ import annotations

from tests.hostile.scenario import Scene, attack, guard
from tests.support.people import Member
from tests.support.single_sign_on import SamlProvider, saml_provider
from tests.support.user_management import NEW, RENEW, SET_ROLES, UPDATE, reset


async def _saml(scene: Scene) -> SamlProvider:
    company = await saml_provider(scene.app, scene.honest.client, domains=[scene.honest.domain], createUsers=False)
    await scene.vouch(scene.honest, f"domains/{scene.honest.domain}")
    return company


async def _set(scene: Scene, by: Member, name: str, body: dict[str, object]) -> None:
    path = f"/api/client/providers/{name}"
    assert (await scene.app.send("PATCH", path, body, token=by.token)).status == 200


@attack
async def settings_for_a_while_plant_an_identity(scene: Scene) -> bool:
    """The User Admin lets an attribute that people write themselves name the address, signs in as the victim, and puts
    the settings back. An Admin looks, sees what was there before, and saves."""
    company, boss = await _saml(scene), await scene.user(scene.honest)
    says = {"email": f"planter@{scene.honest.domain}", "department": boss[1]}
    clerk, admin = scene.honest.user_admin, scene.honest.admin
    await _set(scene, clerk, company.name, {"saml": {"attributes": {"email": "department"}}})
    await company.call(company.response("planter", attributes=says))
    await _set(scene, clerk, company.name, {"saml": {"attributes": {"email": ""}}})
    await _set(scene, admin, company.name, {})
    await scene.honest.crew.send("Admin", SET_ROLES, id=boss[0], roles=["Admin"])
    reply = await company.call(company.response("planter", attributes=says))
    return reply.status == 200 and bool(reply.data["user"]["id"] == boss[0])


@attack
async def an_address_that_was_planted_gets_the_new_admins_link(scene: Scene) -> bool:
    boss, evil = await scene.person(scene.honest), f"mailbox@{scene.hostile.domain}"
    await scene.honest.crew.send("User Admin", UPDATE, id=boss.id, input={"email": evil})
    for letter in await scene.letters_to(evil):
        await scene.app.post("/api/client/auth/email/confirm", {"token": letter.token})
    scene.mail.letters.clear()
    await scene.honest.crew.send("Admin", SET_ROLES, id=boss.id, roles=["Admin"])
    named = {"X-Client-ID": scene.honest.client}
    await scene.app.post("/api/client/auth/password/forgot", {"email": evil}, headers=named)
    for letter in await scene.letters_to(evil):
        reply = await reset(scene.app, letter.token, NEW)
        if reply.status == 200 and reply.data["user"]["id"] == boss.id:
            return "Admin" in reply.data["user"]["roles"]
    return False


@attack
async def an_address_at_the_honest_provider_was_planted(scene: Scene) -> bool:
    """The victim's account gets the address that the planter has at the company's own provider."""
    company = await scene.company(createUsers=False)
    boss, own = await scene.user(scene.honest), f"planter@{scene.honest.domain}"
    await scene.honest.crew.send("User Admin", UPDATE, id=boss[0], input={"email": own})
    for letter in await scene.letters_to(own):
        await scene.app.post("/api/client/auth/email/confirm", {"token": letter.token})
    await company.attempt("planter", own)
    await scene.honest.crew.send("Admin", SET_ROLES, id=boss[0], roles=["Admin"])
    browser, _ = await company.attempt("planter", own)
    me = await browser.me()
    return me.status == 200 and bool(me.data["user"]["id"] == boss[0]) and "Admin" in me.data["roles"]


@attack
async def an_admin_who_renames_a_provider_trusts_what_it_says(scene: Scene) -> bool:
    """The User Admin pointed it elsewhere a moment ago, and the Admin did not look."""
    evil = await scene.of_hostile(scene.op(), scene.honest, "User Admin", domains=[scene.honest.domain])
    await scene.vouch(scene.honest, f"domains/{scene.honest.domain}")
    await _set(scene, scene.honest.admin, evil.name, {"displayName": "Our company"})
    browser, _ = await evil.attempt("evil", scene.honest.admin.email)
    me = await browser.me()
    return me.status == 200 and bool(me.data["user"]["id"] == scene.honest.admin.id)


@attack
async def a_mailbox_is_flooded_with_links(scene: Scene) -> bool:
    user_id, email = await scene.user(scene.hostile, f"victim@{scene.honest.domain}")
    for _ in range(30):
        await scene.hostile.crew.send("Admin", RENEW, id=user_id)
    return len(await scene.letters_to(email)) > 15


@guard
async def a_client_uses_up_what_another_may_ask_of_an_address(scene: Scene) -> bool:
    wanted = f"new-boss@{scene.honest.domain}"
    for _ in range(8):
        user_id, _ = await scene.user(scene.hostile)
        await scene.hostile.crew.send("Admin", UPDATE, id=user_id, input={"email": wanted})
    user_id, _ = await scene.user(scene.honest)
    reply = await scene.honest.crew.send("Admin", UPDATE, id=user_id, input={"email": wanted})
    return "errors" in reply.json


@guard
async def a_record_is_looked_at_again_and_again(scene: Scene) -> bool:
    """A claim that is released and made anew is no new one to the name servers."""
    token, domain = scene.hostile.admin.token, f"loop.{scene.hostile.domain}"
    statuses = []
    for _ in range(4):
        await scene.app.post("/api/client/domains", {"domain": domain}, token=token)
        statuses.append((await scene.app.post(f"/api/client/domains/{domain}/check", token=token)).status)
        await scene.app.send("DELETE", f"/api/client/domains/{domain}", token=token)
    return statuses.count(200) > 1
