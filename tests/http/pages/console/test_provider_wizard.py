"""A provider is set up with pages only, and they store the same as the API."""

from __future__ import annotations

import itertools

import pytest

from tests.http.pages.console.provider_wizard import NEW, Wizard, flow_cookies, groups, metadata_of, wizard
from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.domain_claims import vouch_for
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.oidc_socket import Answer
from tests.support.processes import free_port
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import callback, entity_id
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

_numbers = itertools.count(1)
PRESETS = {
    "okta-oidc": "callback",
    "okta-saml": "acs",
    "entra": "callback",
    "google": "callback",
    "keycloak": "callback",
    "oidc": "callback",
    "saml": "acs",
    "dynamics": "callback",
    "power-apps": "",
}


def name() -> str:
    return f"wizard-{next(_numbers)}"


async def stored(app: App, provider: str) -> dict[str, object]:
    """The provider, as the API returns it."""
    data = (await app.get(f"/api/client/providers/{provider}", token=await token(app))).data
    return {
        key: data[key] for key in data if key not in ("id", "name", "createdAt", "changedAt", "enabled", "startUrl")
    }


async def token(app: App) -> str:
    return str((await app.sign_in("admin@acme.example")).data["token"])


async def test_all_kinds_can_be_chosen(app: App) -> None:
    page = await (await Visitor(app).signed_in("admin@acme.example")).get(NEW)
    chosen = {address.partition("preset=")[2] for address in page.links().values() if "preset=" in address}
    assert chosen == set(PRESETS)


@matrix("preset", PRESETS)
async def test_our_values_are_known_before_it_is_made(app: App, preset: str) -> None:
    new = await wizard(app, name())
    page = await new.visitor.get(f"{NEW}?preset={preset}&name={new.name}")
    assert page.status == 200
    values = page.tree.xpath("//code[starts-with(@id, 'our-')]/text()")
    acs = f"{app.public_url.rstrip('/')}/api/client/auth/okta-saml"
    if PRESETS[preset] == "acs":
        assert {acs, entity_id("acme")} <= set(values)
    elif preset == "dynamics":
        assert values == [f"{app.public_url.rstrip('/')}/api/client/auth/ms-dynamics/callback"]
    else:
        assert values == ([callback("acme", new.name)] if PRESETS[preset] else [])
    assert page.tree.xpath("//button[@data-copies]/@data-copies") == [f"our-{one}" for one in _ids(page.tree)]
    assert (await app.get(f"/api/client/providers/{new.name}", token=await token(app))).status == 404
    assert page.form(NEW).fields.items() >= {"preset": preset, "name": new.name}.items()


def _ids(tree: object) -> list[str]:
    return [str(one).removeprefix("our-") for one in tree.xpath("//code[starts-with(@id, 'our-')]/@id")]  # type: ignore[attr-defined]


@matrix("preset", PRESETS)
async def test_the_name_that_people_see_begins_with_one_that_fits(app: App, preset: str) -> None:
    new = await wizard(app, name())
    page = await new.visitor.get(f"{NEW}?preset={preset}&name={new.name}")
    shown = str(page.tree.xpath("string(//input[@name='displayName']/@value)"))
    assert shown
    assert "provider" not in shown
    assert "Another provider" not in page.tree.xpath("//input/@value")


async def test_from_nothing_to_live_in_three_steps(app: App, op: Op) -> None:
    new = await wizard(app, name())
    theirs = await new.visitor.get(f"{NEW}?preset=okta-oidc&name={new.name}")
    op.registered = set(theirs.tree.xpath("//code/text()"))
    typed = {"oidc.issuer": op.issuer, "oidc.clientId": op.client_id, "oidc.clientSecret": op.client_secret or ""}
    made = await new.visitor.submit(theirs, NEW, None, **typed)
    rules = await new.visitor.follow(made)
    assert rules.heading == "Okta: Access"
    typed = {"createUsers": "on", "everyone.Viewer": "on", **groups(staff="Author")}
    saved = await new.visitor.submit(rules, f"{new.path}/rules", None, **typed)
    live = await new.visitor.follow(saved)
    assert live.heading == "Okta: Test and turn on"
    tested = await new.act("test", live)
    assert "No problems found" in tested.text
    op.claims["groups"] = ["staff"]
    tried = await new.try_oidc(op)
    assert "Test sign-in succeeded" in tried.text
    browser = Visitor(app)
    start = f"/api/client/auth/oidc?client=acme&provider={new.name}"
    assert (await browser.get(start)).status == 401  # nobody can sign in before the last step
    overview = await new.visitor.follow(await new.act("switch-on", tried))
    assert "On" in overview.text
    started = await browser.get(start)
    browser.cookies |= flow_cookies(started.reply)
    await browser.get(op.visit(started.location).removeprefix(app.public_url.rstrip("/")))
    assert "session" in browser.cookies


async def test_it_stores_what_the_api_stores(app: App, op: Op) -> None:
    first = await wizard(app, name())
    await first.make_oidc(op, displayName="Company", oidc__groupClaim="roles", oidc__audiences="one\n two \n")
    await first.save(
        "rules", createUsers="on", everyone__Operator="on", everyone__Viewer="", groupSeparator=";",
        returnAddresses="https://app.example/in\n", secondFactor="claims", amr="mfa\n hwk ", acr="urn:company:two\n",
        **groups(writers="Author", staff="Author, Viewer"),
    )  # fmt: skip
    body = {
        "name": name(), "displayName": "Company", "enabled": False, "createUsers": True,
        "groupRoles": [{"group": "writers", "roles": ["Author"]}, {"group": "staff", "roles": ["Author", "Viewer"]}],
        "defaultRoles": ["Operator"], "groupSeparator": ";", "returnAddresses": ["https://app.example/in"],
        "secondFactor": "claims", "amr": ["mfa", "hwk"], "acr": ["urn:company:two"],
        "oidc": {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret, "groupClaim": "roles",
                 "audiences": ["one", "two"]},
    }  # fmt: skip
    reply = await app.post("/api/client/providers", body, token=await token(app))
    assert reply.status == 201, reply.text
    assert reply.data["enabled"] is False
    one, other = await stored(app, first.name), await stored(app, body["name"])  # type: ignore[arg-type]
    assert {**one, "serviceProvider": 0} == {**other, "serviceProvider": 0}


async def test_what_is_saved_again_unchanged_stays(app: App) -> None:
    idp = Idp(issuer="https://again.example/saml")
    new = await wizard(app, name())
    body = {
        "name": new.name, "createUsers": True, "defaultRoles": ["Viewer"],
        "groupRoles": [{"group": "a", "roles": ["Author"]}, {"group": "b", "roles": ["Author", "Viewer"]}],
        "domains": ["not-proved.example"], "returnAddresses": ["https://app.example/in"],
        "secondFactor": "claims", "amr": ["mfa"], "acr": ["a", "b"], "stepUpWithoutTime": True,
        "saml": {"entityId": idp.issuer, "certificates": [idp.certificate_pem], "postUrl": "https://idp.example/post",
                 "binding": "post", "allowIdpInitiated": False, "attributes": {"subject": "id", "groups": "memberOf"}},
    }  # fmt: skip
    assert (await app.post("/api/client/providers", body, token=await token(app))).status == 201
    before = await stored(app, new.name)
    for step in ("theirs", "rules"):
        assert (await new.save(step)).status == 303
        assert await stored(app, new.name) == before


async def test_a_secret_is_never_shown_again_and_stays_when_it_is_left_empty(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)
    page = await new.step("theirs")
    [field] = page.tree.xpath("//input[@name='oidc.clientSecret']")
    assert (field.get("type"), field.get("value")) == ("password", None)
    assert "A secret is saved" in page.text
    assert (await new.save("theirs", displayName="Other")).status == 303
    assert (await stored(app, new.name))["hasClientSecret"] is True
    assert ("ok", "The provider knows this client and accepts its authentication.") in await new.findings()


async def test_a_rejected_post_shows_what_was_typed_but_no_secret(app: App) -> None:
    new = await wizard(app, name())
    page = await new.make("oidc", oidc__issuer="ftp://x.example", oidc__clientId="mine", oidc__clientSecret="hidden-1")
    assert page.status == 400
    assert page.title.startswith("Error:")
    [link] = page.tree.xpath("//*[@role='alert']//a/@href")
    assert link == "#oidc.issuer"
    [field] = page.tree.xpath("//input[@name='oidc.issuer']")
    assert (field.get("value"), field.get("aria-invalid")) == ("ftp://x.example", "true")
    assert page.tree.xpath("string(//input[@name='oidc.clientId']/@value)") == "mine"
    assert "hidden-1" not in page.reply.text
    assert page.heading == "Another provider: Provider settings"


async def test_what_is_left_empty_is_required(app: App) -> None:
    page = await (await wizard(app, name())).make("oidc", oidc__clientId="mine")
    assert page.problems == ["Enter a value"]


@matrix("preset", ["oidc", "keycloak", "dynamics"])
async def test_an_empty_secret_is_rejected_at_its_step(app: App, op: Op, preset: str) -> None:
    new = await wizard(app, name())
    typed = {"oidc__issuer": op.issuer, "oidc__clientId": op.client_id}
    if preset == "dynamics":
        guid = "6f7b2d1e-1f0a-4c3e-9a51-0c2f4f7d9b10"
        typed = {
            "dynamics__directory": guid,
            "dynamics__clientId": guid,
            "dynamics__organization": "https://a.crm.dynamics.com",
        }
    page = await new.make(preset, **typed)
    field = "dynamics.clientSecret" if preset == "dynamics" else "oidc.clientSecret"
    assert (page.status, page.problems) == (400, ["Enter the client secret"])
    assert page.tree.xpath("//*[@role='alert']//a/@href") == [f"#{field}"]
    assert (await app.get(f"/api/client/providers/{new.name}", token=await token(app))).status == 404
    if preset != "dynamics":
        assert (await new.make(preset, **typed, oidc__clientAuthentication="none")).status == 303


async def test_a_wrong_issuer_is_rejected_at_its_step(app: App, op: Op) -> None:
    """A provider that isn't reachable yet can still be saved."""
    new = await wizard(app, name())
    typed = {"oidc__clientId": op.client_id, "oidc__clientSecret": "secret"}
    for issuer, words in (
        (f"{op.issuer}/", "They differ only in the slash at the end"),
        (f"{op.base}/realm", "metadata can't be fetched"),
        ("https://nobody.invalid", "metadata can't be fetched"),
    ):
        page = await new.make("oidc", oidc__issuer=issuer, **typed)
        assert (page.status, page.tree.xpath("//*[@role='alert']//a/@href")) == (400, ["#oidc.issuer"])
        assert words in page.problems[0]
        assert page.form(NEW).fields["oidc.issuer"] == issuer
    assert (await new.make("oidc", oidc__issuer="https://nobody.invalid", oidc__unchecked="on", **typed)).status == 303
    page = await new.save("theirs", oidc__issuer=f"{op.base}/realm", oidc__clientSecret="secret")
    assert (page.status, page.tree.xpath("//*[@role='alert']//a/@href")) == (400, ["#oidc.issuer"])
    assert (await new.save("theirs", displayName="Still away")).status == 303, "an issuer that stays is not asked"
    assert (await new.save("theirs", oidc__issuer=op.issuer, oidc__clientSecret="secret")).status == 303


def states(page: Page) -> dict[str, str]:
    """The completed and failed steps of the wizard, as screen readers announce them."""
    said = [item.text_content().strip().partition(", ") for item in page.tree.xpath("//nav[@aria-label='Steps']//li")]
    return {title: state for title, _, state in said if state}


async def test_the_steps_show_what_is_done(app: App, op: Op) -> None:
    new = await wizard(app, name())
    assert states(await new.visitor.get(f"{NEW}?preset=oidc&name={new.name}")) == {}
    await new.make_oidc(op, oidc__clientSecret="not the secret")
    begun = {"Provider settings": "done"}
    assert states(await new.step()) == begun
    await new.save("rules", createUsers="on", everyone__Viewer="on")
    begun |= {"Access": "done"}
    assert states(await new.step()) == begun
    app.clock.advance(1)
    await new.findings()
    assert states(await new.step("rules")) == begun | {"Test and turn on": "failed"}
    app.clock.advance(1)
    await new.save("theirs", oidc__clientSecret=op.client_secret or "")
    assert states(await new.step()) == begun, "the test was one of other values"
    app.clock.advance(1)
    op.registered = {str(one) for one in (await new.step("theirs")).tree.xpath("//code/text()")}
    await new.findings()
    op.claims["email"] = f"{new.name}@acme.example"
    assert "Test sign-in succeeded" in (tried := await new.try_oidc(op)).text, tried.text
    assert states(await new.step()) == begun
    await new.act("switch-on", await new.step("live"))
    assert states(await new.step()) == begun | {"Test and turn on": "done"}


async def test_groups_are_a_table_to_add_to_change_and_remove_from(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)

    async def given() -> dict[str, list[str]]:
        return {one["group"]: one["roles"] for one in (await stored(app, new.name))["groupRoles"]}  # type: ignore[attr-defined]

    many = {f"group-{number}": "Viewer" for number in range(3)}
    page = await new.save("rules", more="on", everyone__Operator="on", everyone__Viewer="", **groups(**many))
    assert page.location == f"{new.path}?step=rules"
    assert (await new.save("rules", **groups(**{"a & b": "User Admin, Author"}))).status == 303
    everyone = await given()
    assert everyone == {**{name: ["Viewer"] for name in many}, "a & b": ["User Admin", "Author"]}
    page = await new.step("rules")
    rows = [row.text_content().split() for row in page.tree.xpath("//fieldset[@id='groupRoles']//tbody/tr")]
    assert ["a", "&", "b", "Author", "User", "Admin", "Edit", "Remove"] in rows
    page = await new.visitor.get(page.tree.xpath("//a[@aria-label='Edit a & b']/@href")[0].partition("#")[0])
    fields = page.form(f"{new.path}/rules").fields
    assert groups(**{"a & b": "User Admin, Author"}).items() <= fields.items()
    del fields["group0.User-Admin"]
    assert (await new.visitor.post(f"{new.path}/rules", fields)).status == 303
    assert await given() == everyone | {"a & b": ["Author"]}
    page = await new.save("rules", remove="group-1", amr="mfa", secondFactor="claims")
    assert page.location == f"{new.path}?step=rules"
    del everyone["group-1"]
    assert await given() == everyone | {"a & b": ["Author"]}
    assert (await stored(app, new.name))["amr"] == ["mfa"], "what else was entered is saved too"
    assert (await stored(app, new.name))["defaultRoles"] == ["Operator"]
    for wrong, problem in (
        ({"group0": "no role"}, "Choose a role for the group no role"),
        ({"group1.Viewer": "on"}, "Enter the group for these roles"),
    ):
        page = await new.save("rules", **wrong)
        assert (page.status, page.problems) == (400, [problem])
        assert page.tree.xpath("//*[@role='alert']//a/@href") == [f"#{next(iter(wrong))[:6]}"]
    page, form = await new.step("rules"), "//form[@action=$path]"
    first, *_ = page.tree.xpath(f"{form}//button | {form}//input[@type='submit']", path=f"{new.path}/rules")
    assert first.get("name") is None, "Enter in a field presses the first button"


async def test_metadata_is_fetched_or_pasted_and_fills_the_rest(app: App, op: Op) -> None:
    idp = Idp(issuer=f"https://{name()}.example/saml")
    pasted, fetched = await wizard(app, name()), await wizard(app, name())
    assert (await pasted.make("saml", saml__metadata=metadata_of(idp))).status == 303
    page = await pasted.step("theirs")
    assert page.tree.xpath("string(//input[@name='saml.entityId']/@value)") == idp.issuer
    assert page.tree.xpath("string(//input[@name='saml.redirectUrl']/@value)") == "https://idp.example/sso"
    assert "CN=idp.example" in page.text
    other = Idp(issuer=f"https://{name()}.example/saml")
    op.answers["unknown"] = Answer(200, {"Content-Type": "text/xml"}, metadata_of(other).encode())
    assert (await fetched.make("okta-saml", saml__metadataUrl=f"{op.base}/metadata")).status == 303
    assert (await stored(app, fetched.name))["saml"]["entityId"] == other.issuer  # type: ignore[index]


@matrix(
    ("answer", "words"),
    [
        (Answer(404, {}, b"no"), "returns status 404"),
        (Answer(302, {"Location": "/elsewhere"}, b""), "can't be fetched"),
        (Answer(200, {}, b"<html></html>"), ""),
        (Answer(200, {}, b"\xff\xfe"), "isn't UTF-8"),
    ],
)
async def test_metadata_that_is_none_is_reported_beside_its_field(app: App, op: Op, answer: Answer, words: str) -> None:
    op.answers["unknown"] = answer
    page = await (await wizard(app, name())).make("saml", saml__metadataUrl=f"{op.base}/metadata")
    assert page.status == 400
    assert page.tree.xpath("//*[@role='alert']//a/@href")[0].startswith("#saml.metadata")
    assert words in page.problems[0]


async def test_a_user_admin_fetches_metadata_from_the_public_internet_alone(app: App, op: Op) -> None:
    """Otherwise, the form could scan the operator's network."""
    op.answers["unknown"] = Answer(200, {"Content-Type": "text/xml"}, metadata_of(Idp()).encode())
    said = set()
    for base in (op.base, f"http://127.0.0.1:{free_port()}"):
        new = await wizard(app, name(), "user-admin@acme.example")
        page = await new.make("saml", saml__metadataUrl=f"{base}/metadata")
        said |= {problem.replace(base.removeprefix("http://"), "HOST") for problem in page.problems}
    assert said == {"HOST has no public address. Ask an Admin to fetch it, or paste the document instead"}
    assert op.asked == []


async def test_proved_domains_alone_are_offered_and_what_others_must_not_do_is_said(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)
    page = await new.step("rules")
    assert "You have no verified domain" in page.text or "acme" in page.text
    await vouch_for(app, "acme", "acme-proved.example")
    body = {"domain": "acme-pending.example"}
    assert (await app.post("/api/client/domains", body, token=await token(app))).status == 201
    page = await new.step("rules")
    offered = page.tree.xpath("//fieldset[@id='domains']//input/@value")
    assert "acme-proved.example" in offered
    assert "acme-pending.example" not in offered
    [field] = page.tree.xpath("//fieldset[@id='domains']//input[@value='acme-proved.example']/@name")
    assert (await new.save("rules", **{str(field): "acme-proved.example"})).status == 303
    change = {"domains": ["acme-proved.example", "acme-pending.example"]}
    assert (await app.send("PATCH", f"/api/client/providers/{new.name}", change, token=await token(app))).status == 200
    page = await new.step("rules")
    assert "Not verified. Users with this domain aren't sent here" in page.text
    assert (await new.save("rules")).status == 303
    assert (await stored(app, new.name))["domains"] == change["domains"]


async def test_who_gets_in_begins_with_the_own_domains_that_no_other_provider_has(app: App, op: Op) -> None:
    """A client without its own domain doesn't create accounts automatically. Saved values stay."""
    client = await new_client(app)
    _, admin = await new_user(app, client, roles=["Admin"], password=PASSWORD)
    new, ticked = await wizard(app, name(), admin), "//input[@checked]/@name"
    await new.make_oidc(op)
    assert (await new.step("rules")).tree.xpath(ticked) == ["everyone.Viewer"]
    await vouch_for(app, client, own := f"{new.name}.example")
    assert (await new.step("rules")).tree.xpath(ticked) == ["domain0", "createUsers", "everyone.Viewer"]
    assert (await new.save("rules", createUsers="", everyone__Viewer="")).status == 303
    assert (await new.step("rules")).form(f"{new.path}/rules").fields["domain0"] == own
    assert (await new.step("rules")).tree.xpath(ticked) == ["domain0"]
    other = await wizard(app, name(), admin)
    await other.make_oidc(op)
    assert (await other.step("rules")).tree.xpath(ticked) == ["everyone.Viewer"]
    await other.act("switch-on", await other.step("live"))
    assert (await other.step("rules")).tree.xpath(ticked) == [], "a provider that is on shows only what is saved"


@matrix("claimed", [True, False])
async def test_a_domain_that_is_not_offered_is_rejected_beside_the_domains(app: App, op: Op, claimed: bool) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)
    domain = f"{new.name}.example"
    if claimed:
        assert (await app.post("/api/client/domains", {"domain": domain}, token=await token(app))).status == 201
    before = await stored(app, new.name)
    page = await new.save("rules", domain7=domain, **groups(writers="Author"))
    assert (page.status, page.problems) == (400, [f"{domain} isn't verified for this client"])
    assert page.tree.xpath("//*[@role='alert']//a/@href") == ["#domains"]
    [beside] = page.tree.xpath("//fieldset[@id='domains']//*[@class='field-error']")
    assert beside.text_content() == page.problems[0]
    kept = page.form(f"{new.path}/rules").fields
    assert groups(writers="Author").items() <= kept.items()
    assert await stored(app, new.name) == before


async def test_a_rejected_rule_appears_beside_its_field(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)
    page = await new.save("rules", returnAddresses="https://app.example/in\nno address", **groups(writers="Author"))
    assert page.status == 400
    assert page.tree.xpath("//*[@role='alert']//a/@href") == ["#returnAddresses"]
    kept = page.form(f"{new.path}/rules").fields
    assert groups(writers="Author").items() <= kept.items()


async def test_the_name_is_free_and_no_address_of_ours(app: App, op: Op) -> None:
    taken = await wizard(app, "okta")
    await taken.make_oidc(op, "okta-oidc")
    page = await taken.visitor.get(f"{NEW}?preset=okta-oidc")
    assert page.tree.xpath("string(//input[@name='name']/@value)") == "okta-2"
    body = {"name": "new", "oidc": {"issuer": op.issuer, "clientId": "x"}}
    assert (await app.post("/api/client/providers", body, token=await token(app))).status == 400
    assert (await taken.visitor.get(f"{NEW}?preset=okta-oidc&name=new")).status == 400
    assert (await taken.visitor.get(f"{NEW}?preset=nonsense")).status == 404


async def test_wrong_issuer_and_secret_are_named(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op, oidc__clientSecret="not the secret")
    assert ("bad", "The client ID or the client secret is incorrect.") in await new.findings()
    op.issuer = f"{op.base}/realm"  # changed after saving
    assert any(level == "bad" and "metadata can't be fetched" in text for level, text in await new.findings())


async def test_a_user_admin_opens_no_admins_account_and_is_told_so(app: App, op: Op) -> None:
    new = await wizard(app, name(), "user-admin@acme.example")
    await new.make_oidc(op)
    assert "Admins can't sign in with it yet" in (await new.step()).text
    admin = Wizard(await Visitor(app).signed_in("admin@acme.example"), new.name)
    assert (await admin.save("theirs")).status == 303
    assert "Admins can't sign in with it yet" not in (await new.step()).text
