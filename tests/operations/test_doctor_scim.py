"""``doctor`` reports the last request of each SCIM connection, its rejected requests, and tokens that expire."""

from __future__ import annotations

from manifest_auth.accounts.provisioning import connections
from manifest_auth.maintenance.doctor.environment import Finding, scim_findings
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.rows import store_of

DAY_MS = 86_400_000


async def test_each_connection_is_reported(app: App) -> None:
    client, token, now = await new_client(app), await app.admin_token(), app.clock.now_ms()
    at = f"/api/admin/clients/{client}/scim"
    made = (await app.post(at, {"name": "okta"}, token=token)).data
    store = await store_of(app, client)

    async def found(after_days: int = 0) -> Finding:
        every = await scim_findings(app.services.store, now + after_days * DAY_MS)
        [own] = [finding for finding in every if f"okta of client {client}" in finding.text]
        return own

    assert (await found()).level == "note"
    assert "last request never, 0 rejected; check the provisioning" in (await found()).text
    await store.write(lambda unit: connections.called(unit, made["id"], made["tokens"][0]["id"], now))
    assert (await found()).level == "ok"
    await store.write(lambda unit: connections.failed(unit, made["id"], "Unknown filter", now))
    assert (await found()).text.endswith("1 rejected (the last one: Unknown filter)")
    assert [(await found(days)).level for days in (8, 340, 366)] == ["note", "note", "bad"]
    assert "expires within 26 days" in (await found(340)).text
    assert (await app.send("DELETE", f"{at}/okta/tokens/{made['tokens'][0]['id']}", token=token)).status == 200
    assert "no valid token" in (await found()).text
