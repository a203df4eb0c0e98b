"""Functions that cause audit events once, by topic; each checks actor and subject of its events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.cli import keys as key_commands
from manifest_auth.cli.main import parser
from manifest_auth.clients.client_lifecycle import sweep_clients
from manifest_auth.maintenance.reencrypt import replace_lost
from tests.http.passwords import test_imported_hashes as imported
from tests.support import second_factors
from tests.support.accounts import keys_of, new_user
from tests.support.application import FAST, PASSWORD, App
from tests.support.rows import change_rows
from tests.support.system_admins import ADMINS, AUTH, SystemAdmin, another, enrolled, events, signed_in_admin
from tests.support.team import Team
from tests.support.user_management import NEW, accept, invited, reset, started_reset

GOOD = "granite-otter-47-lantern"
CLIENTS, FACTOR = "/api/admin/clients", f"{AUTH}/second-factor"


@dataclass
class Story:
    """A separate client, the system admin, and the events found so far."""

    app: App
    root: SystemAdmin
    team: Team
    seen: set[Event] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def expects(self, event: Event, actor: str, subject: str, chain: int | None = None) -> AsyncIterator[None]:
        """Check that the block leaves one such event in the client's trail, or in another one."""
        number = await self.chain() if chain is None else chain
        before = len(await events(self.app, number))
        yield
        found = [(name, who, whom) for name, who, whom, _ in (await events(self.app, number))[before:]]
        assert found.count((event.value, actor, subject)) == 1, found
        self.seen.add(event)

    async def chain(self) -> int:
        found: int = (await self.root.get(f"{CLIENTS}/{self.team.client}")).data["id"]
        return found

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        """Send the system admin's request, which must succeed."""
        reply = await self.root.send(method, path, body)
        assert reply.status in (200, 201), reply.text
        return reply.data


async def passwords(story: Story) -> None:
    app, client, expects = story.app, story.team.client, story.expects
    number, email = await new_user(app, client, password=GOOD)
    me = f"user:{number}"
    async with expects(Event.SIGNED_IN, "anonymous", me):
        keys = await keys_of(app, email, password=GOOD, client=client)
    async with expects(Event.SIGN_IN_FAILED, "anonymous", me):
        await app.sign_in(email, "wrong", client)
    async with expects(Event.ACCESS_REFUSED, me, me):
        await app.get("/api/client/audit", token=keys.token)
    async with expects(Event.PASSWORD_CHECK_FAILED, me, me):
        body = {"currentPassword": "wrong-wrong-wrong", "newPassword": NEW}
        await app.post("/api/client/auth/password", body, token=keys.token)
    async with expects(Event.PASSWORD_CHANGED, me, me):
        body = {"currentPassword": GOOD, "newPassword": NEW + "-2"}
        await app.post("/api/client/auth/password", body, token=keys.token)
    other = await app.sign_in(email, NEW + "-2", client)
    sessions = (await app.get("/api/client/auth/sessions", token=keys.token)).data
    rows = sessions["items"] if isinstance(sessions, dict) else sessions
    [second] = [row["id"] for row in rows if not row.get("isCurrent", row.get("current"))]
    async with expects(Event.SESSION_ENDED, me, me):
        await app.send("DELETE", f"/api/client/auth/sessions/{second}", token=keys.token)
    assert (await app.me(other.data["token"])).status == 401
    async with expects(Event.SIGNED_OUT, me, me):
        await app.post("/api/client/auth/sign-out", token=keys.token)
    keys = await keys_of(app, email, password=NEW + "-2", client=client)
    child = (await app.refresh(keys.refresh_token)).data["refreshToken"]
    grandchild = (await app.refresh(child)).data["refreshToken"]
    await app.refresh(grandchild)
    app.clock.advance(60)
    async with expects(Event.REFRESH_TOKEN_REUSED, "anonymous", me):
        await app.refresh(keys.refresh_token)
    keys = await keys_of(app, email, password=NEW + "-2", client=client)
    async with expects(Event.SIGNED_OUT_ALL, me, me):
        await app.post("/api/client/auth/sign-out-all", token=keys.token)
    foreign, address = await new_user(app, client, passwordHash=imported.HASHES["bcrypt 2b"])
    async with expects(Event.PASSWORD_REHASHED, "anonymous", f"user:{foreign}"):
        await app.sign_in(address, imported.PASSWORD, client)
    async with expects(Event.THROTTLED, "anonymous", me):
        for attempt in range(8):
            reply = await app.sign_in(email, f"guess-{attempt}-number", client)
            if reply.status == 429:
                break
    async with expects(Event.THROTTLES_CLEARED, f"admin:{story.root.id}", me):
        await story.do("POST", "/api/admin/throttles/clear", {"client": client, "email": email})


async def users(story: Story) -> None:
    app, team, expects, root = story.app, story.team, story.expects, f"admin:{story.root.id}"
    base = f"{CLIENTS}/{team.client}/users"
    found = await new_user(app, team.client, password=GOOD)
    number, me = found[0], f"user:{found[0]}"
    async with expects(Event.USER_CREATED, root, f"user:{number + 1}"):
        await new_user(app, team.client)
    async with expects(Event.USER_CHANGED, root, me):
        await story.do("PATCH", f"{base}/{number}", {"firstName": "Else"})
    async with expects(Event.USER_ROLES_CHANGED, root, me):
        await story.do("PUT", f"{base}/{number}/roles", {"roles": ["Operator"]})
    async with expects(Event.USER_DEACTIVATED, root, me):
        await story.do("POST", f"{base}/{number}/deactivate")
    async with expects(Event.SIGN_IN_REFUSED, "anonymous", me):
        await app.sign_in(found[1], GOOD, team.client)
    async with expects(Event.USER_RESTORED, root, me):
        await story.do("POST", f"{base}/{number}/restore")
    client_admin = f"user:{(await team.member('Admin')).id}"
    guest, token = await invited(team)
    async with expects(Event.INVITATION_ACCEPTED, "anonymous", f"user:{guest}"):
        assert (await accept(app, token)).status == 200
    async with expects(Event.USER_INVITED, client_admin, f"user:{guest + 1}"):
        await invited(team, "second@x.example")
    async with expects(Event.PASSWORD_RESET_STARTED, client_admin, f"user:{guest}"):
        token = await started_reset(team, guest)
    async with expects(Event.PASSWORD_RESET, "anonymous", f"user:{guest}"):
        assert (await reset(app, token, NEW + "-3")).status == 200


async def providers(story: Story) -> None:
    root, base = f"admin:{story.root.id}", f"{CLIENTS}/{story.team.client}/providers"
    body = {"name": "first", "oidc": {"issuer": "https://idp.example", "clientId": "x"}}
    me = f"provider:{(number := (await story.do('POST', base, body))['id'])}"
    async with story.expects(Event.PROVIDER_CHANGED, root, me):
        await story.do("PATCH", f"{base}/first", {"oidc": {"clientId": "y"}})
    for act, event in (("switch-off", Event.PROVIDER_SWITCHED_OFF), ("switch-on", Event.PROVIDER_SWITCHED_ON)):
        async with story.expects(event, root, me):
            await story.do("POST", f"{base}/first/{act}")
    async with story.expects(Event.PROVIDER_DELETED, root, me):
        await story.do("DELETE", f"{base}/first")
    async with story.expects(Event.PROVIDER_CREATED, root, f"provider:{number + 1}"):
        await story.do("POST", base, body)


async def factors(story: Story) -> None:
    app, client, expects = story.app, story.team.client, story.expects
    ada = await second_factors.person(app, client)
    me, token = f"user:{ada.id}", await ada.token()
    codes = await ada.enrol(token)
    async with expects(Event.BROWSER_TRUSTED, "anonymous", me):
        await ada.trusted()
    async with expects(Event.BROWSER_TRUST_ENDED, me, me):
        await app.send("DELETE", f"{second_factors.OWN}/trusted", token=token)
    async with expects(Event.SECOND_FACTOR_FAILED, "anonymous", me):
        await ada.sign_in_with(otp="000")
    async with expects(Event.RECOVERY_CODE_USED, "anonymous", me):
        await ada.sign_in_with(recoveryCode=codes[0])
    async with expects(Event.SECOND_FACTOR_RESET, f"admin:{story.root.id}", me):
        await story.do("POST", f"{CLIENTS}/{client}/users/{ada.id}/factors/reset", {"reason": "Lost phone"})


async def domains(story: Story) -> None:
    root, base, domain = f"admin:{story.root.id}", f"{CLIENTS}/{story.team.client}/domains", "every-event.example"
    me = f"domain:{domain}"
    async with story.expects(Event.DOMAIN_CLAIMED, root, me):
        await story.do("POST", base, {"domain": domain})
    async with story.expects(Event.DOMAIN_VOUCHED, root, me):
        await story.do("POST", f"{base}/{domain}/vouch", {"reason": "known for years"})
    async with story.expects(Event.DOMAIN_RELEASED, root, me):
        await story.do("DELETE", f"{base}/{domain}")


async def clients(story: Story) -> None:
    app, root, expects = story.app, f"admin:{story.root.id}", story.expects
    number = await story.chain()
    me, path = f"client:{number}", f"{CLIENTS}/{story.team.client}"
    assert (Event.CLIENT_CREATED.value, root, me) == (await events(app, number))[0][:3]
    story.seen.add(Event.CLIENT_CREATED)
    async with expects(Event.CLIENT_CHANGED, root, me):
        await story.do("PATCH", path, {"name": "Another"})
    async with expects(Event.BRANDING_CHANGED, root, me):
        await story.do("PATCH", path, {"settings": {"branding": {"accent": "#123456"}}})
    async with expects(Event.CLIENT_SUSPENDED, root, me):
        await story.do("POST", f"{path}/suspend")
    async with expects(Event.CLIENT_RESTORED, root, me):
        await story.do("POST", f"{path}/restore")
    await audit.cut(app.services.store, number, app.clock.ms + 1, app.clock.ms)
    assert [found[:3] for found in await events(app, number)] == [(Event.AUDIT_SWEPT.value, "system", "")]
    story.seen.add(Event.AUDIT_SWEPT)
    async with expects(Event.CLIENT_DELETION_STARTED, root, me), expects(Event.CLIENT_DELETION_STARTED, root, me, 0):
        await story.do("DELETE", path)
    app.clock.advance(31 * 86_400)
    async with expects(Event.CLIENT_DELETED, "system", me, 0):
        await sweep_clients(app.services)


async def admins(story: Story) -> None:
    app, expects = story.app, story.expects
    story.root = await signed_in_admin(app)
    root = f"admin:{story.root.id}"
    me = await another(story.root)
    who, one = f"admin:{me.id}", f"{ADMINS}/{me.id}"
    async with expects(Event.ADMIN_CREATED, root, f"admin:{me.id + 1}", 0):
        await another(story.root)
    async with expects(Event.SECOND_FACTOR_ENROLLED, who, who, 0):
        phone = await enrolled(me)
    async with expects(Event.RECOVERY_CODES_MADE, who, who, 0):
        assert (await me.post(f"{FACTOR}/recovery-codes", {"password": PASSWORD, "otp": phone.code()})).status == 201
    for path, event in (
        ("reset-second-factor", Event.SECOND_FACTOR_REMOVED),
        ("reset-password", Event.ADMIN_PASSWORD_RESET),
        ("disable", Event.ADMIN_DISABLED),
        ("enable", Event.ADMIN_ENABLED),
    ):
        async with expects(event, root, who, 0):
            await story.do("POST", f"{one}/{path}")
    for required in (True, False):
        async with expects(Event.INSTALLATION_CHANGED, root, "", 0):
            reply = await story.root.send("PATCH", "/api/admin/settings", {"secondFactorRequired": required})
            if reply.status != 200:  # the system admin must have a second factor
                await enrolled(story.root)
                await story.do("PATCH", "/api/admin/settings", {"secondFactorRequired": required})


async def keys(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    root, settings = f"admin:{story.root.id}", story.app.services.settings
    [made] = [found for found in await events(story.app) if found[0] == Event.KEYS_MADE.value]
    assert made[1:3] == ("system", "")
    story.seen.add(Event.KEYS_MADE)
    async with story.expects(Event.KEYS_ROTATED, root, "", 0):
        await story.do("POST", "/api/admin/keys/rotate", {"purpose": "refresh"})
    keys = (await story.root.get("/api/admin/keys?first=100")).data["items"]
    old = next(key["id"] for key in keys if key["purpose"] == "refresh" and key["state"] == "verifying")
    async with story.expects(Event.KEY_RETIRED, root, f"key:{old}", 0):
        await story.do("POST", f"/api/admin/keys/{old}/retire", {"atOnce": True})
    for name, value in {**FAST, "MANIFEST_DATABASE_URL": settings.database}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MANIFEST_DATA_DIR", settings.data_dir)
    async with story.expects(Event.SECRETS_REENCRYPTED, "system", "", 0):
        assert await key_commands.reencrypt_all(parser().parse_args(["keys", "reencrypt"])) in (0, 1)
    services, by = story.app.services, Origin(story.app.clock.ms, "system", "", "tests")
    await change_rows(story.app, "audit_heads", {"tenant_id": 0}, mac="of a key that is lost")
    async with (
        story.expects(Event.AUDIT_RESTARTED, "system", "", 0),
        story.expects(Event.SECRET_KEY_LOST, "system", "", 0),
    ):
        await replace_lost(services.store, services.keys, services.sealer, by, "Its disk broke")


#: The order matters, because the client is deleted last.
TOPICS: tuple[Callable[[Story], Awaitable[None]], ...] = (
    passwords,
    users,
    factors,
    providers,
    domains,
    clients,
    admins,
)
