"""A service account takes no seat of a license, whatever its roles."""

from __future__ import annotations

from manifest_auth.licence import gate
from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.machines import machine


async def test_a_machine_takes_no_seat_and_a_person_does(app: App) -> None:
    client = await new_client(app)
    before = await app.services.store.read(gate.taken)
    it = await machine(app, client, "Author")
    assert (await app.me(it.key.text)).status == 200
    assert await app.services.store.read(gate.taken) == before
    await new_user(app, client, roles=["Author"])
    assert await app.services.store.read(gate.taken) != before
