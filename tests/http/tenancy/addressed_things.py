"""Existing objects of one client, for all parameters of REST addresses."""

from __future__ import annotations

import itertools
import re
from typing import Any

from tests.support.accounts import settle
from tests.support.application import App
from tests.support.badges import BadgeClient
from tests.support.domain_claims import claimed
from tests.support.graphql_operations import Things
from tests.support.machines import machine
from tests.support.people import Member
from tests.support.routes import Route
from tests.support.rows import add_row, delete_rows, link, rows
from tests.support.single_sign_on import add_provider
from tests.support.team import Team

_numbers = itertools.count(1)
_SETTINGS = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}
#: Meanings of `{id}`, by the path before it.
_KINDS = {
    "identities": "identity",
    "passkeys": "passkey",
    "trusted": "trusted",
    "pairings": "pairing",
    "sessions": "session",
}


def named_by(route: Route, things: dict[str, Any]) -> dict[str, Any]:
    """The objects for this route's parameters; `{id}` and `{secret}` each have several possible kinds."""
    of_id = re.search(r"([a-z]+)/{id}", route.path)
    secret = things[
        "app_secret" if "/apps/" in route.path else "client_secret" if "/secrets/" in route.path else "secret"
    ]
    return {**things, "secret": secret, **({"id": things[_KINDS[of_id[1]]]} if of_id else {})}


async def addressed_things(team: Team, have: Things) -> dict[str, Any]:
    """Objects by parameter: a file, a user, and the user's identity, session, passkey, and trusted browser; the
    client's provider, claim, directory, SCIM connection with a token, and app with a secret; a service account with a
    key and a client secret; and a pairing that the Admin started."""
    admin, operator = await team.member("Admin"), have.operator
    made = await add_provider(team.app, team.client, oidc=_SETTINGS)
    identity = await link(team, made["id"], f"s{made['id']}", operator)
    sessions = await team.app.get(f"/api/client/users/{operator}/sessions", token=admin.token)
    session = sessions.data["items"][0]["id"]
    claim = await claimed(team.app, team.client, f"s{made['id']}.example")
    directory = f"d0d0d0d0-7777-4000-8000-{made['id']:012d}"
    body = {"directory": directory}
    assert (await team.app.post("/api/client/directories", body, token=admin.token)).status == 201
    it = await machine(team.app, team.client)
    secret = await team.app.post(f"{it.base}/secrets", {}, token=await team.app.admin_token())
    passkey, trusted = await _factors(team.app, operator)
    shown = (await team.app.get("/api/client/auth/second-factors", token=(await team.member("Operator")).token)).data
    assert passkey in {one["id"] for one in shown["passkeys"]}
    assert trusted in {one["id"] for one in shown["trusted"]}
    web = {"name": f"App {next(_numbers)}", "kind": "web", "redirectUris": ["https://a.example/"]}
    web_app = (await team.app.post("/api/client/apps", web, token=admin.token)).data["id"]
    app_secret = await team.app.post(f"/api/client/apps/{web_app}/secrets", token=admin.token)
    names = [one["name"] for one in (await team.app.get("/api/client/scim", token=admin.token)).data["items"]]
    for name in names[:4]:  # a client can have at most five
        assert (await team.app.send("DELETE", f"/api/client/scim/{name}", token=admin.token)).status == 200
    scim = (await team.app.post("/api/client/scim", {"name": f"idp-{next(_numbers)}"}, token=admin.token)).data
    return {
        "connection": scim["name"], "token": scim["tokens"][0]["id"],
        "app": web_app, "app_secret": app_secret.data["id"], "pairing": await _pairing(team.app, admin),
        "file": have.file, "user": operator, "identity": identity, "session": session, "passkey": passkey,
        "trusted": trusted, "provider": made["name"], "domain": claim.domain, "directory": directory,
        "account": it.id, "secret": it.key.id, "client_secret": secret.data["id"],
        **await _of_badges(team, operator),
    }  # fmt: skip


async def _of_badges(team: Team, user_id: int) -> dict[str, str]:
    """A badge of the user, a device of the client, and a code for another device."""
    await settle(team.app, team.client, badge={"enabled": True})
    of_client = BadgeClient(team.app, team.client, await team.member("Admin"))
    device, code = await of_client.device(), await of_client.code()
    return {"badge": (await of_client.badge(user_id))["id"], "device": device.id, "enrolment": code["id"]}


async def _pairing(app: App, who: Member) -> str:
    """The ID of a new pairing started by the session of ``who``; only a row, with an unknown code."""
    session = (await app.me(who.token)).data["session"]["id"]
    [(tenant,)] = await rows(app, "users", "tenant_id", id=who.id)
    pairing, now = f"pairing-{next(_numbers):014d}", app.clock.now_ms()
    await add_row(
        app, "pairings", id=pairing, tenant_id=tenant, user_id=who.id, session_id=session, code=pairing, typed=pairing,
        created_at=now, code_ends_at=now + 60_000, expires_at=now + 600_000,
    )  # fmt: skip
    return pairing


async def _factors(app: App, user_id: int) -> tuple[str, str]:
    """Replace the user's passkey and trusted browser with new ones, so that lists show them; returns their IDs. They
    are only rows, which no sign-in uses."""
    number, now = next(_numbers), app.clock.now_ms()
    passkey, trusted = f"passkey-{number:08d}", f"trusted-{number:08d}"
    for table in ("passkeys", "trusted_browsers"):
        await delete_rows(app, table, user_id=user_id)
    [(tenant,)] = await rows(app, "users", "tenant_id", id=user_id)
    await add_row(
        app, "passkeys", id=passkey, tenant_id=tenant, user_id=user_id, credential_id=passkey, public_key=b"key",
        algorithm=-7, counter=0, transports="", aaguid="", name="A key", backup_eligible=0, backup_state=0,
        rp_id="login.example.com", created_at=now,
    )  # fmt: skip
    await add_row(
        app, "trusted_browsers", id=trusted, tenant_id=tenant, user_id=user_id, key=trusted, user_agent="",
        address="127.0.0.1", created_at=now, ends_at=now + 86_400_000,
    )  # fmt: skip
    return passkey, trusted
