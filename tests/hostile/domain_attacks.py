"""Attacks by claiming what is another's: e-mail domains, names of providers, addresses of people."""

from __future__ import annotations

from tests.hostile.scenario import PASSWORD, Browser, Scene, attack, guard
from tests.support.application import App
from tests.support.people import last_reason


@attack
async def twenty_providers_hide_the_real_one(scene: Scene) -> bool:
    honest = await scene.company()
    for _ in range(20):
        await scene.of_hostile(scene.op(), domains=[scene.honest.domain])
    found = await scene.discovered(f"anyone@{scene.honest.domain}")
    return found != {(scene.honest.client, honest.name)}


@attack
async def the_shared_page_offers_a_foreign_provider(scene: Scene) -> bool:
    """The domain's owner uses passwords; the page sends its people to the evil provider to type theirs there."""
    evil = await scene.of_hostile(scene.op(), domains=[scene.honest.domain])
    return (scene.hostile.client, evil.name) in await scene.discovered(f"anyone@{scene.honest.domain}")


@attack
async def a_whole_registry_of_domains_is_claimed(scene: Scene) -> bool:
    reply = await scene.hostile.add(
        oidc={"issuer": scene.op().issuer, "clientId": "x", "clientSecret": "y"}, domains=["co.uk"]
    )
    found = await scene.discovered("anyone@co.uk")
    return reply.status == 201 or any(client == scene.hostile.client for client, _ in found)


@guard
async def a_claim_on_a_domain_that_counts_for_another(scene: Scene) -> bool:
    honest = await scene.company()
    await scene.app.post("/api/client/domains", {"domain": scene.honest.domain}, token=scene.hostile.admin.token)
    path = f"/api/client/domains/{scene.honest.domain}/check"
    await scene.app.post(path, token=scene.hostile.admin.token)
    return (scene.honest.client, honest.name) not in await scene.discovered(f"a@{scene.honest.domain}")


@attack
async def a_claimed_domain_takes_an_account_over(scene: Scene) -> bool:
    """A User Admin's provider vouches for the address of a colleague at a domain that nobody proved."""
    victim = await scene.person(scene.honest, "Author", email=f"author@partner-{scene.honest.domain}")
    evil = await scene.of_hostile(scene.op(), scene.honest, "User Admin", domains=[f"partner-{scene.honest.domain}"])
    browser, _ = await evil.attempt("evil-subject", victim.email)
    me = await browser.me()
    return me.status == 200 and bool(me.data["user"]["id"] == victim.id)


async def _begin(app: App, provider: str) -> str:
    """Where a start without a client sends; empty where it is refused."""
    return (await Browser(app).start("oidc", provider=provider)).headers.get("location", "")


@attack
async def a_namesake_breaks_the_bare_start(scene: Scene) -> bool:
    """``oidc?provider=NAME`` led to the one client of that name, as it stands in its people's bookmarks."""
    honest = await scene.company(name=f"sso-{scene.honest.client}")
    path = f"/api/admin/provider-names/{honest.name}"
    await scene.app.send("PUT", path, {"client": scene.honest.client}, token=await scene.app.admin_token())
    assert (await _begin(scene.app, honest.name)).startswith(honest.op.base)
    await scene.of_hostile(scene.op(), name=honest.name)
    return not (await _begin(scene.app, honest.name)).startswith(honest.op.base)


@attack
async def a_bare_start_leads_to_the_hostile_client(scene: Scene) -> bool:
    evil = await scene.of_hostile(scene.op(), name=f"login-{scene.hostile.client}")
    return (await _begin(scene.app, evil.name)).startswith(evil.op.base)


async def _squat(scene: Scene, email: str) -> None:
    """The hostile client has an account under a foreign address, and signs in to it now."""
    password = PASSWORD[::-1]
    await scene.user(scene.hostile, email, password=password)
    scene.app.clock.advance(60)
    assert (await scene.app.sign_in(email, password, client=scene.hostile.client)).status == 200


@attack
async def a_squatted_address_keeps_its_owner_out(scene: Scene) -> bool:
    """The owner names no client, as the page of the API has it, and is sent to the squatter's."""
    victim = await scene.person(scene.honest, "Author")
    await _squat(scene, victim.email)
    reply = await scene.app.sign_in(victim.email)
    return reply.status != 200 or bool(reply.data["user"]["clientId"] != scene.honest.client)


@attack
async def a_squatted_address_gets_the_owners_reset_link(scene: Scene) -> bool:
    victim = await scene.person(scene.honest, "Author")
    await _squat(scene, victim.email)
    await scene.app.post("/api/client/auth/password/forgot", {"email": victim.email})
    letter = scene.mail.next_letter()
    token = (await letter).token
    found = (await scene.app.post("/api/client/auth/link", {"token": token})).data
    return bool(found["client"]["identifier"] != scene.honest.client)


@guard
async def the_reason_that_a_foreign_client_reads(scene: Scene) -> bool:
    """Nothing of a refusal at the honest client stands in the hostile one's trail."""
    honest = await scene.company()
    await honest.attempt("stranger", "")
    await scene.hostile.add(oidc={"issuer": honest.op.issuer, "clientId": "x", "clientSecret": "y"})
    reply = await scene.app.get("/api/client/audit", token=scene.hostile.admin.token)
    return bool(await last_reason(scene.app, scene.honest.client)) and scene.honest.client in reply.text
