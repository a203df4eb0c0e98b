"""Emails about a user's own second factors report each change immediately, with its origin and without secrets."""

from __future__ import annotations

import pytest

from tests.http.single_sign_on.test_link_consent import linked
from tests.support.accounts import new_client
from tests.support.application import PASSWORD, App
from tests.support.badges import OWN_PIN, PIN, badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import OidcProvider, member, oidc_provider
from tests.support.rules import rule
from tests.support.second_factors import OWN, Person, enrolled, mails_queued, person
from tests.support.single_sign_on import Browser
from tests.support.system_admins import Phone
from tests.support.team import Team
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.mail, pytest.mark.one_store]
AUTH = "/api/client/auth"


async def _told(ada: Person, mail_server: MailServer) -> tuple[str, str]:
    received = await mail_server.mail_to(ada.email)
    return str(received.message["Subject"]).removeprefix(f"{ada.client}: "), " ".join(received.text.split())


@rule("SECOND-FACTOR-CHANGES")
async def test_each_change_is_told_to_the_address(app: App, mail_server: MailServer) -> None:
    mail_server.mails.clear()
    ada = await person(app)
    token = await ada.token()
    begun = check_success(await app.post(f"{OWN}/totp", token=token), 201)
    ada.phone = Phone(app, begun["secret"])
    check_success(await app.post(f"{OWN}/totp/confirm", {"otp": ada.phone.code()}, token=token))
    subject, text = await _told(ada, mail_server)
    assert subject == "a second factor was set up"
    assert "An authenticator app was set up" in text
    assert "from the IP address 192.0.2.1" in text
    assert begun["secret"] not in text
    codes = check_success(await app.post(f"{OWN}/recovery-codes", token=token), 201)["recoveryCodes"]
    subject, text = await _told(ada, mail_server)
    assert (subject, "192.0.2.1" in text) == ("new recovery codes", True)
    assert not [code for code in codes if code in text]
    check_success(await app.send("DELETE", f"{OWN}/totp", token=token))
    subject, text = await _told(ada, mail_server)
    assert subject == "a second factor was removed"
    assert "The authenticator app was removed" in text
    assert mail_server.mails == []


@rule("SECOND-FACTOR-RESET")
async def test_a_reset_is_told_without_the_words_of_the_one_who_did_it(app: App, mail_server: MailServer) -> None:
    mail_server.mails.clear()
    team = Team(app, await new_client(app))
    ada = await person(app, team.client)
    path, token = f"/api/client/users/{ada.id}/factors/reset", (await team.member("User Admin")).token
    check_success(await app.post(path, {"reason": "Visit https://evil.example now"}, token=token))
    subject, text = await _told(ada, mail_server)
    assert subject == "your second factors were reset"
    assert "evil" not in text


@rule("EMAIL-UNDO")
@matrix("by", ["consent", "a User Admin's provider", "an Admin's provider"])
async def test_an_identity_is_told_to_the_user_who_must_not_expect_it(app: App, by: str) -> None:
    async with oidc_provider(app, vouches=True) as company:
        ada = await member(app, company.client)
        if by == "a User Admin's provider":
            clerk = await member(app, company.client, "User Admin")
            await company.change(token=clerk.token, createUsers=False)
        with mails_queued(app) as queued:
            if by == "consent":
                await linked(Browser(app, {"session": ada.cookie}), company, "ada")
            else:
                await company.sign_in("ada", ada.email)
        assert queued == ([] if by == "an Admin's provider" else [(ada.email, "identity_linked")])


@rule("PROVIDER-RANK")
@matrix("by", ["User Admin", "Admin"])
async def test_a_provider_that_someone_else_vouches_for_is_told_at_the_next_sign_in(app: App, by: str) -> None:
    """An admin can redirect it to another provider and back, and sign in as its people, so each of them is notified."""
    told = "changed_provider_used"
    async with oidc_provider(app, vouches=True) as company:
        ada, manager = await member(app, company.client), await member(app, company.client, by)
        await company.sign_in("ada", ada.email)
        with provider(app.clock, alg="ES256") as other, mails_queued(app) as queued:
            await company.change(token=manager.token, createUsers=False)
            await company.sign_in("ada", ada.email)
            there = {"issuer": other.issuer, "clientSecret": other.client_secret}
            changed = await company.change(token=manager.token, oidc=there)
            for _ in range(2):
                await OidcProvider(app, other, company.client, changed).sign_in("ada")
            assert queued == ([(ada.email, told)] if by == "User Admin" else [])
            back = {"issuer": company.op.issuer, "clientSecret": company.op.client_secret}
            await company.change(token=manager.token, oidc=back)
            await company.change(oidc={"clientId": company.op.client_id, "scopes": ["openid", "email", "phone"]})
            app.clock.advance(60)
            browser = await company.sign_in("ada", ada.email)
            assert queued == ([(ada.email, told)] * 2 if by == "User Admin" else [])
            page = await browser.send("GET", "/account")
            assert ("Sign-in through a provider with changed settings" in page.text) is (by == "User Admin")


@rule("BADGE-OWNER")
async def test_badges_and_pins_are_told_to_their_user(app: App, mail_server: MailServer) -> None:
    """By email immediately, no matter who made the change, and on the account page after the next sign-in."""
    factory = await badge_client(app)
    ada, kiosk = await person(app, factory.client, "Operator"), await factory.device()
    mine = await ada.token()
    app.clock.advance(60)
    mail_server.mails.clear()
    made = await factory.badge(ada.id, "temporary")
    subject, text = await _told(ada, mail_server)
    assert (subject, made["badge"] in text) == ("a badge was issued", False)
    pin = await factory.temporary(ada.id)
    subject, text = await _told(ada, mail_server)
    assert (subject, pin in text) == ("a temporary PIN was created", False)
    check_success(await kiosk.sign_in(made["badge"], pin, newPin=PIN))
    subject, text = await _told(ada, mail_server)
    assert (subject, "from the IP address 192.0.2.1" in text, PIN in text) == ("a PIN was set", True, False)
    check_success(await app.post(OWN_PIN, {"pin": PIN}, token=mine))
    assert (await _told(ada, mail_server))[0] == "a PIN was set"
    await factory.do("DELETE", f"/users/{ada.id}/badges/{made['id']}")
    assert mail_server.mails == []
    page = await Visitor(app, {"session": (await ada.sign_in()).cookie("session")}).get("/account")
    for told in ("Badge issued", "Temporary PIN issued", "PIN set", "Badge revoked"):
        assert told in page.text


async def test_a_recovery_code_that_proves_someone_again_is_told(app: App) -> None:
    ada = await enrolled(app)
    token = check_success(await ada.answered())["token"]
    body = {"password": PASSWORD, "recoveryCode": ada.recovery_codes[0]}
    with mails_queued(app) as made:
        check_success(await app.post(f"{AUTH}/reauthenticate", body, token=token))
    assert made == [(ada.email, "recovery_code_used")]


async def test_wrong_codes_behind_the_right_password_are_told_wherever_they_are_typed(app: App) -> None:
    """Four at sign-ins, and the fifth in a session."""
    ada = await enrolled(app)
    token = check_success(await ada.answered())["token"]
    with mails_queued(app) as made:
        challenge = (await ada.challenge())["challenge"]
        for _ in range(4):
            check_refusal(await ada.go_on(challenge, otp=ada.wrong()), 401, "MFA_REQUIRED")
        assert made == []
        app.clock.advance(60)
        body = {"otp": ada.wrong()}
        check_refusal(await app.post(f"{AUTH}/reauthenticate", body, token=token), 401, "INVALID_CREDENTIALS")
        assert made == []  # a code alone doesn't show that the password is known
        app.clock.advance(60)
        again = {"password": PASSWORD, "otp": ada.wrong()}
        check_refusal(await app.post(f"{AUTH}/reauthenticate", again, token=token), 401, "INVALID_CREDENTIALS")
        assert made == [(ada.email, "second_factor_failed")]
