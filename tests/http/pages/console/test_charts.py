"""The client console's charts show the trail's numbers, no matter how often and by how many nodes they are counted."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.pages.test_codes_for_apps import CHALLENGE, code_of
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.accounts import act_on, new_client, number_of, settle, trail
from tests.support.application import PASSWORD, App, running
from tests.support.background_jobs import count_figures
from tests.support.oidc_op import Op, provider
from tests.support.passkeys import PUBLIC, signed_in
from tests.support.people import member
from tests.support.rows import rows
from tests.support.second_factors import person
from tests.support.single_sign_on import add_oidc, begun
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.still
UNKNOWN = "Acme ID: unknown user, and the provider creates no users"


def numbers(page: Page, chart: str) -> dict[str, list[int]]:
    """A chart's table: a list of numbers for each label, without empty ones."""
    rows = page.tree.xpath(f"//section[@aria-labelledby='{chart}']//tbody/tr")
    found = {
        row.xpath("string(th)"): [int(cell.text_content().replace(",", "")) for cell in row.xpath("td")] for row in rows
    }
    return {label: values for label, values in found.items() if any(values)}


async def usage(app: App, email: str = "admin@acme.example") -> Page:
    page = await (await Visitor(app).signed_in(email)).get("/console/usage")
    assert page.status == 200
    return page


async def test_sign_ins_are_counted_once_by_day_result_and_reason(app: App) -> None:
    with provider(app.clock) as op:
        await add_oidc(app, op, "acme", name="charts", displayName="Acme ID", createUsers=False)
        before = numbers(await usage(app), "sign-ins")
        assert before == {}
        for day in range(2):
            await app.sign_in("operator@acme.example", "wrong-wrong-wrong")
            await app.sign_in("operator@acme.example")
            await refused_at(app, op)
            assert all(await asyncio.gather(*(count_figures(app) for _ in range(3))))
            app.clock.advance(86_400 * (1 - day))
    page = await usage(app, "admin@acme.example")
    counted = list(numbers(page, "sign-ins").values())  # newest first
    # Admin Tester viewed the page once before the first day was counted.
    assert counted == [[1, 2, 0], [2, 2, 0]]
    assert numbers(page, "failures") == {UNKNOWN: [2], "Incorrect email or password": [2]}
    assert await count_figures(app)
    assert list(numbers(await usage(app), "sign-ins").values()) == [[2, 2, 0], [2, 2, 0]]


async def refused_at(app: App, op: Op) -> None:
    browser, back = await begun(app, op, "acme", provider="charts")
    assert (await browser.send("GET", back)).status == 401


async def test_failures_without_a_provider_or_a_reason_are_shown_by_their_method(app: App) -> None:
    """If a code from a password sign-in is exchanged with a wrong verifier, there is no provider."""
    await settle(app, "globex", returnAddresses=["com.globex.app:/in"])
    visitor = Visitor(app)
    page = await visitor.get(
        f"/sign-in?client=globex&response=code&returnTo=com.globex.app:/in&codeChallenge={CHALLENGE}"
    )
    page = await visitor.submit(page, "/sign-in/password", email="operator@globex.example", password=PASSWORD)
    code = code_of(await visitor.get(page.location))
    wrong = await app.post("/api/client/auth/exchange", {"code": code, "codeVerifier": "w" * 43})
    assert wrong.status == 401
    assert await count_figures(app)
    assert numbers(await usage(app, "admin@globex.example"), "failures") == {"one-time code": [1]}


async def test_users_factors_and_seats_are_those_of_the_client(app: App) -> None:
    app.clock.advance(3_600)  # the figures are recorded once an hour
    await usage(app, "admin@globex.example")
    assert await count_figures(app)
    page = await usage(app, "admin@globex.example")
    assert numbers(page, "factors") == {"None": [7]}
    assert list(numbers(page, "active").values()) == [[1]]
    assert sum(values[0] for values in numbers(page, "seat-chart").values()) == 7


async def test_a_week_without_figures_shows_none_of_the_week_before(app: App) -> None:
    for days in (0, 21):
        app.clock.advance(days * 86_400 + 3_601)
        await usage(app, "admin@globex.example")
        assert await count_figures(app)
    assert len(numbers(await usage(app, "admin@globex.example"), "active")) == 2


async def test_tokens_of_entra_id_are_no_sign_ins_and_rejected_ones_are_failures(setup: MicrosoftSetup) -> None:
    """A token is verified again every five minutes, and the trail records a sign-in each time."""
    found = await setup.entra(displayName="Contoso")
    app, client = setup.app, found.client
    for _ in range(3):
        alice = (await setup.me(setup.microsoft.mint("graph")))["user"]["id"]
        app.clock.advance(601)
    await act_on(app, f"{client}/users/{alice}/deactivate")
    assert (await app.me(setup.microsoft.mint("graph"))).status == 403
    events = [one.event for one in await trail(app, client) if one.members.get("method") == "entra"]
    assert events == ["signed_in"] * 3 + ["sign_in_refused"]
    assert await count_figures(app)
    page = await usage(app, (await member(app, client, "Admin")).email)
    assert list(numbers(page, "sign-ins").values()) == [[0, 1, 0]]
    assert list(numbers(page, "failures").values()) == [[1]]


async def test_a_user_is_counted_by_the_strongest_second_factor(database_url: str) -> None:
    async with running(database_url, **PUBLIC) as app:
        client = await new_client(app)
        only_app, gone, both = await person(app, client), await person(app, client), await signed_in(app, client)
        for one in (only_app, gone):
            await one.enrol(await one.token())
        await act_on(app, f"{client}/users/{gone.id}/deactivate")
        await both.add()
        await both.person.enrol(both.token)
        app.clock.advance(3_601)  # the figures are recorded once an hour
        await app.sign_in(only_app.email)
        assert await count_figures(app)
        taken = dict(await rows(app, "daily_figures", "figure", "number", tenant_id=await number_of(app, client)))
        assert {name: taken[name] for name in ("users", "passkey", "app")} == {"users": 2, "passkey": 1, "app": 1}


async def test_figures_are_kept_for_400_days_and_what_was_counted_is_remembered(app: App) -> None:
    client = await new_client(app)
    someone, number = await member(app, client), await number_of(app, client)

    async def days() -> set[int]:
        await app.sign_in(someone.email)
        assert await count_figures(app)
        return {day for (day,) in await rows(app, "daily_figures", "day", tenant_id=number)} - {0}

    [first] = await days()
    app.clock.advance(400 * 86_400)
    assert await days() == {first, first + 400}
    app.clock.advance(86_400)
    assert await days() == {first + 400, first + 401}
    signed_in = await rows(app, "daily_figures", "number", tenant_id=number, figure="signed_in")
    assert signed_in == [(1,), (1,)]
