"""The authentication time is the provider's, even if the client then requires its own factor."""

from __future__ import annotations

import pytest

from tests.http.second_factors.test_at_provider import GUARDED, company_of, enrolled
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.second_factors import FACTOR
from tests.support.single_sign_on import RETURN_TO, Browser
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store


@matrix("ago", [3600, None])
async def test_a_code_does_not_renew_the_moment_that_the_provider_says(app: App, op: Op, ago: int | None) -> None:
    company = await company_of(app, op, secondFactor="ask")
    phone = await enrolled(company)
    at = None if ago is None else app.clock.now_ms() // 1000 - ago
    op.claims = {"auth_time": at}
    browser, ended = await company.sign_in(returnTo=RETURN_TO)
    visitor = Visitor(app, dict(browser.cookies))
    await visitor.submit(await visitor.get(ended.headers["location"]), FACTOR, otp=phone.code())
    session = (await app.me(cookie=visitor.cookies["session"])).data["session"]
    assert session["amr"] == ["provider", "otp", "mfa"]
    assert (session["authenticatedAt"] is None) == (ago is None)
    acted = await Browser(app, dict(visitor.cookies)).send(*GUARDED)
    check_refusal(acted, 403, "REAUTHENTICATION_REQUIRED")
