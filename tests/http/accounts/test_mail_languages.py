"""Each email uses the user's language, or else the client's default, or else English."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client, new_user, settle
from tests.support.application import PASSWORD, App
from tests.support.email_changes import ask_own, confirm, mails_by_recipient, person, undo, until_idle
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer, Received
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.rules import rule
from tests.support.team import Team
from tests.support.user_management import FORGOT, INVITE, accept, reset

pytestmark = [pytest.mark.mail, pytest.mark.still, pytest.mark.one_store]


@pytest.fixture(autouse=True)
async def nothing_came(app: App, mail_server: MailServer, another_day: None) -> None:
    await until_idle(app)
    mail_server.mails.clear()
    mail_server.refuses = ""


async def client_of(app: App, language: str, name: str = "") -> Team:
    """A client with this default language."""
    client = await new_client(app, language=language)
    if name:
        path = f"/api/admin/clients/{client}"
        check_success(await app.send("PATCH", path, {"name": name}, token=await app.admin_token()))
    return Team(app, client)


async def chooses(app: App, token: str, language: str | None) -> None:
    check_success(await app.send("PATCH", "/api/client/auth/me", {"language": language}, token=token))


def said(received: Received) -> tuple[str, str]:
    """Language and subject of an email in a form that every mail server accepts."""
    assert received.raw.isascii()
    assert {part.get_content_charset() for part in received.message.iter_parts()} == {"utf-8"}
    return str(received.message["Content-Language"]), str(received.message["Subject"])


async def test_an_invitation_is_in_the_default_of_the_client(app: App, mail_server: MailServer) -> None:
    team = await client_of(app, "ja", "日本精密機械")
    email = f"hanako@{team.client}.example"
    await team.ask("User Admin", INVITE, input={"email": email, "firstName": "花子", "roles": ["Viewer"]})
    received = await mail_server.mail_to(email)
    assert said(received) == ("ja", "日本精密機械: アカウントの準備ができました")
    assert " から日本精密機械への招待が届きました。" in received.text
    assert "リンクは72時間以内に1回だけ使えます。" in received.text
    assert f"コードを入力してください。\n\n{received.token}\n" in received.text
    assert "花子" not in received.text
    check_success(await accept(app, received.token))


async def test_a_reset_is_in_the_language_that_the_user_chose(app: App, mail_server: MailServer) -> None:
    team = await client_of(app, "fr")
    _, email, token = await person(team)
    expected = {
        "de": f"{team.client}: Neues Passwort wählen",
        "en": f"{team.client}: choose a new password",
        None: f"{team.client} : choisissez un nouveau mot de passe",
    }
    for language, subject in expected.items():
        await chooses(app, token, language)
        check_success(await app.post(FORGOT, {"email": email, "client": team.client}))
        received = await mail_server.mail_to(email)
        assert said(received) == (language or "fr", subject)
        app.clock.advance(1)
    await chooses(app, token, "de")
    check_success(await app.post(FORGOT, {"email": email, "client": team.client}))
    received = await mail_server.mail_to(email)
    assert "Der Link gilt einmal, innerhalb von 30 Minuten." in received.text
    check_success(await reset(app, received.token))


async def test_a_reset_by_an_admin_is_in_the_language_of_the_user(app: App, mail_server: MailServer) -> None:
    team = await client_of(app, "pt")
    user_id, email, token = await person(team)
    await chooses(app, token, "es")
    path = f"/api/admin/clients/{team.client}/users/{user_id}/password-reset"
    check_success(await app.post(path, token=await app.admin_token()), 201)
    assert said(await mail_server.mail_to(email)) == ("es", f"{team.client}: elija una contraseña nueva")


async def test_all_emails_about_an_address_change_use_one_language(app: App, mail_server: MailServer) -> None:
    team = await client_of(app, "ja")
    _, old, token = await person(team)
    await chooses(app, token, "pt")
    new = f"other@{team.client}.example"
    check_success(await ask_own(app, token, new))
    mails = await mails_by_recipient(app, mail_server)
    assert said(mails[old]) == ("pt", f"{team.client}: foi pedido outro endereço de e-mail")
    assert said(mails[new]) == ("pt", f"{team.client}: confirme o seu novo endereço")
    assert "durante 24 horas" in mails[new].text
    check_success(await confirm(app, mails[new].token))
    [told] = (await mails_by_recipient(app, mail_server)).values()
    assert (told.recipients, said(told)) == ([old], ("pt", f"{team.client}: o seu endereço de e-mail foi alterado"))
    assert "durante 7 dias" in told.text
    check_success(await undo(app, told.token))
    [last] = (await mails_by_recipient(app, mail_server)).values()
    assert (last.recipients, said(last)) == ([old], ("pt", f"{team.client}: escolha uma nova palavra-passe"))


async def test_the_current_owner_of_the_address_is_notified_in_their_language(
    app: App, mail_server: MailServer
) -> None:
    team = await client_of(app, "en")
    _, own, token = await person(team)
    _, taken, other = await person(team)
    await chooses(app, token, "fr")
    await chooses(app, other, "de")
    check_success(await ask_own(app, token, taken))
    mails = await mails_by_recipient(app, mail_server)
    assert said(mails[own]) == ("fr", f"{team.client} : une autre adresse e-mail a été demandée")
    assert said(mails[taken]) == ("de", f"{team.client}: Diese Adresse hat bereits ein Konto")


async def test_a_new_admin_gets_instructions_in_their_language(app: App, mail_server: MailServer) -> None:
    team = await client_of(app, "es")
    user_id, email, token = await person(team)
    await chooses(app, token, "ja")
    await set_roles(app, team.client, user_id, "Viewer", "Admin")
    received = await mail_server.mail_to(email)
    assert said(received) == ("ja", f"{team.client}: もう一度サインインしてください")
    assert "管理者の役割が付与されました" in received.text


async def test_a_new_default_applies_to_the_next_email(app: App, mail_server: MailServer) -> None:
    team = await client_of(app, "de")
    _, email = await new_user(app, team.client, password=PASSWORD)
    await settle(app, team.client, language="es")
    check_success(await app.post(FORGOT, {"email": email, "client": team.client}))
    assert said(await mail_server.mail_to(email)) == ("es", f"{team.client}: elija una contraseña nueva")


@rule("OUTGOING")
@matrix("name", ["日本\r\nBcc: eve@evil.example", "Acme\nSubject: x", "A\u2028B", "100 % %(x)s {link}"])
async def test_a_name_of_a_client_adds_no_header(app: App, mail_server: MailServer, name: str) -> None:
    """Names with line breaks are rejected; everything else in a name is plain text."""
    team = await client_of(app, "ja")
    path = f"/api/admin/clients/{team.client}"
    reply = await app.send("PATCH", path, {"name": name}, token=await app.admin_token())
    shown = name if reply.status == 200 else team.client
    assert (reply.status == 200) is name.startswith("100")
    email = f"hanako@{team.client}.example"
    await team.ask("User Admin", INVITE, input={"email": email, "roles": ["Viewer"]})
    received = await mail_server.mail_to(email)
    assert (received.recipients, received.message["Bcc"]) == ([email], None)
    assert received.message.get_all("Subject") == [f"{shown}: アカウントの準備ができました"]
    assert f" から{shown}への招待が届きました。" in received.text
