"""The page that one-time links open, and its request for the link's purpose."""

from __future__ import annotations

import pytest

from tests.support.accounts import settle
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.team import new_team
from tests.support.user_management import invited, started_reset

pytestmark = pytest.mark.one_store

LOOK = "/api/client/auth/link"


async def test_what_the_link_is_good_for_is_told_to_its_holder(app: App) -> None:
    team = await new_team(app)
    await settle(
        team.app, team.client, password={"characterClasses": 2}, returnAddresses=["app.x:/in", "https://a.example/in"]
    )
    user_id, token = await invited(team, "holder@engines.example")
    told = check_success(await team.app.post(LOOK, {"token": token}))
    assert told.pop("expiresAt").endswith("Z")
    assert told == {
        "purpose": "invitation",
        "email": "holder@engines.example",
        "client": {"identifier": team.client, "name": team.client},
        "password": {"minLength": 15, "maxLength": 256, "characterClasses": 2},
        "message": "",
        "providers": [],
        "returnTo": "https://a.example/in",
    }
    told = check_success(await team.app.post(LOOK, {"token": await started_reset(team, user_id)}))
    assert (told["purpose"], told["providers"]) == ("reset", [])
