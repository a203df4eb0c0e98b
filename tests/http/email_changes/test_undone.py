"""Undoing a change of address removes what was planted in the account shortly before the request, or later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.http.single_sign_on.test_link_consent import linked
from tests.support.accounts import settle
from tests.support.application import App, running
from tests.support.authenticator import Authenticator
from tests.support.background_jobs import nothing_by_itself
from tests.support.badges import OWN_PIN, PIN, BadgeClient, Enrolled
from tests.support.email_changes import NOTHING_REMOVED, changed, mails_by_recipient, undo, until_idle
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.passkeys import ORIGIN, PASSKEYS, PUBLIC, Holder
from tests.support.people import OidcProvider, oidc_provider, roles_line, user_of
from tests.support.rules import rule
from tests.support.second_factors import OWN, Person, person
from tests.support.single_sign_on import Browser
from tests.support.team import Team
from tests.support.user_management import NEW, events, reset

pytestmark = pytest.mark.one_store
HOUR = 3600
EVERYTHING = {"app": True, "passkeys": 1, "recoveryCodes": True, "identities": 1, "badges": 1, "pin": True}


@pytest.fixture(scope="module")
async def app(database_url: str, mail_server: MailServer) -> AsyncIterator[App]:
    """An application at an address that supports passkeys."""
    with nothing_by_itself():
        async with running(
            database_url, **mail_server.settings, **PUBLIC, MANIFEST_OUTGOING_PRIVATE="127.0.0.1/32"
        ) as application:
            yield application


@dataclass
class Planted:
    """An account to which someone with the password added each kind of sign-in method."""

    company: OidcProvider
    ada: Holder
    kiosk: Enrolled
    badge: str

    @property
    def person(self) -> Person:
        return self.ada.person

    async def opened(self) -> set[str]:
        """The credentials that currently give access to the account."""
        _, at_provider = await self.company.attempt("planter", "planter@mail.example", groups=["ops"])
        tries = {
            "passkey": (await self.ada.sign_in()).status == 200,
            "identity": at_provider.status == 302,
            "badge": (await self.kiosk.sign_in(self.badge)).status == 200,
        }
        return {name for name, opens in tries.items() if opens}


async def plant(team: Team, company: OidcProvider) -> Planted:
    """Add an app, codes, a passkey, an identity with a role from its groups, a badge, and a PIN in one session."""
    app, factory = team.app, BadgeClient(team.app, team.client, await team.member("Admin"))
    await settle(app, team.client, badge={"enabled": True})
    who = await person(app, team.client, "Operator")
    first = await who.sign_in()
    token = check_success(first)["token"]
    await who.enrol(token)
    ada = Holder(who, Authenticator(ORIGIN), token)
    await ada.add()
    browser = Browser(app, {"session": first.cookie("session")})
    assert (await linked(browser, company, "planter", "planter@mail.example", groups=["ops"])).status == 302
    badge = (await factory.badge(who.id))["badge"]
    check_success(await app.post(OWN_PIN, {"pin": PIN}, token=token))
    return Planted(company, ada, await factory.device(), badge)


async def taken(team: Team, mail_server: MailServer, token: str) -> str:
    """Change the account's address; returns the token that undoes it."""
    await until_idle(team.app)
    mail_server.mails.clear()
    return await changed(team, mail_server, token, f"thief@{team.client}.example")


@rule("EMAIL-UNDO")
@matrix("hours", [23, 25])
async def test_recent_credentials_are_removed_and_older_ones_stay(
    team: Team, mail_server: MailServer, hours: int
) -> None:
    lines = [roles_line("ops", "Approver")]
    async with oidc_provider(team.app, team.client, groupRoles=lines, createUsers=False) as company:
        planted = await plant(team, company)
        who, is_new = planted.person, hours < 24
        assert await planted.opened() == {"passkey", "identity", "badge"}
        team.app.clock.advance(hours * HOUR)
        token = check_success(await planted.ada.sign_in())["token"]
        back = await taken(team, mail_server, token)
        team.app.clock.advance(3 * 24 * HOUR)
        data = check_success(await undo(team.app, back))
        assert await planted.opened() == (set() if is_new else {"passkey", "identity", "badge"})
        assert data == {"email": who.email, "resets": True, "removed": EVERYTHING if is_new else NOTHING_REMOVED}
        roles = (await user_of(team.app, team.client, who.id))["roles"]
        assert roles == (["Operator"] if is_new else ["Approver", "Operator", "Viewer"])
        received = (await mails_by_recipient(team.app, mail_server))[who.email]
        assert ("1 passkey was removed." in received.text) is is_new
        if is_new:
            check_success(await reset(team.app, received.token))  # doesn't ask for the attacker's factor
        else:
            error = check_refusal(await reset(team.app, received.token), 401, "MFA_REQUIRED")
            check_success(await who.go_on(error["challenge"], otp=who.code()))
        [event] = await events(team, "email_change_undone")
        assert event.members["void"]["factors"] == (2 if is_new else 0)


@rule("ACT-OF-OPEN-SESSION")
async def test_a_pending_request_adds_nothing_after_the_undo(team: Team, mail_server: MailServer) -> None:
    """Its head arrives while the session is open, and its body after the owner has recovered the account."""
    ada = await person(team.app, team.client)
    thief = Holder(ada, Authenticator(ORIGIN), await ada.token())
    credential = thief.browser.create(await thief.creation_options())
    back = await taken(team, mail_server, thief.token)
    late = await team.app.post(
        PASSKEYS, {"credential": credential}, token=thief.token, meanwhile=lambda: undo(team.app, back)
    )
    check_refusal(late, 401, "INVALID_TOKEN")
    check_refusal(await thief.sign_in(), 401, "INVALID_CREDENTIALS")
    link = (await mails_by_recipient(team.app, mail_server))[ada.email].token
    check_success(await reset(team.app, link))  # doesn't ask for the attacker's factor


@rule("EMAIL-UNDO")
async def test_codes_and_a_secret_that_waits_go_though_the_app_is_older(team: Team, mail_server: MailServer) -> None:
    ada = await person(team.app, team.client)
    await ada.enrol(await ada.token())
    team.app.clock.advance(25 * HOUR)
    thief = check_success(await ada.answered())["token"]
    stolen = check_success(await team.app.post(f"{OWN}/recovery-codes", token=thief), 201)["recoveryCodes"]
    check_success(await team.app.post(f"{OWN}/totp", token=thief), 201)
    back = await taken(team, mail_server, thief)
    assert check_success(await undo(team.app, back))["removed"] == {**NOTHING_REMOVED, "recoveryCodes": True}
    link = (await mails_by_recipient(team.app, mail_server))[ada.email].token
    challenge = check_refusal(await reset(team.app, link), 401, "MFA_REQUIRED")["challenge"]
    check_refusal(await ada.go_on(challenge, recoveryCode=stolen[0]), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(challenge, otp=ada.code()))
    challenge = check_refusal(await ada.sign_in(password=NEW), 401, "MFA_REQUIRED")["challenge"]
    token = check_success(await ada.go_on(challenge, otp=ada.code()))["token"]
    confirmed = await team.app.post(f"{OWN}/totp/confirm", {"otp": "000000"}, token=token)
    check_refusal(confirmed, 409, "CONFLICT")  # no secret is pending
