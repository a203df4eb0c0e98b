"""The provider wizard's steps keep the entered values, and say what to fix and where."""

from __future__ import annotations

from tests.http.pages.console.provider_wizard import NEW, wizard
from tests.support.application import App
from tests.support.oidc_op import Op
from tests.support.visitor import Visitor


async def test_another_name_changes_the_values_and_keeps_what_was_typed(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    page = await visitor.get(f"{NEW}?preset=keycloak")
    page = await visitor.submit(page, NEW, None, name="no name", rename="on", **{"oidc.clientId": "mine"})
    assert (page.status, page.tree.xpath("//input[@id='name']/@aria-invalid")) == (400, ["true"])
    page = await visitor.submit(page, NEW, None, name="corp", rename="on")
    assert page.tree.xpath("//code[@id='our-callback_url']/text()")[0].endswith("/callback/acme/corp")
    fields = page.form(NEW).fields
    assert (fields["name"], fields["oidc.clientId"]) == ("corp", "mine")
    assert "corp" not in (await visitor.get("/console/providers")).text


async def test_what_is_wrong_comes_first_with_a_way_to_mend_it_and_no_numbers_of_the_system(app: App, op: Op) -> None:
    new = await wizard(app, "to-mend")
    await new.make_oidc(op, oidc__issuer="https://nobody.invalid", oidc__unchecked="on")
    await new.save("rules", createUsers="on", everyone__Viewer="")
    page = await new.act("test", await new.step("live"))
    levels = [one.get("class") for one in page.tree.xpath("//ul[@class='findings']/li")]
    assert levels == sorted(levels, key=["finding-bad", "finding-note", "finding-ok"].index)
    assert "Errno" not in page.text
    mended = {one.get("href") for one in page.tree.xpath("//li[@class='finding-bad']//a")}
    assert mended == {f"{new.path}?step=theirs", f"{new.path}?step=rules"}
