"""Attacks by claiming another's Microsoft directory, and on what all clients share towards Microsoft."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.hostile.scenario import Party, Scene, attack, guard
from tests.interop.microsoft.people import CONSUMERS, POWER_APP
from tests.support.application import Reply

MANY = 60
SLOTS = 64  # calls to one host that one process has under way at most


async def _bind(scene: Scene, party: Party, directory: str, **members: Any) -> Reply:
    """The client's own Admin binds a directory."""
    entra = {"directory": directory, "applications": [POWER_APP]}
    given: dict[str, Any] = {"createUsers": True, "defaultRoles": ["Viewer"], **members}
    return await party.add(entra=entra, **given)


async def _bound(scene: Scene) -> str:
    """The honest client uses contoso's directory, which is its own."""
    contoso = scene.world.microsoft.named("contoso").id
    assert (await _bind(scene, scene.honest, contoso)).status == 201
    await scene.vouch(scene.honest, f"directories/{contoso}")
    return contoso


@attack
async def a_second_binding_keeps_all_callers_out(scene: Scene) -> bool:
    contoso = await _bound(scene)
    await _bind(scene, scene.hostile, contoso)
    reply = await scene.app.me(scene.world.microsoft.mint("graph"))
    return reply.status != 200 or bool(reply.data["client"]["identifier"] != scene.honest.client)


@attack
async def people_of_an_unbound_directory_land_in_the_hostile_client(scene: Scene) -> bool:
    await _bind(scene, scene.hostile, scene.world.microsoft.named("fabrikam").id)
    return (await scene.app.me(scene.world.microsoft.mint("graph", "fabrikam", "mallory"))).status == 200


@guard
async def a_token_that_names_a_foreign_directory(scene: Scene) -> bool:
    contoso = await _bound(scene)
    await _bind(scene, scene.hostile, scene.world.microsoft.named("fabrikam").id)
    forged = scene.world.microsoft.mint("graph", "fabrikam", "mallory", claims={"tid": contoso})
    return (await scene.app.me(forged)).status == 200


@guard
async def the_directory_of_personal_accounts_is_claimed(scene: Scene) -> bool:
    await _bind(scene, scene.hostile, CONSUMERS)
    return (await scene.app.me(scene.world.microsoft.mint("graph", "consumers", "pat"))).status == 200


@guard
async def a_claim_on_a_directory_that_counts_for_another(scene: Scene) -> bool:
    contoso = await _bound(scene)
    path = f"/api/client/directories/{contoso}"
    await scene.app.post("/api/client/directories", {"directory": contoso}, token=scene.hostile.admin.token)
    proving = await scene.app.post(f"{path}/prove", {"returnTo": ""}, token=scene.hostile.admin.token)
    reply = await scene.app.me(scene.world.microsoft.mint("graph"))
    return proving.status == 200 and reply.status != 200


@attack
async def junk_tokens_become_calls_to_graph(scene: Scene) -> bool:
    await _bound(scene)
    microsoft = scene.world.microsoft
    microsoft.asked.clear()
    for number in range(MANY):
        await scene.app.me(microsoft.mint("graph", claims={"n": number}, key_of="fabrikam"))
    return microsoft.count("graph") > MANY / 2


@attack
async def the_same_junk_token_is_asked_about_again_and_again(scene: Scene) -> bool:
    await _bound(scene)
    microsoft = scene.world.microsoft
    microsoft.asked.clear()
    junk = microsoft.mint("graph", key_of="fabrikam")
    for _ in range(10):
        await scene.app.me(junk)
    return microsoft.count("graph") > 2


@attack
async def a_slow_directory_keeps_the_others_waiting(scene: Scene) -> bool:
    """Graph does not answer the hostile client's callers; the honest caller waits for them in one queue."""
    await _bound(scene)
    fabrikam = scene.world.microsoft.named("fabrikam").id
    await _bind(scene, scene.hostile, fabrikam)
    named = {"X-Client-ID": scene.hostile.client}
    microsoft = scene.world.microsoft
    many = [microsoft.mint("graph", "fabrikam", "mallory", claims={"n": number}) for number in range(2 * SLOTS)]
    with microsoft.gates.shut(fabrikam):
        waiting = [asyncio.create_task(scene.app.me(token, headers=named)) for token in many]
        under_way = -1
        while under_way < microsoft.count("graph"):  # until no slot is left that they may take
            under_way = microsoft.count("graph")
            await asyncio.sleep(0.1)
        await scene.app.me(microsoft.mint("graph", claims={"n": 1}))
        answered_before = sum(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    return answered_before > SLOTS
