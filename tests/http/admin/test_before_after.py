"""The audit trail records changes by a system admin with the values before and after, without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.providers.provider_editors import OIDC
from tests.support.envelope import check_refusal, check_success
from tests.support.system_admins import SystemAdmin, events

pytestmark = pytest.mark.one_store

CLIENTS = "/api/admin/clients"


async def last(root: SystemAdmin, event: str, client: int = 0) -> dict[str, Any]:
    return [detail for name, _, _, detail in await events(root.app, client) if name == event][-1]


async def test_what_happens_to_a_client(root: SystemAdmin) -> None:
    body = {"identifier": "told", "name": "Told", "settings": {"refreshStrict": True}}
    made = check_success(await root.post(CLIENTS, body), 201)
    detail = await last(root, "client_created", made["id"])
    assert (detail["identifier"], detail["name"]) == ("told", "Told")
    assert json.loads(detail["settings"])["refreshStrict"] is True
    suspended = check_success(await root.post(f"{CLIENTS}/told/suspend"))["suspendedAt"]
    detail = await last(root, "client_suspended", made["id"])
    assert detail["before"] == {"suspendedAt": None, "deleteAt": None}
    assert detail["after"] == {"suspendedAt": suspended, "deleteAt": None}
    check_success(await root.send("PATCH", f"{CLIENTS}/told", {"name": "Retold"}))
    detail = await last(root, "client_changed", made["id"])
    assert (detail["before"][0], detail["after"][0]) == ("Told", "Retold")
    for blank in (" ", "\u3000"):
        for answer in (
            await root.post(CLIENTS, {"identifier": "blank", "name": blank}),
            await root.send("PATCH", f"{CLIENTS}/told", {"name": blank}),
        ):
            check_refusal(answer, 400, "VALIDATION_ERROR")


async def test_what_happens_to_a_user(root: SystemAdmin) -> None:
    client, user = root.app.ids["acme"], root.app.ids["operator@acme.example"]
    path = f"{CLIENTS}/acme/users/{user}"
    states = {"deactivate": ("user_deactivated", False, True), "restore": ("user_restored", True, False)}
    for act, (event, before, after) in states.items():
        check_success(await root.post(f"{path}/{act}"))
        detail = await last(root, event, client)
        assert (detail["before"], detail["after"]) == ({"deactivated": before}, {"deactivated": after})
    for earlier in (0, 1):
        check_success(await root.post(f"{path}/password-reset"), 201)
        detail = await last(root, "password_reset_started", client)
        assert (detail["before"], detail["after"]) == ({"openLinks": earlier}, {"openLinks": 1})


async def test_what_happens_to_a_provider(root: SystemAdmin) -> None:
    client, path = root.app.ids["globex"], f"{CLIENTS}/globex/providers"
    check_success(await root.post(path, {"name": "told", "displayName": "Told", "oidc": OIDC}), 201)
    for act, before in (("off", True), ("on", False)):
        check_success(await root.post(f"{path}/told/switch-{act}"))
        detail = await last(root, f"provider_switched_{act}", client)
        assert (detail["before"], detail["after"]) == ({"on": before}, {"on": not before})
    check_success(await root.send("DELETE", f"{path}/told"))
    detail = await last(root, "provider_deleted", client)
    assert (detail["before"]["displayName"], detail["before"]["on"]) == ("Told", True)
    assert OIDC["clientId"] in detail["before"]["settings"]
    assert OIDC["clientSecret"] not in str(await events(root.app, client))


async def test_which_keys_were_rotated(root: SystemAdmin) -> None:
    query = "/api/admin/keys?purpose=refresh&state=signing"
    [before] = check_success(await root.get(query))["items"]
    check_success(await root.post("/api/admin/keys/rotate", {"purpose": "refresh"}))
    [after] = check_success(await root.get(query))["items"]
    detail = await last(root, "keys_rotated")
    assert detail == {"purposes": ["refresh"], "keys": {"refresh": {"before": [before["id"]], "after": after["id"]}}}
