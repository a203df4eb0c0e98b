"""Responsibility for the second factor of an OpenID sign-in lies with the provider, its claims, or the client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.apps.relying import relying, told
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.accounts import new_client, settle, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.second_factors import FACTOR, OWN, REQUIRED
from tests.support.single_sign_on import RETURN_TO, Browser, act_on_provider, add_oidc, query_of
from tests.support.system_admins import Phone
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

CLAIMS: dict[str, Any] = {"secondFactor": "claims", "amr": ["mfa", "hwk"], "acr": ["urn:company:two", "c1"]}
ENROL, ASKED = "/sign-in/enrol?s=", "/sign-in/second-factor?s="
GUARDED = ("DELETE", "/api/client/auth/identities/999999")
AT_PROVIDER = "/api/client/auth/reauthenticate/provider"


class Company:
    """A client that requires a second factor, and its provider."""

    def __init__(self, app: App, op: Op, client: str) -> None:
        self.app, self.op, self.client = app, op, client

    async def sign_in(self, **query: str) -> tuple[Browser, Reply]:
        browser = Browser(self.app)
        return browser, await browser.sign_in_oidc(self.op, "company", self.client, **query)

    async def amr(self) -> list[str]:
        """The authentication methods of a session that a sign-in opens immediately."""
        browser, ended = await self.sign_in()
        assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
        return list((await browser.me()).data["session"]["amr"])

    async def is_asked(self) -> bool:
        """Whether the client's own factor is required, and no session was opened."""
        browser, ended = await self.sign_in()
        if ended.status == 302:
            return False
        assert (ended.status, ended.headers["location"][: len(ENROL)]) == (303, ENROL), ended.text
        assert "session" not in browser.cookies
        return True

    async def change(self, **members: Any) -> Reply:
        path = f"/api/admin/clients/{self.client}/providers/company"
        return await self.app.send("PATCH", path, members, token=await self.app.admin_token())


async def company_of(app: App, op: Op, **rules: Any) -> Company:
    client = await new_client(app, **REQUIRED)
    await add_oidc(app, op, client, name="company", **rules)
    return Company(app, op, client)


async def enrolled(company: Company) -> Phone:
    """Enroll an authenticator app for the provider's person, without changing the policy."""
    rule = (await company.change()).data["secondFactor"]
    check_success(await company.change(secondFactor="trust"))
    browser, _ = await company.sign_in()
    begun = check_success(await browser.send("POST", f"{OWN}/totp"), 201)
    phone = Phone(company.app, begun["secret"])
    check_success(await browser.send("POST", f"{OWN}/totp/confirm", body={"otp": phone.code()}))
    check_success(await company.change(secondFactor=rule))
    company.app.clock.advance(30)
    return phone


async def test_the_provider_is_trusted_with_it_unless_its_rule_says_otherwise(app: App, op: Op) -> None:
    company = await company_of(app, op)
    assert await company.amr() == ["provider"]
    made = (await company.change()).data
    assert (made["secondFactor"], made["amr"], made["acr"]) == ("trust", [], [])


@rule("SECOND-FACTOR-AT-PROVIDERS")
@matrix(
    "claims",
    [{"amr": ["pwd", "mfa"]}, {"acr": "urn:company:two"}, {"acrs": ["c2", "c1"]}, {"acrs": "c1"}],
    ids=["amr", "acr", "acrs", "acrs as a text"],
)
async def test_claims_of_the_list_are_two_factors(app: App, op: Op, claims: dict[str, Any]) -> None:
    company = await company_of(app, op, **CLAIMS)
    op.claims = claims
    assert await company.amr() == ["provider", "mfa"]
    [signed_in] = [one.members for one in await trail(app, company.client) if one.event == "signed_in"]
    assert signed_in["amr"] == ["provider", "mfa"]


@rule("SECOND-FACTOR-AT-PROVIDERS")
@matrix(
    "claims",
    [
        {},
        {"amr": []},
        {"amr": ["pwd"], "acr": "urn:company:one", "acrs": ["c2"]},
        {"amr": ["MFA", "mfa ", "xmfa"]},
        {"amr": "mfa"},
        {"amr": {"mfa": True}},
        {"amr": [["mfa"]]},
        {"acr": ["urn:company:two"]},
        {"acr": "urn:company:two:more"},
        {"acr": "mfa"},
        {"amr": ["urn:company:two"]},
        {"acrs": {"c1": True}},
        {"acr": ""},
        {"mfa": True},
    ],
)
async def test_other_claims_and_none_are_not_and_the_clients_own_is_due(
    app: App, op: Op, claims: dict[str, Any]
) -> None:
    company = await company_of(app, op, **CLAIMS)
    op.claims = claims
    assert await company.is_asked()


async def test_nothing_is_accepted_by_lists_that_are_empty(app: App, op: Op) -> None:
    company = await company_of(app, op, secondFactor="claims")
    op.claims = {"amr": ["mfa"], "acr": "", "acrs": []}
    assert await company.is_asked()


async def test_ask_looks_at_no_claim(app: App, op: Op) -> None:
    company = await company_of(app, op, **{**CLAIMS, "secondFactor": "ask"})
    op.claims = {"amr": ["mfa"], "acr": "urn:company:two"}
    assert await company.is_asked()


@rule("SECOND-FACTOR-AT-PROVIDERS")
async def test_only_the_id_token_says_how_someone_authenticated(app: App, op: Op) -> None:
    """Userinfo is requested for the address, but its claims about authentication are ignored."""
    company = await company_of(app, op, **CLAIMS)
    op.only_in_userinfo = {"email", "email_verified"}
    op.claims = {"auth_time": None}
    says = {"amr": ["mfa"], "acr": "urn:company:two", "acrs": ["c1"], "auth_time": app.clock.now_ms() // 1000}
    op.userinfo = {**op.user, **says}
    assert await company.is_asked()
    assert op.count("userinfo") == 1
    check_success(await company.change(secondFactor="trust"))
    browser, _ = await company.sign_in()
    assert (await browser.me()).data["session"]["authenticatedAt"] is None


async def test_without_a_factor_and_a_policy_nothing_is_due(app: App, op: Op) -> None:
    company = await company_of(app, op, secondFactor="ask")
    await settle(app, company.client, secondFactor={"policy": "optional"})
    assert await company.amr() == ["provider"]


async def test_the_browser_goes_on_to_the_factor_and_then_to_its_end_with_a_cookie(app: App, op: Op) -> None:
    company = await company_of(app, op, secondFactor="ask")
    phone = await enrolled(company)
    browser, ended = await company.sign_in(returnTo=RETURN_TO)
    assert (ended.status, ended.headers["location"][: len(ASKED)]) == (303, ASKED)
    assert "session" not in browser.cookies
    visitor = Visitor(app, dict(browser.cookies))
    page = await visitor.submit(await visitor.get(ended.headers["location"]), FACTOR, otp=phone.code())
    assert (await visitor.get(page.location)).links() == {"Continue": RETURN_TO}
    session = (await app.me(cookie=visitor.cookies["session"])).data["session"]
    assert (session["amr"], session["method"]) == (["provider", "otp", "mfa"], "oidc")


async def test_an_app_gets_its_code_after_the_factor(app: App, op: Op) -> None:
    company = await company_of(app, op, secondFactor="ask")
    phone = await enrolled(company)
    browser, ended = await company.sign_in(returnTo=RETURN_TO, response="code")
    visitor = Visitor(app, dict(browser.cookies))
    page = await visitor.submit(await visitor.get(ended.headers["location"]), FACTOR, otp=phone.code())
    [address] = (await visitor.get(page.location)).links().values()
    assert address.startswith(f"{RETURN_TO}?code=")
    code = address.partition("code=")[2]
    data = check_success(await app.post("/api/client/auth/exchange", {"code": code}))
    me = await app.get("/api/client/auth/me", token=data["token"])
    assert me.data["session"]["amr"] == ["provider", "otp", "mfa"]


@rule("APP-CODES")
async def test_a_sign_in_with_a_factor_is_the_new_one_that_an_app_asked_for(app: App, op: Op) -> None:
    """A provider's form post doesn't send the form cookie, which the app's request is bound to."""
    company = await company_of(app, op, secondFactor="ask")
    phone = await enrolled(company)
    web, visitor = await relying(app, company.client), Visitor(app)
    page = await visitor.follow(await web.authorize(visitor, prompt="login"))
    [start] = [href for text, href in page.links().items() if "company" in text]
    browser = Browser(app, dict(visitor.cookies))
    started = await browser.send("GET", start)
    del browser.cookies["form"]
    op.claims = {"auth_time": app.clock.now_ms() // 1000 + 1}
    ended = await browser.send("GET", op.visit(started.headers["location"]))
    visitor.cookies |= browser.cookies
    page = await visitor.submit(await visitor.get(ended.headers["location"]), FACTOR, otp=phone.code())
    app.clock.ms += 1
    assert "code" in told(await visitor.follow(page))


async def test_a_provider_that_is_turned_off_in_the_meantime_ends_the_question(app: App, op: Op) -> None:
    company = await company_of(app, op, secondFactor="ask")
    phone = await enrolled(company)
    browser, ended = await company.sign_in(returnTo=RETURN_TO)
    visitor = Visitor(app, dict(browser.cookies))
    page = await visitor.get(ended.headers["location"])
    await act_on_provider(app, company.client, "company", "switch-off")
    page = await visitor.submit(page, FACTOR, otp=phone.code())
    assert page.heading == "This sign-in can't continue"
    assert "session" not in visitor.cookies


@rule("SECOND-FACTOR-AT-PROVIDERS")
async def test_a_trusted_browser_is_spared_the_question_and_gives_an_app_no_more(app: App, op: Op) -> None:
    company = await company_of(app, op, secondFactor="ask")
    phone = await enrolled(company)
    browser, ended = await company.sign_in(returnTo=RETURN_TO)
    visitor = Visitor(app, dict(browser.cookies))
    page = await visitor.get(ended.headers["location"])
    await visitor.submit(page, FACTOR, otp=phone.code(), trust="on")
    again = Browser(app, {"trust": visitor.cookies["trust"]})
    ended = await again.sign_in_oidc(op, "company", company.client, returnTo=RETURN_TO)
    assert ended.status == 302
    assert (await again.me()).data["session"]["amr"] == ["provider", "trusted"]
    visitor = Visitor(app, {name: again.cookies[name] for name in ("session", "form") if name in again.cookies})
    query = f"client={company.client}&response=code&codeChallenge={'c' * 43}&returnTo=com.acme.app:/in"
    await settle(app, company.client, returnAddresses=["com.acme.app:/in"], **REQUIRED)
    page = await visitor.get(f"/sign-in?{query}")
    page = await visitor.submit(page, "/sign-in/done")  # "Continue as …", without trusting the browser
    page = await visitor.follow(page)
    anew = Browser(app, dict(visitor.cookies))
    [start] = [href for text, href in page.links().items() if "company" in text]
    started = await anew.send("GET", start)
    ended = await anew.send("GET", op.visit(started.headers["location"]))
    assert ended.headers["location"].startswith(ASKED)


@matrix(("ago", "is_proof"), [(5, True), (0.25, True), (3600, False), (None, False)])
async def test_accepted_claims_prove_the_moment_that_the_provider_says(
    app: App, op: Op, ago: float | None, is_proof: bool
) -> None:
    company = await company_of(app, op, **CLAIMS)
    await enrolled(company)
    at = None if ago is None else app.clock.now_ms() / 1000 - ago
    op.claims = {"amr": ["mfa"], "auth_time": at}
    browser, _ = await company.sign_in()
    session = (await browser.me()).data["session"]
    assert session["amr"] == ["provider", "mfa"]
    assert (session["authenticatedAt"] is None) == (ago is None)
    acted = await browser.send(*GUARDED)
    if is_proof:
        check_refusal(acted, 404, "NOT_FOUND")
    else:
        check_refusal(acted, 403, "REAUTHENTICATION_REQUIRED")


@matrix(("amr", "proved"), [(["mfa"], ["provider", "mfa"]), (["pwd"], ["provider"])])
async def test_a_session_is_proved_again_by_the_claims_that_arrive(
    app: App, op: Op, amr: list[str], proved: list[str]
) -> None:
    company = await company_of(app, op, **CLAIMS)
    await enrolled(company)
    op.claims = {"amr": ["mfa"]}
    browser, _ = await company.sign_in()
    app.clock.advance(3600)
    begun = check_success(await browser.send("POST", AT_PROVIDER, body={"returnTo": RETURN_TO}))
    op.claims = {"amr": amr}
    assert (await browser.send("GET", op.visit(begun["location"]))).status == 302
    assert (await browser.me()).data["session"]["amr"] == proved
    acted = await browser.send(*GUARDED)
    assert acted.code == ("NOT_FOUND" if "mfa" in proved else "REAUTHENTICATION_REQUIRED")


async def test_what_would_be_accepted_is_asked_for(app: App, op: Op) -> None:
    company = await company_of(app, op, **CLAIMS)
    started = await Browser(app).start("oidc", client=company.client)
    asked = query_of(started)
    assert asked["acr_values"] == "urn:company:two c1"
    assert json.loads(asked["claims"]) == {"id_token": {"amr": None, "auth_time": {"essential": True}}}
    for given in ({"secondFactor": "ask"}, {"secondFactor": "trust"}, {"secondFactor": "claims", "amr": [], "acr": []}):
        check_success(await company.change(**given))
        assert not {"acr_values", "claims"} & query_of(await Browser(app).start("oidc", client=company.client)).keys()


async def test_microsoft_is_asked_for_an_authentication_context(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(secondFactor="claims", acr=["c1", "c2"])
    asked = query_of(await Browser(setup.app).start("ms-dynamics", client=provider.client))
    assert "acr_values" not in asked
    assert json.loads(asked["claims"])["id_token"]["acrs"] == {"essential": True, "value": "c1"}


@matrix(
    ("members", "field"),
    [
        ({"secondFactor": "maybe"}, "secondFactor"),
        ({"secondFactor": {"policy": "claims"}}, "secondFactor"),
        ({"amr": "mfa"}, "amr"),
        ({"amr": ["two words"]}, "amr[0]"),
        ({"acr": [""]}, "acr[0]"),
        ({"acr": [f"level-{number}" for number in range(21)]}, "acr"),
    ],
)
async def test_a_wrong_rule_is_rejected(app: App, op: Op, members: dict[str, Any], field: str) -> None:
    company = await company_of(app, op)
    refused = check_refusal(await company.change(**members), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in refused["details"]] == [field]


async def test_tokens_that_open_no_session_take_no_rule(setup: MicrosoftSetup) -> None:
    """The rule doesn't apply to Power Apps, because an Entra ID token's caller has no session."""
    provider = await setup.entra()
    refused = check_refusal(await provider.send("PATCH", "", {"secondFactor": "ask"}), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in refused["details"]] == ["secondFactor"]
