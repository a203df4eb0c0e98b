"""A user of a provider that leaves the factor to the client, with a single passkey that no longer works."""

from __future__ import annotations

import pytest

from tests.support.accounts import number_of, settle
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import oidc_provider
from tests.support.rows import add_row, change_rows

pytestmark = [
    pytest.mark.settings(MANIFEST_PUBLIC_URL="http://localhost:8080"), pytest.mark.usefixtures("another_day")
]  # fmt: skip


@matrix("policy", ["off", "optional", "required"])
@matrix(("rp_id", "page"), [("former.example", "enrol"), ("localhost", "second-factor")])
async def test_the_browser_goes_on_where_another_factor_is_enrolled(
    app: App, policy: str, rp_id: str, page: str
) -> None:
    async with oidc_provider(app, vouches=True, createUsers=True, defaultRoles=["Viewer"]) as idp:
        browser = await idp.sign_in("ada", f"ada@{idp.client}.example")
        user_id = (await browser.me()).data["user"]["id"]
        await change_rows(app, "users", {"id": user_id}, factors=2)
        await add_row(
            app, "passkeys", tenant_id=await number_of(app, idp.client), id=f"void-{user_id}", user_id=user_id,
            credential_id=f"void-{user_id}", public_key=b"", algorithm=-7, counter=0, transports="", aaguid="",
            name="", backup_eligible=0, backup_state=0, rp_id=rp_id, created_at=1,
        )  # fmt: skip
        await idp.change(secondFactor="ask")
        await settle(app, idp.client, secondFactor={"policy": policy})
        for query in ({}, {"response": "code"}):
            again, ended = await idp.attempt("ada", query=query)
            assert ended.headers["location"].startswith(f"/sign-in/{page}?s=")
            assert "session" not in again.cookies
