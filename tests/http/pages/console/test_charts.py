"""Charts of the client console: each number is that of the trail, however often and by how many it is counted."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.pages.test_codes_for_apps import CHALLENGE, code_of
from tests.support.accounts import settle
from tests.support.application import PASSWORD, App
from tests.support.background_jobs import count_figures
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import add_oidc, begun
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.still
UNKNOWN = "Acme ID: unknown person, and the provider creates no users"


def numbers(page: Page, chart: str) -> dict[str, list[int]]:
    """The table of a chart: a list of numbers for each of its labels, without those that have none."""
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
    # Admin Tester looked once before the first day was counted.
    assert counted == [[1, 2, 0], [2, 2, 0]]
    assert numbers(page, "failures") == {UNKNOWN: [2], "Incorrect email or password": [2]}
    assert await count_figures(app)
    assert list(numbers(await usage(app), "sign-ins").values()) == [[2, 2, 0], [2, 2, 0]]


async def refused_at(app: App, op: Op) -> None:
    browser, back = await begun(app, op, "acme", provider="charts")
    assert (await browser.send("GET", back)).status == 401


async def test_failures_without_a_provider_or_a_reason_are_shown_by_their_method(app: App) -> None:
    """A code of a password's sign-in that is exchanged with a wrong verifier has no provider."""
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
    app.clock.advance(3_600)  # the state is taken once an hour
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
