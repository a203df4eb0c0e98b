"""A sign-in that ends at an app's custom URL scheme, which any app can register, requires a PKCE challenge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.oidc_op import provider
from tests.support.rules import rule
from tests.support.single_sign_on import RETURN_TO, Browser, add_oidc, begun, query_of, saml_provider

pytestmark = pytest.mark.one_store

APP, WEB = "com.acme.app:/signed-in", RETURN_TO
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # from RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def check_challenge_is_asked_for(reply: Any) -> None:
    [detail] = check_refusal(reply, 400, "VALIDATION_ERROR")["details"]
    assert detail["field"] == "codeChallenge"
    assert "location" not in reply.headers
    assert "set-cookie" not in reply.headers


@rule("OIDC-FLOW")
async def test_an_openid_sign_in_without_one_does_not_begin(app: App) -> None:
    with provider(app.clock) as op:
        client = await new_client(app)
        await add_oidc(app, op, client, returnAddresses=[APP, WEB])
        asked = len(op.asked)
        for challenge in ("", "&codeChallenge="):
            check_challenge_is_asked_for(
                await app.get(f"/api/client/auth/oidc?client={client}&response=code&returnTo={APP}{challenge}")
            )
        assert len(op.asked) == asked
        browser, back = await begun(app, op, client, returnTo=APP, response="code", codeChallenge=CHALLENGE)
        code = query_of(await browser.send("GET", back))["code"]
        refused = await app.post("/api/client/auth/exchange", {"code": code})
        check_refusal(refused, 401, "SSO_FAILED")  # an app that intercepts it has no verifier


async def test_nor_does_one_by_saml(app: App) -> None:
    okta = await saml_provider(app, returnAddresses=[APP, WEB])
    path = f"/api/client/auth/okta-saml?client={okta.client}&provider={okta.name}&response=code&returnTo={APP}"
    check_challenge_is_asked_for(await app.get(path))
    started = await app.get(f"{path}&codeChallenge={CHALLENGE}")
    assert started.status == 302


async def test_nor_does_one_with_dynamics(app: App) -> None:
    client = await new_client(app)
    settings = {"directory": "c0c0c0c0-1111-4111-8111-111111111111", "clientId": "0a0a0a0a-1111-4111-8111-0000000000aa",
                "organization": "https://contoso.crm.dynamics.com"}  # fmt: skip
    body = {"name": "crm", "returnAddresses": [APP], "dynamics": settings}
    made = await app.post(f"/api/admin/clients/{client}/providers", body, token=await app.admin_token())
    check_success(made, 201)
    path = f"/api/client/auth/ms-dynamics?client={client}&response=code&returnTo={APP}"
    check_challenge_is_asked_for(await app.get(path))


async def test_a_web_address_can_do_without(app: App) -> None:
    with provider(app.clock) as op:
        client = await new_client(app)
        await add_oidc(app, op, client, returnAddresses=[APP, WEB])
        browser, back = await begun(app, op, client, Browser(app), returnTo=WEB, response="code")
        code = query_of(await browser.send("GET", back))["code"]
        check_success(await app.post("/api/client/auth/exchange", {"code": code}))
