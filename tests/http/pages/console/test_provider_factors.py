"""A provider's second-factor policy, in the wizard's step about who can sign in."""

from __future__ import annotations

import pytest

from tests.http.pages.console.provider_wizard import wizard
from tests.http.pages.console.test_provider_wizard import name, stored
from tests.support.application import App
from tests.support.oidc_op import Op

pytestmark = pytest.mark.one_store


async def test_a_new_google_needs_no_time_to_prove_who_someone_is(app: App, op: Op) -> None:
    new, other = await wizard(app, name()), await wizard(app, name())
    await new.make_oidc(op, "google")
    await other.make_oidc(op)
    assert (await stored(app, new.name))["stepUpWithoutTime"] is True
    assert (await stored(app, other.name))["stepUpWithoutTime"] is False
    page = await new.save("rules", secondFactor="claims", amr="two words")
    assert (page.status, page.tree.xpath("//*[@role='alert']//a/@href")) == (400, ["#amr"])
    assert page.form(f"{new.path}/rules").fields["amr"] == "two words"
    assert page.form(f"{new.path}/rules").fields["secondFactor"] == "claims"


async def test_tokens_of_apps_have_no_rule_for_the_second_factor(app: App) -> None:
    new = await wizard(app, name())
    guid = "6f7b2d1e-1f0a-4c3e-9a51-0c2f4f7d9b10"
    assert (await new.make("power-apps", entra__directory=guid, entra__applications=guid)).status == 303
    assert "secondFactor" not in (await new.step("rules")).form(f"{new.path}/rules").fields
    assert (await new.save("rules", everyone__Viewer="on")).status == 303
