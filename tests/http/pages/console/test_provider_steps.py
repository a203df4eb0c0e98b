"""The steps of the provider wizard keep what was typed, and say what to mend and where."""

from __future__ import annotations

from tests.http.pages.console.provider_wizard import NEW, onward, wizard
from tests.support.application import App
from tests.support.oidc_op import Op
from tests.support.visitor import Visitor


async def test_the_name_that_was_typed_is_kept_by_the_button_that_goes_on(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    page = await visitor.get(f"{NEW}?preset=keycloak")
    page = await visitor.get(onward(page, name="corp"))
    assert page.form(NEW).fields["name"] == "corp"


async def test_what_is_wrong_comes_first_with_a_way_to_mend_it_and_no_numbers_of_the_system(app: App, op: Op) -> None:
    new = await wizard(app, "to-mend")
    await new.make_oidc(op, oidc__issuer="https://nobody.invalid", oidc__unchecked="on")
    await new.save("rules", createUsers="on")
    page = await new.act("test", await new.step("test"))
    levels = [one.get("class") for one in page.tree.xpath("//ul[@class='findings']/li")]
    assert levels == sorted(levels, key=["finding-bad", "finding-note", "finding-ok"].index)
    assert "Errno" not in page.text
    mended = {one.get("href") for one in page.tree.xpath("//li[@class='finding-bad']//a")}
    assert mended == {f"{new.path}?step=theirs", f"{new.path}?step=rules"}
