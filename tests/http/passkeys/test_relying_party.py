"""Passkeys belong to one RP ID, the public host or its parent domain, and become unusable on another host."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import new_client
from tests.support.application import App, running
from tests.support.authenticator import Altered
from tests.support.envelope import check_refusal, check_success
from tests.support.passkeys import PASSKEYS, PUBLIC, Holder, signed_in, with_passkey
from tests.support.second_factors import SIGN_IN, person

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module")
async def plain(database_url: str, app: App) -> AsyncIterator[App]:
    """The same installation at an IP address."""
    async with running(database_url) as node:
        node.goes_by_the_clock_of(app)
        yield node


async def _at(database_url: str, app: App, **settings: str) -> AsyncIterator[App]:
    async with running(database_url, **settings) as node:
        node.goes_by_the_clock_of(app)
        yield node


def _there(holder: Holder, node: App, origin: str) -> Holder:
    """The same person's browser at another address of the installation."""
    holder.person.app, holder.browser.origin, holder.cookie = node, origin, ""
    return holder


async def test_at_an_ip_address_there_are_none_and_it_is_said(plain: App) -> None:
    error = check_refusal(await plain.post(f"{SIGN_IN}/passkey/options", {}), 409, "CONFLICT")
    assert error["message"] == "Passkeys aren't available at this address"
    ada = await person(plain)
    token = check_success(await ada.sign_in())["token"]
    check_refusal(await plain.post(f"{PASSKEYS}/options", token=token), 409, "CONFLICT")
    client = await new_client(plain, secondFactor={"policy": "required", "graceDays": 0})
    assert (await (await person(plain, client)).challenge())["methods"] == ["totp"]


async def test_the_first_passkey_fixes_the_domain(app: App, database_url: str) -> None:
    """Setting a parent domain later changes nothing; new and old passkeys keep working."""
    ada = await with_passkey(app)
    parent = {**PUBLIC, "MANIFEST_PASSKEY_RP_ID": "example.com"}
    async for node in _at(database_url, app, **parent):
        _there(ada, node, PUBLIC["MANIFEST_PUBLIC_URL"])
        assert (await ada.options())["rpId"] == "login.example.com"
        check_success(await ada.sign_in())
        assert (await (await signed_in(node)).creation_options())["rp"]["id"] == "login.example.com"


async def test_below_the_kept_domain_they_go_on_and_elsewhere_they_are_void(app: App, database_url: str) -> None:
    ada = await with_passkey(app)
    below, elsewhere = "https://new.login.example.com", "https://auth.other.example"
    async for node in _at(database_url, app, MANIFEST_PUBLIC_URL=below):
        check_success(await _there(ada, node, below).sign_in())
    async for node in _at(database_url, app, MANIFEST_PUBLIC_URL=elsewhere):
        _there(ada, node, elsewhere)
        assert (await ada.options())["rpId"] == "auth.other.example"
        check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
        check_refusal(await ada.sign_in(Altered(rp_id="auth.other.example")), 401, "INVALID_CREDENTIALS")
        challenge = (await ada.person.challenge())["challenge"]
        assert (await ada.options(challenge))["allowCredentials"] == []
    check_success(await _there(ada, app, PUBLIC["MANIFEST_PUBLIC_URL"]).sign_in())


async def test_other_origins_count_where_they_are_named(app: App, database_url: str) -> None:
    origins = {"MANIFEST_PASSKEY_ORIGINS": "https://app.login.example.com"}
    ada = await with_passkey(app)
    async for node in _at(database_url, app, **PUBLIC, **origins):
        _there(ada, node, "https://app.login.example.com")
        check_success(await ada.sign_in())
        check_refusal(await ada.sign_in(Altered(origin="https://b.login.example.com")), 401, "INVALID_CREDENTIALS")
