"""The record of an app's last use, which no sign-in depends on."""

from __future__ import annotations

from unittest import mock

from manifest_auth.accounts import apps
from manifest_auth.store import StoreUnavailable
from tests.http.apps.relying import relying
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.people import member
from tests.support.visitor import Visitor

OFFLINE = "openid offline_access"


async def test_a_use_that_cannot_be_noted_costs_no_sign_in(app: App) -> None:
    client = await new_client(app)
    web = await relying(app, client, scopes=OFFLINE.split())
    email = (await member(app, client)).email
    with mock.patch.object(apps, "touch", side_effect=StoreUnavailable("gone")) as touched:
        got = await web.tokens(Visitor(app), email, scope=OFFLINE)
        assert (await web.refresh(got["refresh_token"])).status == 200
    assert touched.call_count == 2
