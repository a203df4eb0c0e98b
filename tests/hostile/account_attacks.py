"""Attacks on single accounts through a mailbox, a reassigned address, a code, a token, a cookie, or a network."""

from __future__ import annotations

import re

from tests.hostile.scenario import PASSWORD, Browser, Scenario, attack
from tests.support.oidc_socket import Answer
from tests.support.single_sign_on import query_of, saml_provider
from tests.support.user_management import NEW, RESET, UPDATE, reset

APP = "com.acme.app:/signed-in"


@attack
async def a_mail_failure_shows_a_reset_link(scenario: Scenario) -> bool:
    """A User Admin waits until the mail server is down, and reads the link in the response."""
    victim = await scenario.person(scenario.honest, "Author")
    scenario.mail.refuses = "550 no"
    handed = await scenario.honest.team.ask("User Admin", RESET, id=victim.id)
    return bool(handed["link"])


@attack
async def an_address_is_changed_and_a_new_password_asked_for(scenario: Scenario) -> bool:
    """The owner isn't notified."""
    victim = await scenario.person(scenario.honest, "Author")
    evil = f"evil@{scenario.hostile.domain}"
    await scenario.honest.team.send("User Admin", UPDATE, id=victim.id, input={"email": evil})
    told = await scenario.mails_to(victim.email)
    named = {"X-Client-ID": scenario.honest.client}
    await scenario.app.post("/api/client/auth/password/forgot", {"email": evil}, headers=named)
    for received in [received for received in await scenario.mails_to(evil) if "#" in received.text]:
        reply = await reset(scenario.app, received.token, NEW)
        if reply.status == 200 and not told:
            return bool(reply.data["user"]["id"] == victim.id)
    return False


@attack
async def an_address_that_passes_on_brings_its_account(scenario: Scenario) -> bool:
    """The provider gives a former colleague's address to a new one, who gets the old account."""
    company = await scenario.company(createUsers=False)
    user_id, email = await scenario.user(scenario.honest, roles=["Author"])
    await company.sign_in("the-first", email)
    browser, _ = await company.attempt("the-second", email)
    return "session" in browser.cookies and bool((await browser.me()).data["user"]["id"] == user_id)


@attack
async def an_address_that_passes_on_by_saml(scenario: Scenario) -> bool:
    company = await saml_provider(scenario.app, scenario.honest.client, domains=[scenario.honest.domain])
    await scenario.vouch(scenario.honest, f"domains/{scenario.honest.domain}")
    user_id, email = await scenario.user(scenario.honest, roles=["Author"])
    first, second = [
        await company.call(company.response(subject, attributes={"email": email})) for subject in ("one", "two")
    ]
    assert first.data["user"]["id"] == user_id, first.text
    return second.status == 200 and bool(second.data["user"]["id"] == user_id)


@attack
async def a_code_outlives_a_deactivation(scenario: Scenario) -> bool:
    """The holder keeps the code until the account is restored."""
    company = await scenario.company(createUsers=False)
    user_id, email = await scenario.user(scenario.honest)
    browser = Browser(scenario.app)
    company.knows("subject", email)
    ended = await browser.sign_in_oidc(company.op, company.name, company.client, response="code")
    path = f"/api/admin/clients/{scenario.honest.client}/users/{user_id}"
    for act in ("deactivate", "restore"):
        assert (await scenario.app.post(f"{path}/{act}", token=await scenario.app.admin_token())).status == 200
    reply = await scenario.app.post("/api/client/auth/exchange", {"code": query_of(ended)["code"]})
    return reply.status == 200


@attack
async def an_id_token_that_is_for_another_app_too(scenario: Scenario) -> bool:
    """The other app received the token, and uses it here."""
    company = await scenario.company()
    company.op.claims = {"aud": [company.op.client_id, "another-app"], "azp": company.op.client_id}
    browser, _ = await company.attempt("subject", f"new@{scenario.honest.domain}")
    return "session" in browser.cookies


@attack
async def another_app_on_the_phone_reads_the_code(scenario: Scenario) -> bool:
    """It's registered for the same scheme, and the code was requested without a PKCE challenge."""
    company = await scenario.company(returnAddresses=[APP])
    company.knows("subject", f"new@{scenario.honest.domain}")
    browser = Browser(scenario.app)
    started = await browser.start("oidc", provider=company.name, client=company.client, response="code", returnTo=APP)
    if started.status != 302:
        return False
    ended = await browser.send("GET", company.op.visit(started.headers["location"]))
    reply = await scenario.app.post("/api/client/auth/exchange", {"code": query_of(ended)["code"]})
    return reply.status == 200


@attack
async def a_device_value_of_the_attackers_choice(scenario: Scenario) -> bool:
    """Planted in the victim's browser before a sign-in, it makes the attacker's guesses come from a known device."""
    victim = await scenario.person()
    chosen = "a" * 22
    reply = await scenario.app.sign_in(
        victim.email, client=scenario.honest.client, headers={"Cookie": f"device={chosen}"}
    )
    lines = [line for line in reply.headers.get_list("set-cookie") if line.startswith("device=")]
    return not lines or lines[0].startswith(f"device={chosen}")


@attack
async def a_cross_site_request_whose_origin_is_missing_or_ours(scenario: Scenario) -> bool:
    victim = await scenario.person()
    ours = scenario.app.services.settings.public_url
    for origin in ({"Origin": ours}, {}):
        headers = {"Sec-Fetch-Site": "cross-site", **origin, "Cookie": f"session={victim.cookie}"}
        if (await scenario.app.post("/api/client/auth/sign-out", headers=headers)).status != 403:
            return True
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example", "Cookie": f"session={victim.cookie}"}
    return (await scenario.app.post("/api/client/auth/sign-out", headers=headers)).status != 403


@attack
async def a_hundred_and_fifty_networks_of_one_company_guess(scenario: Scenario) -> bool:
    """A single IPv6 /48 has 65,536 networks, each of which had its own free guesses."""
    statuses = set()
    for number in range(150):
        address = f"2001:db8:77:{number:x}::1"
        for initial in "ab":
            body = {"email": f"{initial}{number}@{scenario.honest.domain}", "password": PASSWORD[::-1]}
            headers = {"X-Client-ID": scenario.honest.client, "X-Forwarded-For": address}
            statuses.add((await scenario.app.post("/api/client/auth/sign-in", body, headers=headers)).status)
    return 429 not in statuses


@attack
async def a_provider_test_tells_of_the_inner_network(scenario: Scenario) -> bool:
    """A User Admin enters internal addresses as a provider, and reads the responses."""
    inner = scenario.op()
    inner.answers["discovery"] = inner.answers["unknown"] = _secret_page()
    evil = await scenario.of_hostile(inner, scenario.honest, "User Admin")
    reply = await evil.send("POST", "/test", token=scenario.honest.user_admin.token)
    return re.search(r"\b418\b|teapot|text/html|JSON", reply.text) is not None


def _secret_page() -> Answer:
    return Answer(418, {"Content-Type": "text/html", "Server": "teapot"}, b"<html>the teapot in the cellar")


@attack
async def a_client_fills_the_disk(scenario: Scenario) -> bool:
    operator = await scenario.person(scenario.hostile, "Operator")
    png = b"\x89PNG\r\n\x1a\n" + bytes(60_000)
    statuses = []
    for number in range(4):
        headers = {"Content-Type": "image/png", "X-File-Name": f"{number}.png"}
        path = f"/api/client/files?name={number}.png"
        statuses.append((await scenario.app.post(path, content=png, headers=headers, token=operator.token)).status)
    assert statuses[0] in (200, 201), statuses
    return 413 not in statuses
