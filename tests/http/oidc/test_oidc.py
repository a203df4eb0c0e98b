"""Through OpenID Connect, a person at the provider becomes a user of the client."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.oidc_op import provider
from tests.support.single_sign_on import RETURN_TO, Browser, add_oidc

pytestmark = pytest.mark.one_store


async def test_a_person_of_the_provider_can_sign_in_and_is_the_same_user_again(app: App) -> None:
    with provider(app.clock) as op:
        op.user |= {"email": "ada@oidc.example", "given_name": "Ada", "family_name": "Lovelace", "groups": ["ops"]}
        made = await add_oidc(app, op, groupRoles=[{"group": "ops", "roles": ["Operator"]}])
        browser = Browser(app)
        ended = await browser.sign_in_oidc(op, made["name"], returnTo=RETURN_TO)
        assert (ended.status, ended.headers["location"]) == (302, RETURN_TO), ended.text
        me = (await browser.me()).data
        assert me["user"]["email"] == "ada@oidc.example"
        assert (me["user"]["firstName"], me["user"]["lastName"]) == ("Ada", "Lovelace")
        assert set(me["roles"]) == {"Operator", "Viewer"}
        assert me["session"]["method"] == "oidc"
        again = Browser(app)
        await again.sign_in_oidc(op, made["name"])
        assert (await again.me()).data["user"]["id"] == me["user"]["id"]
