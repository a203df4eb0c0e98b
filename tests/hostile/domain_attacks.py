"""Attacks by claiming what belongs to another client: email domains, provider names, and users' addresses."""

from __future__ import annotations

from tests.hostile.scenario import PASSWORD, Browser, Scenario, attack, guard
from tests.support.application import App
from tests.support.people import last_reason


@attack
async def twenty_providers_hide_the_real_one(scenario: Scenario) -> bool:
    honest = await scenario.company()
    for _ in range(20):
        await scenario.of_hostile(scenario.op(), domains=[scenario.honest.domain])
    found = await scenario.discovered(f"anyone@{scenario.honest.domain}")
    return found != {(scenario.honest.client, honest.name)}


@attack
async def the_shared_page_offers_a_foreign_provider(scenario: Scenario) -> bool:
    """The domain's owner uses passwords, but the page sends its users to the evil provider, where they enter them."""
    evil = await scenario.of_hostile(scenario.op(), domains=[scenario.honest.domain])
    return (scenario.hostile.client, evil.name) in await scenario.discovered(f"anyone@{scenario.honest.domain}")


@attack
async def a_whole_registry_of_domains_is_claimed(scenario: Scenario) -> bool:
    reply = await scenario.hostile.add(
        oidc={"issuer": scenario.op().issuer, "clientId": "x", "clientSecret": "y"}, domains=["co.uk"]
    )
    found = await scenario.discovered("anyone@co.uk")
    return reply.status == 201 or any(client == scenario.hostile.client for client, _ in found)


@guard
async def a_claim_on_a_domain_that_counts_for_another(scenario: Scenario) -> bool:
    honest = await scenario.company()
    await scenario.app.post(
        "/api/client/domains", {"domain": scenario.honest.domain}, token=scenario.hostile.admin.token
    )
    path = f"/api/client/domains/{scenario.honest.domain}/check"
    await scenario.app.post(path, token=scenario.hostile.admin.token)
    return (scenario.honest.client, honest.name) not in await scenario.discovered(f"a@{scenario.honest.domain}")


@attack
async def a_claimed_domain_takes_an_account_over(scenario: Scenario) -> bool:
    """A User Admin's provider confirms a colleague's address in a domain that nobody has verified."""
    victim = await scenario.person(scenario.honest, "Author", email=f"author@partner-{scenario.honest.domain}")
    evil = await scenario.of_hostile(
        scenario.op(), scenario.honest, "User Admin", domains=[f"partner-{scenario.honest.domain}"]
    )
    browser, _ = await evil.attempt("evil-subject", victim.email)
    me = await browser.me()
    return me.status == 200 and bool(me.data["user"]["id"] == victim.id)


async def _begin(app: App, provider: str) -> str:
    """The redirect target of a start without a client; empty if it's rejected."""
    return (await Browser(app).start("oidc", provider=provider)).headers.get("location", "")


@attack
async def a_namesake_breaks_the_bare_start(scenario: Scenario) -> bool:
    """``oidc?provider=NAME``, as in users' bookmarks, led to the only client with that name."""
    honest = await scenario.company(name=f"sso-{scenario.honest.client}")
    path = f"/api/admin/provider-names/{honest.name}"
    await scenario.app.send("PUT", path, {"client": scenario.honest.client}, token=await scenario.app.admin_token())
    assert (await _begin(scenario.app, honest.name)).startswith(honest.op.base)
    await scenario.of_hostile(scenario.op(), name=honest.name)
    return not (await _begin(scenario.app, honest.name)).startswith(honest.op.base)


@attack
async def a_bare_start_leads_to_the_hostile_client(scenario: Scenario) -> bool:
    evil = await scenario.of_hostile(scenario.op(), name=f"login-{scenario.hostile.client}")
    return (await _begin(scenario.app, evil.name)).startswith(evil.op.base)


async def _squat(scenario: Scenario, email: str) -> None:
    """Create an account at the hostile client under someone else's address, and sign in to it."""
    password = PASSWORD[::-1]
    await scenario.user(scenario.hostile, email, password=password)
    scenario.app.clock.advance(60)
    assert (await scenario.app.sign_in(email, password, client=scenario.hostile.client)).status == 200


@attack
async def a_squatted_address_keeps_its_owner_out(scenario: Scenario) -> bool:
    """The owner names no client, as on the API's page, and is sent to the squatter's."""
    victim = await scenario.person(scenario.honest, "Author")
    await _squat(scenario, victim.email)
    reply = await scenario.app.sign_in(victim.email)
    return reply.status != 200 or bool(reply.data["user"]["clientId"] != scenario.honest.client)


@attack
async def a_squatted_address_gets_the_owners_reset_link(scenario: Scenario) -> bool:
    victim = await scenario.person(scenario.honest, "Author")
    await _squat(scenario, victim.email)
    await scenario.app.post("/api/client/auth/password/forgot", {"email": victim.email})
    token = (await scenario.mail.mail_to(victim.email)).token
    found = (await scenario.app.post("/api/client/auth/link", {"token": token})).data
    return bool(found["client"]["identifier"] != scenario.honest.client)


@guard
async def the_reason_that_a_foreign_client_reads(scenario: Scenario) -> bool:
    """The hostile client's audit trail shows nothing about a rejection at the honest client."""
    honest = await scenario.company()
    await honest.attempt("unknown", "")
    await scenario.hostile.add(oidc={"issuer": honest.op.issuer, "clientId": "x", "clientSecret": "y"})
    reply = await scenario.app.get("/api/client/audit", token=scenario.hostile.admin.token)
    return bool(await last_reason(scenario.app, scenario.honest.client)) and scenario.honest.client in reply.text
