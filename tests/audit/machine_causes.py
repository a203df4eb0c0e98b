"""Causes every audit event of service accounts, SCIM connections, and their secrets once."""

from __future__ import annotations

from manifest_auth.audit import Event
from tests.audit.event_causes import Story
from tests.support.accounts import new_user
from tests.support.machines import of_client
from tests.support.rows import add_row, rows


async def machines(story: Story) -> None:
    app, expects, root = story.app, story.expects, f"admin:{story.root.id}"
    base = of_client(story.team.client)
    made = await story.do("POST", base, {"name": "first", "roles": ["Viewer"]})
    one, me = f"{base}/{made['id'] + 1}", f"service:{made['id'] + 1}"
    async with expects(Event.SERVICE_ACCOUNT_CREATED, root, me):
        await story.do("POST", base, {"name": "second", "roles": ["Viewer"]})
    async with expects(Event.SERVICE_ACCOUNT_CHANGED, root, me):
        await story.do("PATCH", one, {"description": "Else"})
    async with expects(Event.SERVICE_ACCOUNT_DISABLED, root, me):
        await story.do("POST", f"{one}/disable")
    async with expects(Event.SERVICE_ACCOUNT_ENABLED, root, me):
        await story.do("POST", f"{one}/enable")
    async with expects(Event.API_KEY_CREATED, root, me):
        key = await story.do("POST", f"{one}/keys", {"expiresInDays": 1})
    async with expects(Event.SERVICE_SIGNED_IN, me, me):
        assert (await app.me(key["key"])).status == 200
    async with expects(Event.ACCESS_REFUSED, me, me):
        assert (await app.get("/api/client/audit", token=key["key"])).status == 403
    async with expects(Event.API_KEY_ROTATED, root, me):
        key = await story.do("POST", f"{one}/keys/{key['id']}/rotate", {"overlapHours": 0})
    async with expects(Event.API_KEY_REVOKED, root, me):
        await story.do("DELETE", f"{one}/keys/{key['id']}")
    async with expects(Event.CLIENT_SECRET_CREATED, root, me):
        secret = await story.do("POST", f"{one}/secrets", {})
    async with expects(Event.CLIENT_SECRET_REVOKED, root, me):
        await story.do("DELETE", f"{one}/secrets/{secret['id']}")
    async with expects(Event.SERVICE_ACCOUNT_DELETED, root, me):
        await story.do("DELETE", one)


async def connections(story: Story) -> None:
    expects, root, client = story.expects, f"admin:{story.root.id}", story.team.client
    base = f"/api/admin/clients/{client}/scim"
    made = await story.do("POST", base, {"name": "first"})
    me = f"scim:{made['id'] + 1}"
    async with expects(Event.SCIM_CONNECTION_CREATED, root, me):
        made = await story.do("POST", base, {"name": "okta"})
    async with expects(Event.SCIM_CONNECTION_CHANGED, root, me):
        await story.do("PATCH", f"{base}/okta", {"adoptUsers": True})
    async with expects(Event.SCIM_TOKEN_CREATED, root, me):
        token = await story.do("POST", f"{base}/okta/tokens", {})
    async with expects(Event.SCIM_TOKEN_REVOKED, root, me):
        await story.do("DELETE", f"{base}/okta/tokens/{token['id']}")
    user, email = await new_user(story.app, client)
    [(tenant,)] = await rows(story.app, "users", "tenant_id", id=user)
    await add_row(
        story.app, "scim_users", tenant_id=tenant, user_id=user, connection_id=made["id"], user_name=email,
        user_name_key=email, attributes="{}", created_at=1, changed_at=1,
    )  # fmt: skip
    async with expects(Event.SCIM_USER_RELEASED, root, f"user:{user}"):
        await story.do("DELETE", f"{base}/okta/users/{user}")
    async with expects(Event.SCIM_CONNECTION_DELETED, root, me):
        await story.do("DELETE", f"{base}/okta")
