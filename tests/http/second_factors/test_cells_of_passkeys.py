"""Every policy, role, and factor, for sign-ins with only a passkey."""

from __future__ import annotations

import pytest

from tests.http.second_factors.factor_cells import ENROLLED, POLICIES, Cell, cells_of
from tests.support.accounts import new_client, settle
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.passkeys import PUBLIC, signed_in
from tests.support.rows import change_rows

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def answer(app: App, client: str, cell: Cell) -> str:
    holder = await signed_in(app, client, cell.role)
    if ENROLLED[cell.enrolled] & 2:
        await holder.add()
    else:
        holder.browser.create(await holder.creation_options())  # unknown to the server
    await change_rows(app, "users", {"id": holder.person.id}, factors=ENROLLED[cell.enrolled])
    await settle(app, client, secondFactor=POLICIES[cell.policy])
    reply = await holder.sign_in()
    if reply.status == 401 and reply.code == "INVALID_CREDENTIALS":
        assert "__Host-session" not in str(reply.headers)
        return "refused"
    assert reply.data["token"]
    assert reply.cookie("session")
    return "in, due" if "secondFactorDue" in reply.data else "in"


@matrix("policy", POLICIES)
async def test_every_cell_has_its_answer(app: App, policy: str) -> None:
    client, answers = await new_client(app), {}
    for cell in cells_of(policy, "passkey"):
        await settle(app, client, secondFactor={"policy": "optional"})
        app.clock.advance(3600)
        answers[cell] = await answer(app, client, cell)
    assert answers == {cell: cell.expected for cell in answers}
    assert len(answers) == 15
