"""The list of providers, and the actions on one: turning it on or off, deleting it, and creating a key."""

from __future__ import annotations

import itertools

import pytest

from tests.http.pages.console.provider_wizard import LIST, facts, flow_cookies, metadata_of, wizard
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.saml_idp import Idp
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

_numbers = itertools.count(1)


def name() -> str:
    return f"listed-{next(_numbers)}"


async def test_the_list_says_what_is_on_and_what_happened(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op, displayName=f"The one of {new.name}")
    await new.save("rules", createUsers="on", everyone__Viewer="on")
    page = await new.act("switch-on", await new.visitor.get(LIST), back="list")
    assert page.location == LIST
    browser = Visitor(app)
    started = await browser.get(f"/api/client/auth/oidc?client=acme&provider={new.name}")
    browser.cookies |= flow_cookies(started.reply)
    op.user |= {"sub": new.name, "email": f"{new.name}@acme.example"}
    await browser.get(op.visit(started.location).removeprefix(app.public_url.rstrip("/")))
    page = await new.visitor.get(LIST)
    [row] = page.tree.xpath(f"//li[contains(@class, 'panel')][.//a[@href='{new.path}']]")
    text = " ".join(row.text_content().split())
    assert f"The one of {new.name} On" in text
    assert "Last sign-in2027-01-15" in text
    assert "Last failureNone recently" in text


async def test_it_is_turned_off_and_deleted_with_its_name_typed(app: App, op: Op) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)
    await new.act("switch-on", await new.step("live"))
    again = await new.visitor.get(LIST)
    assert (await new.act("switch-off", await new.step())).status == 303
    late = await new.act("switch-off", again)
    assert (late.status, late.problems) == (409, ["The provider is already turned off"])
    ask = await new.act("delete", await new.step())
    assert "Unlinks 0 people" in ask.text
    assert "with the same issuer later, the same people regain access to their accounts" in ask.text
    refused = await new.act("delete", ask, confirmed="another")
    assert (refused.status, refused.problems) == (
        400,
        [f"Enter {new.name} exactly as shown"],
    )
    assert (await new.act("delete", ask, confirmed=new.name)).location == LIST
    assert (await new.visitor.get(new.path)).status == 404


async def test_a_saml_provider_gets_a_new_key(app: App) -> None:
    new = await wizard(app, name())
    await new.make("saml", saml__metadata=metadata_of(Idp(issuer=f"https://{new.name}.example/saml")))
    page = await new.step("theirs")
    [before] = page.tree.xpath("//code[starts-with(@id, 'our-certificate-')]/text()")
    assert (await new.act("rotate-key", page)).status == 303
    newest, older = (await new.step("theirs")).tree.xpath("//code[starts-with(@id, 'our-certificate-')]/text()")
    assert older == before != newest


async def test_power_apps_have_no_try(app: App) -> None:
    new = await wizard(app, name())
    guid = "6f7b2d1e-1f0a-4c3e-9a51-0c2f4f7d9b10"
    page = await new.make("power-apps", entra__directory=guid, entra__applications=guid)
    assert page.status == 303, page.problems
    assert "Test sign-in" not in (await new.step()).text
    assert (await new.visitor.get(f"{new.path}/try", Sec_Fetch_Site="same-origin")).status == 409


@matrix("path", ["", "/new", "/{name}", "/{name}/try"])
async def test_others_find_no_such_page(app: App, op: Op, path: str) -> None:
    new = await wizard(app, name())
    await new.make_oidc(op)
    address = LIST + path.format(name=new.name)
    author = await Visitor(app).signed_in("author@acme.example")
    assert (await author.get(address)).status == 404
    if "{name}" in path:
        elsewhere = await Visitor(app).signed_in("admin@globex.example")
        assert (await elsewhere.get(address)).status == 404
    assert (await Visitor(app).get(address)).location.startswith("/sign-in?returnTo=")


async def test_claims_and_names_are_shown_as_text(app: App, op: Op) -> None:
    hostile = '"><script>alert(1)</script>'
    new = await wizard(app, name())
    await new.make_oidc(op, displayName=hostile)
    await new.save("rules", createUsers="on", everyone__Viewer="on")
    op.claims |= {"name": hostile, "groups": [hostile], hostile: hostile}
    for page in (await new.try_oidc(op), await new.step("rules"), await new.visitor.get(LIST)):
        assert page.tree.xpath("//script[not(@src)]") == []
        assert hostile in page.text
    assert facts(await new.step("live"))["Groups"] == hostile
