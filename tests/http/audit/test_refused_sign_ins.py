"""A client's audit trail shows every rejected sign-in with a known client, and users learn what they can do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import act_on, new_client, new_user, trail
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.people import oidc_provider
from tests.support.rules import rule
from tests.support.single_sign_on import BASE, Browser, act_on_provider, begun, check_no_one_got_in, saml_provider
from tests.support.smaller_limits import few_events

AGAIN = "Start again"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def refusals(app: App, client: str) -> list[dict[str, Any]]:
    """The rejected sign-ins in the client's trail."""
    events = await trail(app, client)
    return [event.members for event in events if event.event in ("sign_in_failed", "sign_in_refused")]


@rule("OIDC-STATE")
async def test_an_openid_answer_that_was_used_is_shown_and_says_to_start_again(app: App) -> None:
    async with oidc_provider(app) as company:
        company.knows("ada", "ada@mail.example")
        browser, back = await begun(app, company.op, company.client)
        assert (await browser.send("GET", back)).status == 302
        assert AGAIN in check_no_one_got_in(await browser.send("GET", back))
        [told] = await refusals(app, company.client)
        assert (told["why"], told["method"]) == ("state: already used", "oidc")
        assert isinstance(told["provider"], int)


async def test_an_openid_answer_in_another_browser_is_shown_and_names_the_address_to_start_at(app: App) -> None:
    async with oidc_provider(app) as company:
        company.knows("ada", "ada@mail.example")
        browser, back = await begun(app, company.op, company.client)
        sentence = check_no_one_got_in(await Browser(app).send("GET", back))
        assert AGAIN in sentence
        assert BASE in sentence
        [told] = await refusals(app, company.client)
        assert told["why"] == "state: from a different browser"
        assert (await browser.send("GET", back)).status == 302  # it didn't use up anything


async def test_an_answer_that_belongs_to_no_sign_in_says_to_start_again(app: App) -> None:
    reply = await app.get("/api/client/auth/oidc/callback?state=nobody-knows&code=x")
    assert AGAIN in check_no_one_got_in(reply)


async def test_a_start_at_an_unknown_provider_is_recorded_if_the_client_is_known(app: App) -> None:
    client, user = await new_client(app), "/api/admin/clients/{}/users/{}/invitation"
    for query in ({"provider": "gone"}, {}):
        check_refusal(await Browser(app).start("oidc", client=client, **query), 404, "NOT_FOUND")
    user_id, _ = await new_user(app, client)
    invited = await app.post(user.format(client, user_id), token=await app.admin_token())
    body = {"token": invited.data["token"], "provider": "gone"}
    check_refusal(await app.post("/api/client/auth/link/start", body), 404, "NOT_FOUND")
    assert [(told["method"], told["why"]) for told in await refusals(app, client)] == [
        ("oidc", "unknown provider"), ("oidc", "the client doesn't have this provider"),
        ("link", "unknown provider for an invited person"),
    ]  # fmt: skip


@matrix("kind", ["oidc", "okta-saml"])
async def test_a_provider_that_is_turned_off_is_shown_where_a_sign_in_begins(app: App, kind: str) -> None:
    async with oidc_provider(app) as company:
        okta = await saml_provider(app, company.client)
        name = company.name if kind == "oidc" else okta.name
        await act_on_provider(app, company.client, name, "switch-off")
        check_no_one_got_in(await Browser(app).start(kind, provider=name, client=company.client))
        [told] = await refusals(app, company.client)
        assert told["why"] == "the provider is turned off"


@matrix("kind", ["oidc", "okta-saml"])
async def test_of_a_suspended_client_people_are_told_before_they_log_in_at_the_provider(app: App, kind: str) -> None:
    async with oidc_provider(app) as company:
        okta = await saml_provider(app, company.client)
        name = company.name if kind == "oidc" else okta.name
        await act_on(app, f"{company.client}/suspend")
        asked = len(company.op.asked)
        reply = await Browser(app).start(kind, provider=name, client=company.client)
        assert "suspended" in check_no_one_got_in(reply, 403, "ACCOUNT_DISABLED")
        assert "location" not in reply.headers
        assert "set-cookie" not in reply.headers
        assert len(company.op.asked) == asked
        [told] = await refusals(app, company.client)
        assert told["why"] == "the client is suspended"


async def test_saml_answers_to_no_open_request_are_shown_and_say_to_start_again(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    browser = Browser(app)
    request_id, state = await okta.start(browser)
    response = okta.response("ada@mail.example", in_response_to=request_id)
    other = check_no_one_got_in(await okta.post(Browser(app), response, state))
    assert AGAIN in other
    assert BASE in other
    assert (await okta.post(browser, response, state)).status == 303
    assert AGAIN in check_no_one_got_in(await okta.post(browser, response, state))
    unasked = okta.response("ada@mail.example", in_response_to="_" + "0" * 40)
    assert AGAIN in check_no_one_got_in(await okta.call(unasked))
    assert [told["why"] for told in await refusals(app, okta.client)] == [
        "the request came from a different browser",
        "InResponseTo: the request already got a response",
        "InResponseTo: no open request of this server",
    ]


async def test_a_saml_answer_of_no_one_here_is_shown_to_the_client_that_the_request_names(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    foreign = okta.response(issuer="https://nobody.example", audience="https://elsewhere.example/metadata")
    check_no_one_got_in(await okta.call(foreign, query=f"?client={okta.client}"))
    why = [told["why"] for told in await refusals(app, okta.client)]
    assert why == ["response: no provider with this issuer and audience"]


async def test_without_a_role_the_admin_sees_the_claims_and_the_person_does_not(app: App) -> None:
    groups = ["authors\n", *(f"group-{number}" + "x" * 300 for number in range(30))]
    async with oidc_provider(app, defaultRoles=[], groupRoles=[{"group": "Authors", "roles": ["Author"]}]) as company:
        _, reply = await company.attempt("ada", "ada@mail.example", groups=groups, secret="do-not-tell-4711")
        sentence = check_no_one_got_in(reply)
        assert "authors" not in sentence
        [told] = await refusals(app, company.client)
        assert told["why"].startswith("no group grants a role; groups: 'authors\\n', 'group-0xxx")
        assert "claims: " in told["why"]
        assert "'groups'" in told["why"]
        assert "4711" not in told["why"]
        assert len(told["why"]) <= 1000


async def test_no_role_names_the_attributes_of_a_saml_answer(app: App) -> None:
    roles: dict[str, Any] = {"defaultRoles": [], "groupRoles": [{"group": "Authors", "roles": ["Author"]}]}
    okta = await saml_provider(app, await new_client(app), **roles)
    check_no_one_got_in(await okta.call(okta.response("ada@mail.example", attributes={"team": ["red"]})))
    [told] = await refusals(app, okta.client)
    assert told["why"] == "no group grants a role; groups: none; claims: 'team'"


async def test_such_refusals_stay_within_the_budget_of_audit_events(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    async with oidc_provider(app) as company:
        await act_on_provider(app, company.client, company.name, "switch-off")
        few_events(monkeypatch, 3)
        for _ in range(9):
            check_no_one_got_in(await Browser(app).start("oidc", provider=company.name, client=company.client))
        assert len(await refusals(app, company.client)) == 3
