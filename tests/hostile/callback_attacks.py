"""Attacks on the callback of OpenID sign-ins: one provider's code sent to another's address (RFC 9700, section 4.4)."""

from __future__ import annotations

from tests.hostile.scenario import Browser, Scenario, attack, guard
from tests.support.people import OidcProvider
from tests.support.single_sign_on import query_of


async def _mixed_up(scenario: Scenario, honest: OidcProvider, evil: OidcProvider) -> bool:
    """A victim starts at the evil provider, which redirects the browser to the honest one with the evil flow's state.
    Returns whether the honest code reaches the evil token endpoint."""
    registered = query_of(await Browser(scenario.app).start("oidc", client=honest.client, provider=honest.name))
    victim = Browser(scenario.app)
    started = query_of(await victim.start("oidc", client=evil.client, provider=evil.name))
    code = honest.op.code(registered["redirect_uri"], started["code_challenge"], started["nonce"])
    address = f"{registered['redirect_uri']}?code={code}&state={started['state']}"
    await victim.send("GET", address if honest.op.without_iss else f"{address}&iss={honest.op.issuer}")
    return evil.op.count("token") > 0


@attack
async def mix_up_across_clients(scenario: Scenario) -> bool:
    honest = await scenario.company(sends_iss=False)
    return await _mixed_up(scenario, honest, await scenario.of_hostile(scenario.op(without_iss=True)))


@attack
async def mix_up_by_a_user_admin_of_the_same_client(scenario: Scenario) -> bool:
    honest = await scenario.company(sends_iss=False)
    evil = await scenario.of_hostile(scenario.op(without_iss=True), scenario.honest, "User Admin")
    return await _mixed_up(scenario, honest, evil)


@guard
async def mix_up_with_an_honest_provider_that_sends_iss(scenario: Scenario) -> bool:
    honest = await scenario.company(sends_iss=True)
    return await _mixed_up(scenario, honest, await scenario.of_hostile(scenario.op(without_iss=True)))


@guard
async def mix_up_with_an_evil_provider_that_announces_iss(scenario: Scenario) -> bool:
    honest = await scenario.company(sends_iss=False)
    return await _mixed_up(scenario, honest, await scenario.of_hostile(scenario.op()))


@guard
async def an_evil_provider_that_calls_itself_by_the_honest_issuer(scenario: Scenario) -> bool:
    """Its discovery is the honest one's, although the evil client configured it."""
    honest = await scenario.company(sends_iss=False)
    evil = await scenario.of_hostile(honest.op, oidc={"clientId": "evil", "clientSecret": "evil"})
    started = await Browser(scenario.app).start("oidc", client=evil.client, provider=evil.name)
    return not started.headers.get("location", "").startswith(honest.op.base)


@guard
async def the_attackers_code_in_the_victims_browser(scenario: Scenario) -> bool:
    """The attacker's response, which belongs to a flow in the attacker's browser."""
    honest = await scenario.company(sends_iss=False)
    attacker, victim = Browser(scenario.app), Browser(scenario.app)
    honest.knows("attacker", f"attacker@{scenario.honest.domain}")
    started = await attacker.start("oidc", client=honest.client, provider=honest.name)
    await victim.send("GET", honest.op.visit(started.headers["location"]))
    return "session" in victim.cookies


@guard
async def a_state_of_the_honest_flow_at_the_evil_address(scenario: Scenario) -> bool:
    """The victim's state, sent to the callback of the evil client's provider, with the evil provider's code."""
    honest = await scenario.company(sends_iss=False)
    evil = await scenario.of_hostile(scenario.op(without_iss=True))
    theirs = query_of(await Browser(scenario.app).start("oidc", client=evil.client, provider=evil.name))
    victim = Browser(scenario.app)
    started = query_of(await victim.start("oidc", client=honest.client, provider=honest.name))
    code = evil.op.code(theirs["redirect_uri"], started["code_challenge"], started["nonce"])
    await victim.send("GET", f"{theirs['redirect_uri']}?code={code}&state={started['state']}")
    return "session" in victim.cookies or (
        honest.op.count("token") > 0 and theirs["redirect_uri"] != started["redirect_uri"]
    )


@guard
async def a_user_admin_marks_a_provider_for_the_shared_address(scenario: Scenario) -> bool:
    evil = await scenario.of_hostile(scenario.op(), scenario.honest, "User Admin")
    changed = await evil.send("PATCH", "", {"oidc": {"sharedCallback": True}}, token=scenario.honest.user_admin.token)
    return changed.status == 200 and bool(changed.data.get("oidc", {}).get("sharedCallback"))
