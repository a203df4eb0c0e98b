"""An email tells a passkey's owner when one is added or removed, or seems to have been copied."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.authenticator import Altered
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer
from tests.support.passkeys import PASSKEYS, PUBLIC, with_passkey

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.mail, pytest.mark.one_store]


async def test_who_gains_or_loses_a_passkey_is_told(app: App, mail_server: MailServer) -> None:
    ada = await with_passkey(app)
    added = await mail_server.mail_to(ada.person.email, "a passkey was added")
    assert "192.0.2.1" in added.text
    check_success(await app.send("DELETE", f"{PASSKEYS}/{ada.ids[0]}", token=ada.token))
    await mail_server.mail_to(ada.person.email, "a passkey was removed")


async def test_whose_counter_stands_still_is_told(app: App, mail_server: MailServer) -> None:
    ada = await with_passkey(app, counts=True)
    for _ in range(2):
        await ada.sign_in(Altered(counter=5))
    await mail_server.mail_to(ada.person.email, "a sign-in with your passkey was rejected")
