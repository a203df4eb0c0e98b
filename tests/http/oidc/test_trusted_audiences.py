"""An ID token's additional audiences are a provider setting, for OpenID providers and Dynamics."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import OURS, POWER_APP
from tests.support.accounts import new_client
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import last_reason
from tests.support.single_sign_on import Browser, add_oidc, check_no_one_got_in

pytestmark = pytest.mark.one_store

BESIDES = "project-1"


async def test_at_an_openid_provider(setup: MicrosoftSetup) -> None:
    app = setup.app
    with provider(app.clock) as op:
        client = await new_client(app)
        await add_oidc(app, op, client, name="idp", domains=["acme.example"])
        op.claims["aud"] = [op.client_id, BESIDES]
        check_no_one_got_in(await Browser(app).sign_in_oidc(op, "idp", client))
        assert await last_reason(app, client) == (
            f"ID token: aud: also for {BESIDES!r}, which is not among the provider's audiences"
        )
        path, token = f"/api/admin/clients/{client}/providers/idp", await app.admin_token()
        changed = check_success(await app.send("PATCH", path, {"oidc": {"audiences": [BESIDES]}}, token=token))
        assert changed["oidc"]["audiences"] == [BESIDES]
        assert (await Browser(app).sign_in_oidc(op, "idp", client)).status == 302
        op.claims["aud"] = [op.client_id, BESIDES, "project-2"]
        check_no_one_got_in(await Browser(app).sign_in_oidc(op, "idp", client))


async def test_with_dynamics(setup: MicrosoftSetup) -> None:
    app, company = setup.app, await setup.dynamics()
    setup.microsoft.id_claims = {"aud": [OURS, POWER_APP]}
    _, reply = await company.sign_in()
    check_no_one_got_in(reply)
    assert "aud: also for" in await last_reason(app, company.client)
    assert setup.microsoft.count("dataverse") == 0
    path = f"/api/admin/clients/{company.client}/providers/{company.name}"
    body = {"dynamics": {"audiences": [POWER_APP]}}
    check_success(await app.send("PATCH", path, body, token=await app.admin_token()))
    assert (await company.sign_in())[1].status == 302


@matrix("audiences", ["x", [""], [7], [None], ["x" * 257], ["x"] * 21, {}])
async def test_an_invalid_list_of_audiences_is_not_stored(setup: MicrosoftSetup, audiences: Any) -> None:
    app = setup.app
    client = await new_client(app)
    body = {"name": "idp", "oidc": {"issuer": "https://idp.example", "clientId": "m", "audiences": audiences}}
    reply = await app.post(f"/api/admin/clients/{client}/providers", body, token=await app.admin_token())
    assert check_refusal(reply, 400, "VALIDATION_ERROR")["details"][0]["field"].startswith("oidc.audiences")
