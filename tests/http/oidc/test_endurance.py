"""Hundreds of consecutive OpenID Connect sign-ins leave behind no rows and no memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.endurance import HOUR, check_memory, counted
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.background_jobs import sweep_expired
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import add_oidc, begun, check_no_one_got_in

pytestmark = pytest.mark.endurance
PEOPLE = 10


@pytest.fixture
def op(app: App) -> Iterator[Op]:
    with provider(app.clock, alg="ES256") as standing_in:
        yield standing_in


async def sign_in_by_every_way(app: App, op: Op, client: str, rounds: int) -> None:
    """Six sign-ins a round: one response arrives twice, one is rejected, one fails, and one is never completed."""
    for number in range(rounds):
        sub = f"person-{number % PEOPLE}"
        op.user = {"sub": sub, "email": f"{sub}@op.example", "email_verified": True}
        op.only_in_userinfo = {"email"} if number % 2 else set()
        browser, address = await begun(app, op, client)
        assert (await browser.send("GET", address)).status == 302
        check_no_one_got_in(await browser.send("GET", address))
        again = await browser.start("oidc", client=client)  # its earlier session ends
        assert (await browser.send("GET", op.visit(again.headers["location"]))).status == 302
        browser, address = await begun(app, op, client, response="code")
        code = (await browser.send("GET", address)).headers["location"].partition("code=")[2]
        assert (await app.post("/api/client/auth/exchange", {"code": code})).status == 200
        op.claims = {"nonce": "of another"}
        browser, address = await begun(app, op, client)
        check_no_one_got_in(await browser.send("GET", address))
        op.claims, op.token_error = {}, "temporarily_unavailable"
        browser, address = await begun(app, op, client)
        check_no_one_got_in(await browser.send("GET", address))
        op.token_error = None
        await begun(app, op, client)
        for kept in (op.asked, op.grants, op.access_tokens):  # the provider's memory is in this process too
            kept.clear()


@pytest.mark.timeout(300)
async def test_once_their_time_is_over_the_sweeper_leaves_none_of_their_rows(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    people = await counted(app, lasting=True)
    await sign_in_by_every_way(app, op, client, 25)
    left = {"sign_in_flows": 150, "sign_in_codes": 25, "seen_assertions": 0}  # until they expire, used or not
    assert await counted(app) == left
    assert await counted(app, lasting=True) == {name: count + PEOPLE for name, count in people.items()}
    await sweep_expired(app)
    assert await counted(app) == left  # not before
    app.clock.advance(1.5 * HOUR + 1)
    await sweep_expired(app)
    assert await counted(app) == {"sign_in_flows": 0, "sign_in_codes": 0, "seen_assertions": 0}


@pytest.mark.timeout(300)
async def test_memory_does_not_grow_with_the_number_of_sign_ins(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    await sign_in_by_every_way(app, op, client, PEOPLE)
    await check_memory(
        lambda: sign_in_by_every_way(app, op, client, 5), lambda: sign_in_by_every_way(app, op, client, 25)
    )
