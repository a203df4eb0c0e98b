"""Contract, section 5, Power Apps: an Entra ID access token as a bearer, by REST and by GraphQL alike."""

from __future__ import annotations

from tests.interop.microsoft.world import World

pytest_plugins = ["tests.interop.microsoft.fixtures"]


async def test_a_token_for_graph_lets_its_person_in(world: World) -> None:
    provider = await world.entra()
    me = await world.me(world.microsoft.mint("graph"))
    assert me["client"]["identifier"] == provider.client
    assert (me["user"]["email"], me["user"]["firstName"], me["user"]["lastName"]) == (
        "alice@contoso.example", "Alice", "Liddell",
    )  # fmt: skip
    assert me["roles"] == ["Operator"]
    assert "jobs:execute" in me["permissions"]
    assert world.microsoft.count("graph") == 1
