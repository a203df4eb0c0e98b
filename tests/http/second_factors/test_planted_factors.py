"""Factors that someone else might have planted are removed together with everything else that might be planted."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.http.accounts.planted_accounts import PATHS, planted_account
from tests.http.accounts.test_becoming_admin import EVERY_PATH, company_of
from tests.support.accounts import Recorded, trail
from tests.support.application import App
from tests.support.background_jobs import soon
from tests.support.rules import rule
from tests.support.second_factors import OWN, person
from tests.support.single_sign_on import Browser
from tests.support.system_admins import Phone

pytestmark = pytest.mark.one_store


async def _enrol(browser: Browser, app: App) -> None:
    begun = (await browser.send("POST", f"{OWN}/totp")).data
    confirmed = await browser.send("POST", f"{OWN}/totp/confirm", body={"otp": Phone(app, begun["secret"]).code()})
    assert len(confirmed.data["recoveryCodes"]) == 10


async def _left(browser: Browser) -> tuple[bool, int]:
    """Whether an authenticator app exists, and the number of recovery codes."""
    shown = (await browser.send("GET", OWN)).data
    return shown["totp"] is not None, shown["recoveryCodesLeft"]


async def _status(browser: Browser) -> int:
    return (await browser.me()).status


async def _last(app: App, client: str, event: str) -> Recorded:
    return [one for one in await trail(app, client) if one.event == event][-1]


@pytest.mark.processes
@rule("SECOND-FACTOR-RESET")
@EVERY_PATH
async def test_who_becomes_an_admin_starts_without_factors(
    app: App, database_url: str, path: str, tmp_path: Path
) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        browser = await company.sign_in("rising", planted.email)
        await _enrol(browser, app)
        assert await _left(browser) == (True, 10)
        await PATHS[path](planted, tmp_path)
        if path == "command_line" and database_url.startswith("postgresql"):  # another process; this one hears later
            await soon(partial(_status, browser), 401)
        assert (await browser.me()).status == 401
        groups = ["bosses"] if path == "groups" else []
        assert await _left(await company.sign_in("rising", planted.email, groups=groups)) == (False, 0)
        assert (await _last(app, team.client, "admin_gained")).members["void"]["factors"] == 1


@rule("SECOND-FACTOR-RESET")
async def test_who_is_linked_by_address_starts_without_the_factors_of_the_one_before(app: App) -> None:
    async with company_of(app) as (team, company):
        email = f"rising@{team.client}.example"
        planter = await person(app, team.client, email=email)
        await planter.enrol(await planter.token())
        browser = await company.sign_in("rising", email)
        assert await _left(browser) == (False, 0)
        assert (await _last(app, team.client, "credentials_dropped")).members["void"]["factors"] == 1


async def test_a_change_of_other_roles_takes_no_factor(app: App) -> None:
    ada = await person(app)
    token = await ada.token()
    await ada.enrol(token)
    path = f"/api/admin/clients/{ada.client}/users/{ada.id}/roles"
    changed = await app.send("PUT", path, {"roles": ["Author", "User Admin"]}, token=await app.admin_token())
    assert changed.status == 200
    assert (await app.get(OWN, token=token)).data["totp"] is not None
