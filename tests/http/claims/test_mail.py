"""Emails to Admins and the operator about a missing DNS record, and about a domain that two clients claim."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import act_on, new_client, new_user
from tests.support.application import App, running
from tests.support.background_jobs import check_domains, domain_checks_stand_still
from tests.support.domain_claims import Claimed, claimed
from tests.support.email_changes import until_idle
from tests.support.mail_server import MailServer
from tests.support.name_servers import NameServer, txt

pytestmark = pytest.mark.one_store

DAY = 86400
OPERATOR = "operator@manifest.example"


@pytest.fixture(scope="module")
async def app(database_url: str, mail_server: MailServer, zone: NameServer) -> AsyncIterator[App]:
    settings = {"MANIFEST_OPERATOR_EMAIL": OPERATOR, "MANIFEST_DNS_SERVERS": zone.address}
    with domain_checks_stand_still():
        async with running(database_url, **mail_server.settings, **settings) as application:
            yield application


async def admins_of(app: App, client: str) -> list[str]:
    """Two Admins of a client that also has a deactivated Admin and a User Admin."""
    found = [(await new_user(app, client, roles=["Admin"]))[1] for _ in range(2)]
    gone, _ = await new_user(app, client, roles=["Admin"])
    await act_on(app, f"{client}/users/{gone}/deactivate")
    await new_user(app, client, roles=["User Admin"])
    return found


async def came(app: App, mail_server: MailServer, number: int) -> dict[str, tuple[str, str]]:
    """Subject and text of the emails since the last call, by recipient."""
    await until_idle(app)
    found = {one.recipients[0]: (str(one.message["Subject"]), one.text) for one in mail_server.mails}
    assert len(found) == len(mail_server.mails) == number
    mail_server.mails.clear()
    return found


async def proved(app: App, zone: NameServer) -> tuple[Claimed, list[str]]:
    client = await new_client(app)
    admins = await admins_of(app, client)
    claim = await claimed(app, client)
    zone.publish(txt(claim.name, await claim.value()))
    assert (await claim.check())["state"] == "proved"
    return claim, admins


async def test_a_missing_record_is_told_on_the_first_the_seventh_and_the_last_day(
    app: App, mail_server: MailServer, zone: NameServer
) -> None:
    claim, admins = await proved(app, zone)
    mail_server.mails.clear()
    zone.publish()
    app.clock.advance(1.1 * DAY)
    told: dict[int, dict[str, tuple[str, str]]] = {}
    for hour in range(0, 16 * 24, 6):
        await check_domains(app)
        await until_idle(app)
        if mail_server.mails:
            told[round(hour / 24)] = await came(app, mail_server, 2)
        app.clock.advance(DAY / 4)
    assert list(told) == [1, 7, 14]
    for mails in told.values():
        assert sorted(mails) == sorted(admins)
        for subject, text in mails.values():
            assert claim.domain in subject
            assert claim.name in text
            assert await claim.value() in text
    assert "is missing" in told[7][admins[0]][0]
    assert "no longer verified" in told[14][admins[0]][0]


async def test_both_clients_and_the_operator_are_told_of_a_domain_that_two_claim(
    app: App, mail_server: MailServer, zone: NameServer
) -> None:
    """Each client gets the email in its language, the operator in English."""
    first, owners = await proved(app, zone)
    other = await new_client(app, language="de")
    contesters = await admins_of(app, other)
    second = await claimed(app, other, first.domain)
    zone.publish(txt(first.name, await first.value()), txt(second.name, await second.value()))
    mail_server.mails.clear()
    await second.check()
    mails = await came(app, mail_server, 5)
    assert sorted(mails) == sorted([*owners, *contesters, OPERATOR])
    assert "added a DNS record" in mails[owners[0]][1]
    assert mails[contesters[0]][0] == f"{other}: Zwei Organisationen beanspruchen {first.domain}"
    assert "oder ihr Eintrag 14 Tage lang fehlt" in mails[contesters[0]][1]
    for admin in (*owners, *contesters):
        text = mails[admin][1].replace(first.domain, "")
        assert (first.client in text, second.client in text) == (admin in owners, admin in contesters)
    assert first.client in mails[OPERATOR][1]
    assert f"the client {second.client} " in mails[OPERATOR][1]
    await second.check()  # they are notified once
    for _ in range(3):
        app.clock.advance(DAY)
        await check_domains(app)
    await until_idle(app)
    assert mail_server.mails == []
