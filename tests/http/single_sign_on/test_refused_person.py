"""Single sign-on rejects deactivated users, suspended clients, and providers that were turned off or changed.

It also rejects deleted providers, even while a sign-in is in progress.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.accounts import Keys, act_on, new_client, opened_by, trail
from tests.support.application import App, Reply
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import OidcProvider, last_reason, oidc_provider, session_of, users_of
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import (
    Browser,
    act_on_provider,
    begun,
    check_no_one_got_in,
    saml_provider,
)

pytestmark = pytest.mark.one_store

OFF = "This sign-in method is turned off"
MEANWHILE = "the provider was turned off, changed, or deleted in the meantime"


async def test_a_deactivated_user_is_told_so_and_not_let_in(app: App) -> None:
    async with oidc_provider(app) as company:
        browser = await company.sign_in("ada", "ada@mail.example")
        user = (await session_of(browser))["user"]["id"]
        _, coded = await company.attempt("ada", query={"response": "code"})
        await act_on(app, f"{company.client}/users/{user}/deactivate")
        assert (await browser.me()).status == 401
        for query in ({}, {"response": "code"}):
            browser, reply = await company.attempt("ada", query=query)
            check_no_one_got_in(reply, 403, "ACCOUNT_DISABLED")
            assert "code=" not in reply.headers.get("location", "")
        code = coded.headers["location"].partition("code=")[2]
        check_no_one_got_in(await app.post("/api/client/auth/exchange", {"code": code}), 403, "ACCOUNT_DISABLED")
        refused = [event for event in await trail(app, company.client) if event.event == "sign_in_refused"]
        assert {event.members["method"] for event in refused} == {"oidc"}
        await act_on(app, f"{company.client}/users/{user}/restore")
        await company.sign_in("ada")


async def test_of_a_suspended_client_no_one_can_sign_in(app: App) -> None:
    async with oidc_provider(app) as company:
        okta = await saml_provider(app, company.client)
        ada = await company.sign_in("ada", "ada@mail.example")
        await act_on(app, f"{company.client}/suspend")
        assert (await ada.me()).status == 401
        for sub in ("ada", "new-person"):
            company.knows(sub, f"{sub}@mail.example")
            started = await Browser(app).start("oidc", provider=company.name, client=company.client)
            check_no_one_got_in(started, 403, "ACCOUNT_DISABLED")
        check_no_one_got_in(await okta.call(okta.response("eve@mail.example")), 403, "ACCOUNT_DISABLED")
        assert set(await users_of(app, company.client)) == {"ada@mail.example"}
        await act_on(app, f"{company.client}/restore")
        await company.sign_in("ada")


async def test_a_client_that_is_suspended_on_the_way_signs_no_one_in(app: App) -> None:
    async with oidc_provider(app) as company:
        browser, address = await begun(app, company.op, company.client)
        await act_on(app, f"{company.client}/suspend")
        check_no_one_got_in(await browser.send("GET", address), 403, "ACCOUNT_DISABLED")


async def test_a_provider_that_is_turned_off_begins_nothing_and_its_sessions_end(app: App) -> None:
    async with oidc_provider(app) as company, oidc_provider(app, company.client) as other:
        ada = await company.sign_in("ada", "ada@mail.example")
        bob = await other.sign_in("bob", "bob@mail.example")
        await act_on_provider(app, company.client, company.name, "switch-off")
        assert (await ada.me()).status == 401
        assert (await bob.me()).status == 200
        started = await Browser(app).start("oidc", provider=company.name, client=company.client)
        assert check_no_one_got_in(started) == OFF
        await act_on_provider(app, company.client, company.name, "switch-on")
        assert (await ada.me()).status == 401
        await company.sign_in("ada")


async def test_all_three_keys_of_such_a_session_are_dead(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    reply = await okta.call(okta.response("ada@mail.example"))
    keys = Keys(reply.data["token"], reply.data["refreshToken"], reply.cookie("session"))
    await okta.admin("POST", "/switch-off")
    assert await opened_by(app, keys) == []
    check_no_one_got_in(await okta.call(okta.response("ada@mail.example")))
    assert await last_reason(app, okta.client) == "the provider is turned off"
    await okta.admin("POST", "/switch-on")
    assert (await okta.call(okta.response("ada@mail.example"))).status == 200


async def during(company: OidcProvider, work: Callable[[], Awaitable[Any]]) -> Reply:
    """A sign-in during which ``work`` runs while our server waits for the provider's token endpoint."""
    company.knows("ada", "ada@mail.example")
    browser, address = await begun(company.app, company.op, company.client)
    with company.op.gates.shut("token"):
        ended = asyncio.create_task(browser.send("GET", address))
        while not company.op.count("token") and not ended.done():
            await asyncio.sleep(0.01)
        await work()
    return await ended


@matrix("act", ["switch-off", "delete"])
async def test_one_that_is_gone_while_someone_is_there_signs_no_one_in(app: App, act: str) -> None:
    async with oidc_provider(app) as company:
        ended = await during(company, lambda: act_on_provider(app, company.client, company.name, act))
        check_no_one_got_in(ended)
        assert await last_reason(app, company.client) == MEANWHILE
        assert await users_of(app, company.client) == {}


async def test_of_one_that_was_turned_off_on_the_way_nothing_is_asked(app: App) -> None:
    async with oidc_provider(app) as company:
        browser, address = await begun(app, company.op, company.client)
        await act_on_provider(app, company.client, company.name, "switch-off")
        check_no_one_got_in(await browser.send("GET", address))
        assert await last_reason(app, company.client) == "the provider is turned off"
        assert company.op.count("token") == 0


CHANGES: list[dict[str, Any]] = [
    {"defaultRoles": ["Author"]},
    {"createUsers": True, "domains": ["mail.example"]},
    {"oidc": {"scopes": ["openid", "email"]}},
    {"oidc": {"groupClaim": "roles"}},
    {"displayName": "Another name"},
]


@matrix("members", CHANGES)
async def test_one_that_changes_while_someone_is_there_signs_no_one_in(app: App, members: dict[str, Any]) -> None:
    """A sign-in that started under older settings is rejected."""
    async with oidc_provider(app) as company:
        check_no_one_got_in(await during(company, lambda: company.change(**members)))
        assert await last_reason(app, company.client) == MEANWHILE
        assert await users_of(app, company.client) == {}
        company.op.delay.clear()
        await company.sign_in("ada", "ada@mail.example")


async def test_what_changes_before_someone_is_back_counts_already(app: App) -> None:
    async with oidc_provider(app) as company:
        company.knows("ada", "ada@mail.example")
        browser, address = await begun(app, company.op, company.client)
        await company.change(defaultRoles=["Author"])
        assert (await browser.send("GET", address)).status == 302
        assert (await session_of(browser))["roles"] == ["Author"]


@matrix("public", [False, True], ids=["", "public"])
async def test_a_code_of_the_earlier_issuer_is_not_taken_to_another(app: App, public: bool) -> None:
    """Code and verifier are enough to sign in, and a replacement provider that a User Admin set up would get both."""
    async with oidc_provider(app) as company:
        with provider(app.clock, alg="ES256", without_iss=True) as evil:
            company.op.without_iss = True
            browser, address = await begun(app, company.op, company.client)
            await company.change(oidc={"issuer": evil.issuer, "clientSecret": None if public else evil.client_secret})
            check_no_one_got_in(await browser.send("GET", address))
            assert evil.asked == []


async def test_a_request_that_went_to_the_earlier_address_is_not_answered_by_another_key(app: App) -> None:
    okta, other = await saml_provider(app, await new_client(app)), Idp(number=1)
    browser = Browser(app)
    request_id, relay_state = await okta.start(browser)
    await okta.admin("PATCH", "", {"saml": {"certificates": [other.certificate_pem]}})
    response = okta.response("ada@mail.example", in_response_to=request_id)
    check_no_one_got_in(await okta.post(browser, response, relay_state))
    assert await users_of(app, okta.client) == {}
