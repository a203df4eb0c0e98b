"""*Start test sign-in* lets a manager sign in at the provider, and shows only what would have happened."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.http.pages.console.provider_wizard import Wizard, facts, flow_cookies, groups, metadata_of, wizard
from tests.support.accounts import trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.oidc_socket import Answer
from tests.support.rows import TABLES, rows
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import sign_ins
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.one_store, pytest.mark.still]

_numbers = itertools.count(1)
#: Rows that every request, event, or heartbeat of a node writes.
_OTHERWISE = {"announcements", "audit_events", "audit_heads", "nodes", "sign_in_flows"}
RULES = {"createUsers": "on", "everyone__Viewer": "on", **groups(writers="Author", staff="Author")}


async def made(app: App, op: Op, **rules: str) -> Wizard:
    new = await wizard(app, f"try-{next(_numbers)}")
    await new.make_oidc(op)
    assert (await new.save("rules", **(rules or RULES))).status == 303
    return new


async def made_saml(app: App, idp: Idp) -> Wizard:
    new = await wizard(app, f"try-{next(_numbers)}")
    assert (await new.make("saml", saml__metadata=metadata_of(idp))).status == 303
    assert (await new.save("rules", **RULES)).status == 303
    return new


async def everything(app: App, *, but: str = "") -> dict[str, list[Any]]:
    return {table: await rows(app, table) for table in TABLES if table not in {*_OTHERWISE, but}}


async def test_it_shows_who_the_person_would_be_and_all_that_arrived(app: App, op: Op) -> None:
    new = await made(app, op)
    op.claims |= {"groups": ["staff"], "amr": ["pwd", "mfa"], "acr": "urn:example:2", "name": "Ada Lovelace"}
    page = await new.try_oidc(op)
    assert page.tree.xpath("string(//h2[@id='tried'])") == "Test sign-in succeeded"
    said = facts(page)
    assert (said["Roles"], said["Groups"], said["Name"]) == ("Author, Viewer", "staff", "Ada Lovelace")
    assert said["Email"] == "ada@acme.example Verified"
    assert (said["Methods (amr)"], said["Level (acr)"]) == ("pwd, mfa", "urn:example:2")
    assert said["Sign-in time (auth_time)"].startswith("2027-01-15")
    assert "this user gets a new account" in page.text
    claims = {row.findtext(".//code"): row.findtext("td") for row in page.tree.xpath("//table//tr[td]")}
    assert claims["email"] == "ada@acme.example"
    assert {"nonce", "at_hash"}.isdisjoint(claims)


@matrix(
    ("rules", "amr", "words"),
    [
        ({}, [], "Checked by the provider"),
        ({"secondFactor": "claims", "amr": "mfa"}, ["pwd", "mfa"], "Accepted as two factors"),
        ({"secondFactor": "claims", "amr": "mfa"}, ["pwd"], "Checked here, by your security policy"),
        ({"secondFactor": "ask"}, ["mfa"], "Checked here, by your security policy"),
    ],
)
async def test_who_answers_for_the_second_factor(
    app: App, op: Op, rules: dict[str, str], amr: list[str], words: str
) -> None:
    new = await made(app, op, **RULES, **rules)
    op.claims["amr"] = amr
    assert facts(await new.try_oidc(op))["Second factor"] == words


async def test_it_leaves_nothing_but_its_own_row_and_an_event(app: App, op: Op) -> None:
    new = await made(app, op)
    op.claims["groups"] = ["staff"]
    before, flows = await everything(app), await rows(app, "sign_in_flows", "key")
    tried, signed_in = sign_ins(app, "oidc", "tried"), sign_ins(app, "oidc", "ok")
    page = await new.try_oidc(op)
    assert "Test sign-in succeeded" in page.text
    assert await everything(app) == before
    [(key,)] = set(await rows(app, "sign_in_flows", "key")) - set(flows)
    assert await rows(app, "sign_in_flows", "response", "browser", key=key) == [("try", "")]
    event = (await trail(app, "acme"))[-1]
    assert (event.event, event.actor) == ("provider_tried", f"user:{app.ids['admin@acme.example']}")
    assert event.members == {"name": new.name, "works": True, "why": ""}
    assert (sign_ins(app, "oidc", "tried"), sign_ins(app, "oidc", "ok")) == (tried + 1, signed_in)
    assert {name.partition("-")[0] for name in new.visitor.cookies} == {"form", "session", "sso"}


async def test_saml_leaves_nothing_but_its_own_row_either(app: App) -> None:
    idp = Idp(issuer="https://try.example/saml")
    new = await made_saml(app, idp)
    before = await everything(app, but="throttles")  # responses are counted by address before they are parsed
    page = await new.try_saml(idp, attributes={"email": "grace@acme.example", "groups": ["writers"]})
    assert "Test sign-in succeeded" in page.text
    said = facts(page)
    assert (said["Roles"], said["Groups"]) == ("Author, Viewer", "writers")
    assert said["Level (acr)"] == "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    assert said["Sign-in time (auth_time)"]
    assert await everything(app, but="throttles") == before


async def test_who_has_an_account_would_be_signed_in_to_it(app: App, op: Op) -> None:
    new = await made(app, op)
    op.user |= {"sub": "known", "email": "known@elsewhere.example"}
    op.claims["groups"] = ["staff"]
    assert (await new.act("switch-on", await new.step("live"))).status == 303
    browser = Visitor(app)
    started = await browser.get(f"/api/client/auth/oidc?client=acme&provider={new.name}")
    browser.cookies |= flow_cookies(started.reply)
    back = op.visit(started.location).removeprefix(app.public_url.rstrip("/"))
    assert (await browser.get(back)).status == 302
    page = await new.try_oidc(op)
    assert "this user signs in to the account with this address" in page.text


async def test_why_a_person_cannot_sign_in(app: App, op: Op) -> None:
    new = await made(app, op, createUsers="on", everyone__Viewer="", **groups(writers="Author"))
    op.claims["groups"] = ["Writers"]
    page = await new.try_oidc(op)
    assert "this user can't sign in" in page.text
    assert "no group grants a role; groups: 'Writers'" in page.text
    assert facts(page)["Roles"] == "None"
    assert facts(page)["Groups"] == "Writers"
    assert (await trail(app, "acme"))[-1].members["works"] is False


@matrix(
    ("change", "words"),
    [
        ({"token_error": "invalid_client"}, "invalid_client"),
        ({"redirect": {"iss": "https://mallory.example"}}, "the response arrived at a different redirect URI"),
        ({"claims": {"iss": "https://mallory.example"}}, "iss"),
        ({"claims": {"iat": 1_800_000_900}}, "iat"),
        ({"claims": {"exp": 1_700_000_000}}, "exp"),
        ({"error": "access_denied"}, "redirect: access_denied"),
    ],
)
async def test_errors_are_named(app: App, op: Op, change: dict[str, Any], words: str) -> None:
    new = await made(app, op)
    for name, value in change.items():
        setattr(op, name, value)
    page = await new.try_oidc(op)
    assert page.status == 200
    assert "Test sign-in failed" in page.text
    assert words in page.tree.xpath("string(//*[contains(@class, 'notice-bad')])")


@matrix(
    ("members", "words"),
    [
        ({"now_ms": 1_800_000_600_000}, "future"),
        ({"now_ms": 1_799_990_000_000}, "expired"),
        ({}, "no pinned certificate"),
    ],
)
async def test_clock_and_certificate_of_saml_are_named(app: App, members: dict[str, Any], words: str) -> None:
    name = f"https://wrong-{next(_numbers)}.example/saml"
    idp, other = Idp(issuer=name), Idp(issuer=name, number=1)
    new = await made_saml(app, idp)
    page = await new.try_saml(idp if members else other, **members)
    assert page.status == 200, page.reply.text
    assert "Test sign-in failed" in page.text
    assert words in page.tree.xpath("string(//*[contains(@class, 'notice-bad')])")


async def test_another_browser_cannot_end_it(app: App, op: Op) -> None:
    new = await made(app, op)
    back = op.visit(await new.begin()).removeprefix(app.public_url.rstrip("/"))
    stranger = await Visitor(app).signed_in("user-admin@acme.example")
    assert (await stranger.get(back)).status == 401
    assert "Test sign-in" in (await new.step("live")).text
    assert op.count("token") == 0


async def test_another_session_of_the_same_browser_cannot_end_it(app: App, op: Op) -> None:
    new = await made(app, op)
    back = op.visit(await new.begin()).removeprefix(app.public_url.rstrip("/"))
    await new.visitor.signed_in("user-admin@acme.example")
    assert (await new.visitor.get(back)).status == 401
    assert op.count("token") == 0
    assert "Test sign-in" in (await new.step("live")).text


async def test_no_one_ends_it_once_the_session_has_ended(app: App, op: Op) -> None:
    new = await made(app, op)
    back = op.visit(await new.begin()).removeprefix(app.public_url.rstrip("/"))
    page = await new.visitor.get("/sign-out")
    kept = {name: value for name, value in new.visitor.cookies.items() if name.startswith("sso-")}
    await new.visitor.submit(page, "/sign-out")
    new.visitor.cookies = kept
    assert (await new.visitor.get(back)).status == 401
    assert op.count("token") == 0


async def test_that_session_alone_sees_it_and_for_ten_minutes(app: App, op: Op) -> None:
    new = await made(app, op)
    op.claims["groups"] = ["staff"]
    assert "Test sign-in succeeded" in (await new.try_oidc(op)).text
    for email in ("admin@acme.example", "user-admin@acme.example"):
        other = Wizard(await Visitor(app).signed_in(email), new.name)
        assert "Test sign-in succeeded" not in (await other.step("live")).text
    assert "Test sign-in succeeded" in (await new.step("live")).text
    app.clock.advance(601)
    assert "Test sign-in succeeded" not in (await new.step("live")).text


async def test_an_answer_counts_once(app: App, op: Op) -> None:
    new = await made(app, op)
    address = op.visit(await new.begin())
    await new.come_back(address)
    assert (await new.visitor.get(address.removeprefix(app.public_url.rstrip("/")))).status == 401


async def test_a_try_opens_no_session_even_where_the_row_is_shown_to_the_usual_callback(app: App, op: Op) -> None:
    """The browser keeps its existing session."""
    new = await made(app, op)
    session = new.visitor.cookies["session"]
    await new.try_oidc(op)
    assert new.visitor.cookies["session"] == session
    assert await rows(app, "users", "id", email="ada@acme.example") == []


@rule("NOTICES")
@matrix(
    ("site", "referer"),
    [
        ("cross-site", ""), ("same-site", ""), ("cross-site", "OURS/console"), ("", ""), ("", "null"), ("", "OURS"),
        ("", "https://mallory.example/console"), ("", "OURS.mallory.example/console"), ("", "OURS@mallory.example/"),
    ],
)  # fmt: skip
async def test_a_link_of_another_site_or_of_none_shows_the_button(app: App, op: Op, site: str, referer: str) -> None:
    new = await made(app, op)
    ours = app.public_url.rstrip("/")
    page = await new.visitor.get(f"{new.path}/try", Sec_Fetch_Site=site, Referer=referer.replace("OURS", ours))
    assert (page.status, page.location) == (302, f"{new.path}?step=live")
    assert flow_cookies(page.reply) == {}
    assert (await new.visitor.follow(page)).links()["Start test sign-in"] == f"{new.path}/try"


async def test_the_button_works_in_a_browser_that_does_not_say_from_where_it_came(app: App, op: Op) -> None:
    """Browsers send ``Sec-Fetch-Site`` only to trustworthy addresses, and older ones never do."""
    new = await made(app, op)
    page = await new.visitor.get(f"{new.path}/try", Referer=f"{app.public_url.rstrip('/')}{new.path}?step=live")
    assert page.status == 302
    assert flow_cookies(page.reply)


async def test_a_provider_that_cannot_be_reached_is_said_immediately(app: App, op: Op) -> None:
    new = await made(app, op)
    op.announced["issuer"] = "https://mallory.example"
    page = await new.visitor.get(f"{new.path}/try", Sec_Fetch_Site="same-origin")
    assert page.status == 200
    assert "the issuer is https://mallory.example" in page.text


async def test_a_provider_that_cannot_be_reached_is_not_called_well(app: App, op: Op) -> None:
    new = await made(app, op)
    op.answers["discovery"] = Answer.json({}, 503)
    tried = await new.visitor.get(f"{new.path}/try", Sec_Fetch_Site="same-origin")
    assert "Test sign-in failed" in tried.text
    event = (await trail(app, "acme"))[-1]
    assert (event.event, event.members["works"]) == ("provider_tried", False)
    assert event.members["why"].startswith("discovery: ")
    other = Wizard(await Visitor(app).signed_in("admin@acme.example"), new.name)
    live = await other.step("live")
    assert "The last test sign-in failed" in live.text
    assert event.members["why"] in live.text
    manager = Wizard(await Visitor(app).signed_in("user-admin@acme.example"), new.name)
    assert "discovery: " not in (await manager.step("live")).text
    assert (await other.act("switch-on", live)).status == 303
    person = await Visitor(app).get(f"/api/client/auth/oidc?client=acme&provider={new.name}")
    assert person.status == 502
    event = (await trail(app, "acme"))[-1]
    assert (event.event, event.members["method"]) == ("sign_in_failed", "oidc")
    assert event.members["why"].startswith("discovery: ")
    page = await new.visitor.get("/console")
    assert "No problems found" not in page.text
    assert "Sign-ins with " in page.text
    del op.answers["discovery"]
    browser = Visitor(app)
    op.claims["groups"] = ["staff"]
    started = await browser.get(f"/api/client/auth/oidc?client=acme&provider={new.name}")
    browser.cookies |= flow_cookies(started.reply)
    await browser.get(op.visit(started.location).removeprefix(app.public_url.rstrip("/")))
    assert "Sign-ins with " not in (await new.visitor.get("/console")).text


async def test_before_any_try_it_says_so(app: App, op: Op) -> None:
    new = await made(app, op)
    assert "Nobody has tested it recently" in (await new.step("live")).text
