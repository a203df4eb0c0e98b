"""Rows that the sweep deletes or keeps: an object of each table is used, the clock moves, and it's used again.

If a row is deleted too early, a used object works a second time, or something valid stops working. For each object, an
unused one shows that the first is rejected because it was used, not because it expired.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from manifest_auth.maintenance.background_jobs import EXPIRING
from tests.interop.microsoft.directory_prover import GLOBAL, prover_of
from tests.interop.microsoft.microsoft_setup import setup_on
from tests.support import machines
from tests.support.accounts import Keys, keys_of, new_client, new_user, opened_by
from tests.support.application import PASSWORD, App, Reply
from tests.support.attempt_limits import DAY, PROXY, at, besiege, guess
from tests.support.background_jobs import sweep_expired
from tests.support.badges import ENROL, badge_client
from tests.support.email_changes import ask_own, changed, confirm, mails_by_recipient, undo, until_idle
from tests.support.email_changes import person as with_address
from tests.support.headsets import Headset, wearer
from tests.support.mail_server import MailServer
from tests.support.oauth_callers import GRANT, TOKEN, basic, form, machine
from tests.support.passkeys import PUBLIC, with_passkey
from tests.support.people import oidc_provider
from tests.support.second_factors import enrolled
from tests.support.single_sign_on import begun, query_of, saml_provider
from tests.support.system_admins import AUTH, sign_in
from tests.support.team import new_team
from tests.support.user_management import INVITE, accept
from tests.support.visitor import Visitor

pytestmark = [
    pytest.mark.still,
    pytest.mark.mail,
    pytest.mark.one_store,
    pytest.mark.settings(**PUBLIC, **PROXY, MANIFEST_OUTGOING_PRIVATE="127.0.0.1/32"),
]
MINUTE, HOUR = 60, 3600


@dataclass
class Story:
    """One case: the responses of its calls, and the expected ones."""

    app: App
    mail_server: MailServer
    wrong: list[str] = field(default_factory=list)

    async def later(self, seconds: float = 0) -> None:
        """Move the clock, and sweep everything that has expired by then."""
        self.app.clock.advance(seconds)
        await sweep_expired(self.app)

    def cell(self, what: str, found: Reply | object, *wanted: object) -> None:
        """Record the status of a response, with its error code."""
        if isinstance(found, Reply):
            found = (found.status, found.refusal or (found.json or {}).get("error", ""))[: len(wanted)]
        if found != (wanted if isinstance(found, tuple) else wanted[0]):
            self.wrong.append(f"{what}: {found}, not {wanted}")


async def sign_in_flows(story: Story) -> None:
    async with oidc_provider(story.app) as company:
        company.knows("ada", "ada@acme.example")
        (one, used), (other, late) = [await begun(story.app, company.op, company.client) for _ in range(2)]
        cookies = dict(one.cookies)
        story.cell("at once", await one.send("GET", used), 302)
        await story.later(599)
        story.cell("under way for ten minutes", await other.send("GET", late), 302)
        one.cookies = cookies
        story.cell("used", await one.send("GET", used), 401, "SSO_FAILED")


async def directory_proofs(story: Story) -> None:
    async with setup_on(story.app.database) as setup:
        setup.microsoft.id_claims = {"wids": [GLOBAL]}
        prover = await prover_of(setup)
        begun = [(await prover.begin()).data["location"] for _ in range(2)]
        used, late, again = [setup.microsoft.visit(begun[number], "alice") for number in (0, 1, 0)]  # one code each
        cookies = dict(prover.browser.cookies)
        story.cell("at once", await prover.browser.send("GET", used), 302)
        setup.app.clock.advance(599)
        await sweep_expired(setup.app)
        story.cell("under way for ten minutes", await prover.browser.send("GET", late), 302)
        prover.browser.cookies = cookies
        story.cell("used", await prover.browser.send("GET", again), 401, "SSO_FAILED")


async def sign_in_codes(story: Story) -> None:
    async def exchange(code: str) -> Reply:
        return await story.app.post("/api/client/auth/exchange", {"code": code})

    async with oidc_provider(story.app) as company:
        company.knows("ada", "ada@acme.example")
        codes = []
        for _ in range(4):
            browser, back = await begun(story.app, company.op, company.client, response="code")
            codes.append(query_of(await browser.send("GET", back))["code"])
        first, other, third = [Keys.of(await exchange(code)) for code in (codes[0], codes[1], codes[3])]
        await story.later(59)
        story.cell("unused for a minute", await exchange(codes[2]), 200)
        story.cell("used", await exchange(codes[0]), 401, "SSO_FAILED")
        story.cell("the session of a used code that is shown again", await opened_by(story.app, first), [])
        await story.later(HOUR)
        story.cell("used an hour ago", await exchange(codes[3]), 401, "SSO_FAILED")
        story.cell("the session of that one", await opened_by(story.app, third), [])
        story.cell("the session of another", (await story.app.refresh(other.refresh_token)), 200)


async def seen_assertions(story: Story) -> None:
    okta = await saml_provider(story.app, await new_client(story.app))
    used, other, spare = [okta.response() for _ in range(3)]
    for response in (used, other):
        story.cell("at once", await okta.call(response), 200)
    life = 0
    while (await okta.call(okta.response(now_ms=story.app.clock.ms - (life + 30) * 1000))).status == 200:
        life += 30
    await story.later(life)
    story.cell("unused, as long as one of its age works", await okta.call(spare), 200)
    story.cell("used, as long", await okta.call(used), 401, "SSO_FAILED")


async def sign_in_challenges(story: Story) -> None:
    ada = await enrolled(story.app)
    assert ada.phone is not None
    used, other, spare, tried = [(await ada.challenge())["challenge"] for _ in range(4)]
    for challenge in (used, other):
        story.cell("at once", await ada.go_on(challenge, otp=ada.code()), 200)
    for _ in range(4):
        story.cell("wrong", await ada.go_on(tried, otp=ada.wrong()), 401, "MFA_REQUIRED")
    await story.later(539)
    story.cell("unused for ten minutes", await ada.go_on(spare, otp=ada.phone.code()), 200)
    story.cell("used", await ada.go_on(used, otp=ada.phone.code(1)), 401, "INVALID_TOKEN")
    story.cell("a fifth wrong answer", await ada.go_on(tried, otp=ada.wrong()), 401, "INVALID_TOKEN")
    story.cell("a right one after five", await ada.go_on(tried, otp=ada.phone.code(1)), 401, "INVALID_TOKEN")


async def used_passkey_challenges(story: Story) -> None:
    ada = await with_passkey(story.app)
    used, other, spare = [ada.browser.get(await ada.options()) for _ in range(3)]
    again = "/api/client/auth/reauthenticate"
    asked = [(await story.app.post(f"{again}/options", token=ada.token)).data["publicKey"] for _ in range(3)]
    proofs = [{"credential": ada.browser.get(public, by=ada.browser.made[0])} for public in asked]
    for number, answer in enumerate((used, other)):
        story.cell("at once", await ada.send(answer), 200)
        story.cell("a proof at once", await story.app.post(again, proofs[number], token=ada.token), 200)
    await story.later(599)
    story.cell("used", await ada.send(used), 401, "INVALID_CREDENTIALS")
    story.cell("unused for ten minutes", await ada.send(spare), 200)
    for number, status in ((0, 401), (2, 200)):
        story.cell(f"proof {number}", await story.app.post(again, proofs[number], token=ada.token), status)


async def used_assertions(story: Story) -> None:
    ours = await machine(story.app, await new_client(story.app))
    until = story.app.clock.ms // 1000 + 300
    used, other, spare = [ours.signed(jti=text, exp=until) for text in ("used", "other", "spare")]
    for fields in (used, other):
        story.cell("at once", await form(story.app, TOKEN, {**GRANT, **fields}), 200)
    await story.later(299)
    story.cell("unused for five minutes", await form(story.app, TOKEN, {**GRANT, **spare}), 200)
    story.cell("used", await form(story.app, TOKEN, {**GRANT, **used}), 401, "invalid_client")


async def refused_tokens(story: Story) -> None:
    ours = await machine(story.app, await new_client(story.app))
    used, other, spare = [await ours.token() for _ in range(3)]
    for token in (used, other):
        await ours.revoke(token)
    await story.later(15 * MINUTE - 1)
    for what, token, status in (("revoked", used, 401), ("later", other, 401), ("to its end", spare, 200)):
        story.cell(what, await story.app.graphql("{ __typename }", token), status)


async def trusted_browsers(story: Story) -> None:
    ada = await enrolled(story.app)
    cookie = f"__Host-trust={(await ada.answered(trust=True)).cookie('__Host-trust')}"
    await story.later(30 * DAY - 1)
    story.cell("trusted for thirty days", await ada.sign_in(cookies=cookie), 200)
    await story.later(1)
    story.cell("after them", await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")


async def device_grants(story: Story) -> None:
    ada = await wearer(story.app, code=True)
    sets: list[Headset] = [ada.headset() for _ in range(6)]
    used, copied, control, denied, late, pending = [(one, (await one.ask())["user_code"]) for one in sets]
    tokens = []
    for one, code in (used, copied, control):
        await ada.by_code("approve", code)
        tokens.append(await one.tokens())
    await ada.by_code("deny", denied[1])
    await story.later(590)
    story.cell("a used user code", await ada.by_code("lookup", used[1]), 404)
    story.cell("denied", await denied[0].poll(), 400, "access_denied")
    story.cell("asked for ten minutes ago", await ada.by_code("approve", late[1]), 200)
    story.cell("its device", await late[0].poll(), 200)
    story.cell("used, within its time", await copied[0].poll(), 400, "invalid_grant")
    await story.later(HOUR)
    story.cell("never approved", await pending[0].poll(), 400, "expired_token")
    story.cell("used", await used[0].poll(), 400, "invalid_grant")
    for (one, _), pair in zip((used, copied), tokens, strict=False):
        shown = await one.refresh(pair["refresh_token"])
        story.cell("whose code was shown again", shown, 400, "invalid_grant")
    story.cell("whose code was not", await control[0].refresh(tokens[2]["refresh_token"]), 200)


async def pairings(story: Story) -> None:
    ada = await wearer(story.app)
    used, spare = await ada.begin(), await ada.begin()
    shown = await ada.headset().scan(used["qr"])
    await ada.approve(used, shown["match"])
    await story.later(59)
    again = await ada.headset().post("/oauth2/pairing", pairing_code=used["qr"], device_name="Quest 3")
    story.cell("scanned", again, 400, "invalid_grant")
    match = (await ada.headset().scan(spare["qr"]))["match"]
    await story.later(50)
    story.cell("scanned after a minute, approved after two", await ada.approve(spare, match), 200)
    await story.later(480)
    for one in (used, spare):
        story.cell("looked at for ten minutes", await ada.send("GET", f"/pairings/{one['id']}"), 200)


async def throttles(story: Story) -> None:
    _, email = await new_user(story.app, password=PASSWORD)
    for _ in range(5):
        story.cell("guessed", await guess(story.app, email, "198.51.100.1"), 401)
    await story.later(23 * HOUR)
    story.cell("a sixth guess after hours", await guess(story.app, email, "198.51.100.1"), 401)
    story.cell("counts with the others", await guess(story.app, email, "198.51.100.1", PASSWORD), 429)
    await story.later(2 * DAY)
    story.cell("days later", await guess(story.app, email, "198.51.100.1", PASSWORD), 200)


async def sessions(story: Story) -> None:
    lasting, ended, stolen = [await keys_of(story.app) for _ in range(3)]
    await story.app.post("/api/client/auth/sign-out", token=ended.token)
    child = (await story.app.refresh(stolen.refresh_token)).data["refreshToken"]
    grandchild = (await story.app.refresh(child)).data["refreshToken"]
    await story.app.refresh(grandchild)
    for _ in range(5):
        await story.later(6 * DAY - 1)
        story.cell("used in each week", await story.app.me(cookie=lasting.cookie), 200)
    story.cell("renewed before a month is over", await story.app.refresh(lasting.refresh_token), 200)
    story.cell("signed out", await story.app.refresh(ended.refresh_token), 401, "INVALID_TOKEN")
    story.cell("a replaced token", await story.app.refresh(stolen.refresh_token), 401, "INVALID_TOKEN")
    story.cell("ends its session", await story.app.refresh(grandchild), 401, "INVALID_TOKEN")


async def admin_sessions(story: Story) -> None:
    lasting, ended = [(await sign_in(story.app, "root")).data for _ in range(2)]
    await story.app.post(f"{AUTH}/sign-out", token=ended["token"])
    await story.later(12 * HOUR - 1)
    for one, status in ((lasting, 200), (ended, 401)):
        refreshed = await story.app.post(f"{AUTH}/refresh", {"refreshToken": one["refreshToken"]})
        story.cell("to its end" if status == 200 else "signed out", refreshed, status)


async def invitations(story: Story) -> None:
    team, tokens = await new_team(story.app), []
    for name in ("used", "other", "spare"):
        email = f"{name}@{team.client}.example"
        await team.ask("Admin", INVITE, input={"email": email, "roles": ["Viewer"]})
        tokens.append((await mails_by_recipient(story.app, story.mail_server))[email].token)
    for token in tokens[:2]:
        story.cell("at once", await accept(story.app, token), 200)
    await story.later(72 * HOUR - 1)
    story.cell("used", await accept(story.app, tokens[0]), 401, "INVALID_TOKEN")
    story.cell("for three days", await accept(story.app, tokens[2]), 200)


async def email_changes(story: Story) -> None:
    team = await new_team(story.app)
    backs = []
    for name in ("used", "spare"):
        _, _, token = await with_address(team)
        backs.append(await changed(team, story.mail_server, token, f"{name}@{team.client}.example"))
    story.cell("undone at once", await undo(story.app, backs[0]), 200)
    _, _, token = await with_address(team)
    await ask_own(story.app, token, f"late@{team.client}.example")
    late = (await mails_by_recipient(story.app, story.mail_server))[f"late@{team.client}.example"].token
    await story.later(DAY - 1)
    story.cell("confirmed after a day", await confirm(story.app, late), 200)
    [back] = [one.token for one in (await mails_by_recipient(story.app, story.mail_server)).values()]
    await story.later(6 * DAY)
    story.cell("undone after a week", await undo(story.app, backs[1]), 200)
    story.cell("undone before", await undo(story.app, backs[0]), 401, "INVALID_TOKEN")
    await story.later(DAY - 1)
    story.cell("confirmed", await confirm(story.app, late), 401, "INVALID_TOKEN")
    story.cell("undone a week after it was confirmed", await undo(story.app, back), 200)


async def service_secrets(story: Story) -> None:
    ours = await machines.machine(story.app, await new_client(story.app))
    lasting = await machines.new_key(story.app, ours.client, ours.id, expiresInDays=90)
    await story.app.send("DELETE", f"{ours.base}/keys/{ours.key.id}", token=await story.app.admin_token())
    await story.later(90 * DAY - 1)
    story.cell("to its end", await machines.ask(story.app, lasting.text, "{ __typename }"), 200)
    story.cell("revoked", await machines.ask(story.app, ours.key.text, "{ __typename }"), 401)


async def app_secrets(story: Story) -> None:
    client, admin = await new_client(story.app), await story.app.admin_token()
    apps = f"/api/admin/clients/{client}/apps"
    body = {"name": "Reports", "kind": "web", "redirectUris": ["https://reports.example.com/callback"]}
    at = f"{apps}/{(made := (await story.app.post(apps, body, token=admin)).data)['id']}/secrets"
    first = (await story.app.post(at, token=admin)).data
    rotated = await story.app.post(f"{at}/{first['id']}/rotate", {"overlapHours": 24}, token=admin)

    async def ask(secret: str) -> Reply:
        fields = {"grant_type": "authorization_code", "code": "x", "code_verifier": "x" * 43, "redirect_uri": "x"}
        return await form(story.app, f"/o/{client}/token", fields, basic(made["id"], secret))

    await story.later(DAY - 1)
    story.cell("to its end", await ask(first["secret"]), 400, "invalid_grant")
    for seconds in (1, 31 * DAY):
        await story.later(seconds)
        story.cell("rotated", await ask(first["secret"]), 401, "invalid_client")
        story.cell("without an end", await ask(rotated.data["secret"]), 400, "invalid_grant")


async def badges(story: Story) -> None:
    factory = await badge_client(story.app)
    ada, eve, kiosk = await factory.person(), await factory.person(), await factory.device()
    await factory.do("DELETE", f"/users/{eve.id}/badges/{eve.badge_id}")
    for _ in range(5):
        await story.later(73 * DAY - 1)
        story.cell("a badge for a year", await kiosk.sign_in(ada.badge), 200)
    story.cell("ended", await kiosk.sign_in(eve.badge), 401, "INVALID_CREDENTIALS")
    await story.later(5)
    story.cell("over", await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")


async def device_enrolments(story: Story) -> None:
    factory = await badge_client(story.app)
    used, other, spare = [(await factory.code())["code"] for _ in range(3)]
    for code in (used, other):
        story.cell("at once", await story.app.post(ENROL, {"code": code}), 200)
    await story.later(599)
    story.cell("used", await story.app.post(ENROL, {"code": used}), 401, "INVALID_TOKEN")
    story.cell("unused for ten minutes", await story.app.post(ENROL, {"code": spare}), 200)


async def removed_devices(story: Story) -> None:
    factory = await badge_client(story.app)
    ada, removed, kept = await factory.person(), await factory.device(), await factory.device()
    await factory.do("DELETE", f"/devices/{removed.id}")
    for seconds in (0, HOUR, DAY):
        await story.later(seconds)
        story.cell("removed", await removed.sign_in(ada.badge), 401, "INVALID_TOKEN")
        story.cell("kept", await kept.sign_in(ada.badge), 200)


async def unused_devices(story: Story) -> None:
    factory = await badge_client(story.app)
    ada, kiosk, idle = await factory.person(), await factory.device(), await factory.device()
    for _ in range(2):
        await story.later(89 * DAY)
        story.cell("used in each quarter", await kiosk.sign_in(ada.badge), 200)
    story.cell("unused for longer", await idle.sign_in(ada.badge), 401, "INVALID_TOKEN")


async def submitted_forms(story: Story) -> None:
    client, path = await new_client(story.app), "/console/invite"
    _, email = await new_user(story.app, client, password=PASSWORD, roles=["Admin"])
    reply = await story.app.sign_in(email, PASSWORD, client=client)
    visitor = Visitor(story.app, {"__Host-session": reply.cookie("session"), "session": reply.cookie("session")})
    fields = (await visitor.get(path)).form(path).fields | {"people": f"new@{client}.example"}
    first = await visitor.post(path, fields)
    await story.later(DAY - 1)
    story.cell("sent again within a day", (await visitor.post(path, fields)).location, first.location)
    await story.later(1)
    story.cell("after a day", (await visitor.post(path, fields)).status, 409)


async def known_origins(story: Story) -> None:
    _, email = await new_user(story.app, password=PASSWORD)
    device = (await guess(story.app, email, "203.0.113.5", PASSWORD)).cookie("__Host-device")
    await story.later(399 * DAY)
    story.cell("guesses of strangers", await besiege(story.app, email), 429)
    story.cell("of an unknown device", await guess(story.app, email, "198.51.100.77", PASSWORD), 429)
    known = await story.app.sign_in(email, headers={"Cookie": f"__Host-device={device}", **at("198.51.100.77")})
    story.cell("of a known one", known, 200)


CASES: dict[str, Callable[[Story], Awaitable[None]]] = {
    "sign_in_flows.expires_at": sign_in_flows,
    "directory_proofs.expires_at": directory_proofs,
    "sign_in_codes.expires_at": sign_in_codes,
    "seen_assertions.expires_at": seen_assertions,
    "sign_in_challenges.expires_at": sign_in_challenges,
    "used_passkey_challenges.expires_at": used_passkey_challenges,
    "used_assertions.expires_at": used_assertions,
    "trusted_browsers.ends_at": trusted_browsers,
    "refused_tokens.expires_at": refused_tokens,
    "device_grants.expires_at": device_grants,
    "pairings.expires_at": pairings,
    "throttles.updated_at": throttles,
    "sessions.ends_at": sessions,
    "admin_sessions.ends_at": admin_sessions,
    "invitations.expires_at": invitations,
    "email_changes.expires_at": email_changes,
    "service_secrets.ends_at": service_secrets,
    "app_secrets.ends_at": app_secrets,
    "badges.ends_at": badges,
    "device_enrolments.expires_at": device_enrolments,
    "enrolled_devices.removed_at": removed_devices,
    "enrolled_devices.seen_at": unused_devices,
    "submitted_forms.made_at": submitted_forms,
    "known_origins.seen_at": known_origins,
}


async def test_what_is_swept_works_no_second_time_and_what_works_is_not_swept(
    app: App, mail_server: MailServer
) -> None:
    swept: list[Any] = [expiring.find.source.whereclause.left for expiring in EXPIRING if expiring.part is None]
    assert {str(column) for column in swept} == set(CASES)  # every table has a case
    wrong = {}
    for name, tell in CASES.items():
        app.clock.advance(3 * DAY)  # nothing is throttled
        await until_idle(app)
        mail_server.mails.clear()
        story = Story(app, mail_server)
        try:
            await tell(story)
        except Exception:  # noqa: BLE001 - the other cases are told too
            story.wrong.append(traceback.format_exc(limit=-3))
        if story.wrong:
            wrong[name] = story.wrong
    assert not wrong, "\n".join(f"{name}\n  " + "\n  ".join(cells) for name, cells in wrong.items())
