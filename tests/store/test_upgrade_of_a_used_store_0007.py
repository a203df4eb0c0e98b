"""Upgrade of a used store of schema 0007: no one is signed out, the throttle knows the devices, factors begin empty.

``store_0007.json`` was written by the release whose schema is 0007: a user signed in and refreshed, one signed out, one
came from a provider, one has a link, and the system admin has a second factor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import PASSWORD, App, running
from tests.support.envelope import check_success
from tests.support.password_guesses import PROXY, besiege, guess
from tests.support.second_factors import OWN, Person
from tests.support.system_admins import AUTH, Phone, sign_in
from tests.support.user_management import NEW, reset

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0007")
KEYS = OLD.keys


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    return await OLD.upgraded(empty_url)


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it, when the last of its people had just come."""
    async with running(empty_url, **PROXY) as application:
        application.clock.ms = KEYS["now"]
        yield application


@pytest.mark.parametrize("table", OLD.rows)
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


def test_no_one_has_a_factor_and_no_session_proved_any(upgraded: Rows) -> None:
    assert {(row["factors"], row["second_factor_due_at"]) for row in upgraded["users"]} == {(0, None)}
    for table in ("sessions", "sign_in_codes"):
        assert {(row["amr"], row["authenticated_at"]) for row in upgraded[table]} <= {("", None)}
    assert len(upgraded["sessions"]) == 3


async def test_its_sessions_still_open_by_all_three_keys(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
        assert (reply.data["session"]["amr"], reply.data["session"]["authenticatedAt"]) == ([], None)
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    ada = (await app.me(cookie=KEYS["ada"]["cookie"])).data
    assert (ada["user"]["email"], ada["session"]["method"]) == ("ada@globex.example", "oidc")
    assert (await app.get(f"{AUTH}/me", token=KEYS["root"]["token"])).status == 200
    assert (await app.me(cookie=KEYS["viewer"]["cookie"])).code == "INVALID_TOKEN"


async def test_a_device_that_signed_in_before_gets_in_while_others_wait(app: App) -> None:
    email, device = "author@acme.example", KEYS["author"]["device"]
    assert (await besiege(app, email)).status == 429
    assert (await guess(app, email, "198.51.100.78", PASSWORD)).status == 429
    assert (await guess(app, email, "198.51.100.77", PASSWORD, device)).status == 200


async def test_its_link_sets_a_password(app: App) -> None:
    data = (await reset(app, KEYS["operator"]["link"].partition("#")[2], NEW)).data
    assert data["user"]["email"] == "operator@acme.example"


async def test_what_its_clients_settled_holds_and_a_second_factor_is_optional(app: App) -> None:
    acme = (await app.get("/api/admin/clients/acme", token=await _root(app))).data["settings"]
    assert (acme["password"]["minLength"], acme["refreshStrict"]) == (12, True)
    assert acme["secondFactor"] == {
        "policy": "optional",
        "roles": [],
        "methods": ["totp", "passkey"],
        "graceDays": 7,
        "trustedDays": 30,
    }
    assert (acme["passkeySignIn"], acme["stepUp"]) == (None, "factors")


async def test_a_second_factor_of_a_system_admin_counts_as_before(app: App) -> None:
    assert (await sign_in(app, "root")).code == "MFA_REQUIRED"
    codes = KEYS["root"]["recoveryCodes"]
    assert len(codes[0]) == 19, "those of that time are shorter than those of today"
    check_success(await sign_in(app, "root", otp=codes[1]))
    assert (await sign_in(app, "root", otp=codes[1])).code == "MFA_REQUIRED"


async def test_its_users_can_have_a_factor_now(app: App) -> None:
    email = "publisher@acme.example"
    publisher = Person(app, "acme", 0, email)
    token = await publisher.token()
    await publisher.enrol(token)
    assert (await app.get(OWN, token=token)).data["recoveryCodesLeft"] == 10
    assert (await publisher.answered()).status == 200


async def _root(app: App) -> str:
    app.clock.advance(30)
    code = Phone(app, KEYS["root"]["secret"]).code()
    return str(check_success(await sign_in(app, "root", otp=code))["token"])
