"""Attacks with another client's Microsoft directory, and on the resources that all clients share for Microsoft."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.hostile.scenario import Scenario, Tenant, attack, guard
from tests.interop.microsoft.people import CONSUMERS, POWER_APP
from tests.support.application import Reply

MANY = 60
SLOTS = 64  # the maximum number of calls that a process has in progress to one host


async def _bind(scenario: Scenario, tenant: Tenant, directory: str, **members: Any) -> Reply:
    """Bind a directory as the client's own Admin."""
    entra = {"directory": directory, "applications": [POWER_APP]}
    given: dict[str, Any] = {"createUsers": True, "defaultRoles": ["Viewer"], **members}
    return await tenant.add(entra=entra, **given)


async def _bound(scenario: Scenario) -> str:
    """The honest client uses contoso's directory, which it owns."""
    contoso = scenario.setup.microsoft.named("contoso").id
    assert (await _bind(scenario, scenario.honest, contoso)).status == 201
    await scenario.vouch(scenario.honest, f"directories/{contoso}")
    return contoso


@attack
async def a_second_binding_keeps_all_callers_out(scenario: Scenario) -> bool:
    contoso = await _bound(scenario)
    await _bind(scenario, scenario.hostile, contoso)
    reply = await scenario.app.me(scenario.setup.microsoft.mint("graph"))
    return reply.status != 200 or bool(reply.data["client"]["identifier"] != scenario.honest.client)


@attack
async def people_of_an_unbound_directory_land_in_the_hostile_client(scenario: Scenario) -> bool:
    await _bind(scenario, scenario.hostile, scenario.setup.microsoft.named("fabrikam").id)
    return (await scenario.app.me(scenario.setup.microsoft.mint("graph", "fabrikam", "mallory"))).status == 200


@guard
async def a_token_that_names_a_foreign_directory(scenario: Scenario) -> bool:
    contoso = await _bound(scenario)
    await _bind(scenario, scenario.hostile, scenario.setup.microsoft.named("fabrikam").id)
    forged = scenario.setup.microsoft.mint("graph", "fabrikam", "mallory", claims={"tid": contoso})
    return (await scenario.app.me(forged)).status == 200


@guard
async def the_directory_of_personal_accounts_is_claimed(scenario: Scenario) -> bool:
    await _bind(scenario, scenario.hostile, CONSUMERS)
    return (await scenario.app.me(scenario.setup.microsoft.mint("graph", "consumers", "pat"))).status == 200


@guard
async def a_claim_on_a_directory_that_counts_for_another(scenario: Scenario) -> bool:
    contoso = await _bound(scenario)
    path = f"/api/client/directories/{contoso}"
    await scenario.app.post("/api/client/directories", {"directory": contoso}, token=scenario.hostile.admin.token)
    proving = await scenario.app.post(f"{path}/prove", {"returnTo": ""}, token=scenario.hostile.admin.token)
    reply = await scenario.app.me(scenario.setup.microsoft.mint("graph"))
    return proving.status == 200 and reply.status != 200


@attack
async def junk_tokens_become_calls_to_graph(scenario: Scenario) -> bool:
    await _bound(scenario)
    microsoft = scenario.setup.microsoft
    microsoft.asked.clear()
    for number in range(MANY):
        await scenario.app.me(microsoft.mint("graph", claims={"n": number}, key_of="fabrikam"))
    return microsoft.count("graph") > MANY / 2


@attack
async def the_same_junk_token_is_asked_about_again_and_again(scenario: Scenario) -> bool:
    await _bound(scenario)
    microsoft = scenario.setup.microsoft
    microsoft.asked.clear()
    junk = microsoft.mint("graph", key_of="fabrikam")
    for _ in range(10):
        await scenario.app.me(junk)
    return microsoft.count("graph") > 2


@attack
async def a_slow_directory_keeps_the_others_waiting(scenario: Scenario) -> bool:
    """Graph doesn't respond to the hostile client's callers, and the honest caller waits in the same queue."""
    await _bound(scenario)
    fabrikam = scenario.setup.microsoft.named("fabrikam").id
    await _bind(scenario, scenario.hostile, fabrikam)
    named = {"X-Client-ID": scenario.hostile.client}
    microsoft = scenario.setup.microsoft
    many = [microsoft.mint("graph", "fabrikam", "mallory", claims={"n": number}) for number in range(2 * SLOTS)]
    with microsoft.gates.shut(fabrikam):
        waiting = [asyncio.create_task(scenario.app.me(token, headers=named)) for token in many]
        under_way = -1
        while under_way < microsoft.count("graph"):  # until they can take no more slots
            under_way = microsoft.count("graph")
            await asyncio.sleep(0.1)
        await scenario.app.me(microsoft.mint("graph", claims={"n": 1}))
        answered_before = sum(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    return answered_before > SLOTS
