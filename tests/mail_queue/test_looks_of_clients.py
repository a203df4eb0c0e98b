"""An email has the client's look at the time when it's sent, and an invitation names the inviter."""

from __future__ import annotations

import pytest

from manifest_auth.accounts import mail_queue
from manifest_auth.store import StoreUnavailable, TenantUnit
from tests.mail_queue.test_mail_queue import MINUTE, app, invite, mail_server, team
from tests.support.accounts import settle
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer, Received
from tests.support.pictures import Picture
from tests.support.team import Team

__all__ = ["app", "mail_server", "team"]
SMALL, LARGE = Picture(800, 240).encoded(), Picture(800, 240, pixels=b"x" * 65_536).encoded()


async def brand(app: App, client: str, logo: bytes) -> None:
    await settle(app, client, branding={"name": "Engines & Co", "accent": "#ffcc00"})
    token, path, kind = (
        await app.admin_token(),
        f"/api/admin/clients/{client}/branding/logo",
        {"Content-Type": "image/png"},
    )
    check_success(await app.send("PUT", path, content=logo, token=token, headers=kind))


def kinds(received: Received) -> list[str]:
    return [part.get_content_type() for part in received.message.walk()]


async def test_it_has_the_look_of_the_moment_when_it_is_sent(team: Team, mail_server: MailServer) -> None:
    """The queue contains only the text, so that rows are small and programs of other releases can read them."""
    mail_server.refuses = "451 try again later"
    await invite(team)
    await brand(team.app, team.client, SMALL)
    mail_server.refuses = ""
    team.app.clock.advance(2 * MINUTE)
    await team.app.services.mail_queue.sweep()
    received = await mail_server.next_mail()
    assert kinds(received)[-2:] == ["text/html", "image/png"]
    assert 'alt="Engines &amp; Co"' in received.html
    assert "background:#ffcc00;color:#000000" in received.html
    assert f"{team.client}: your account is ready" == received.message["Subject"]


async def test_a_large_logo_is_left_to_the_pages(team: Team, mail_server: MailServer) -> None:
    await brand(team.app, team.client, LARGE)
    await invite(team)
    received = await mail_server.next_mail()
    assert "image/png" not in kinds(received)
    assert "Engines &amp; Co" in received.html
    assert len(received.raw) < 16_000


async def test_a_client_without_a_brand_has_its_name(team: Team, mail_server: MailServer) -> None:
    await invite(team)
    received = await mail_server.next_mail()
    assert f'font-weight:bold">{team.client}</td>' in received.html


async def test_an_email_goes_out_though_its_look_cannot_be_read(
    team: Team, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(unit: TenantUnit) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(mail_queue, "look_of", away)
    assert (await invite(team))["sent"] is True
    assert 'font-weight:bold">Manifest</td>' in mail_server.mails[0].html


async def test_an_invitation_names_who_invites(team: Team, mail_server: MailServer) -> None:
    inviter = await team.member("User Admin")
    named = {("Ada", "Lovelace"): f"Ada Lovelace ({inviter.email})", ("Win", "evil.example"): inviter.email}
    for number, ((first, last), said) in enumerate(named.items()):
        me = {"firstName": first, "lastName": last}
        check_success(await team.app.send("PATCH", "/api/client/auth/me", me, token=inviter.token))
        await invite(team, f"n{number}@engines.example")
        received = await mail_server.mail_to(f"n{number}@engines.example")
        assert f"{said} invited you to {team.client}." in received.text
        assert f"{said} invited you to {team.client}." in received.html
        assert "evil.example" not in received.text


async def test_a_system_admin_is_not_named(team: Team, mail_server: MailServer) -> None:
    token, path = await team.app.admin_token(), f"/api/admin/clients/{team.client}/users"
    user = check_success(
        await team.app.post(path, {"email": "b@engines.example", "roles": ["Viewer"]}, token=token), 201
    )
    check_success(await team.app.post(f"{path}/{user['id']}/invitation", token=token), 201)
    received = await mail_server.mail_to("b@engines.example")
    assert f"You have a new account at {team.client}." in received.text
    assert "invited you to" not in received.text
