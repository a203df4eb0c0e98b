"""The client of a sign-in comes from the header, the host, or the clients where the email address is known."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import hashes_counted, new_user
from tests.support.application import PASSWORD, App, Reply, running
from tests.support.matrix import matrix

BOTH = "both@shared.example"
#: The person's password differs at each client, so that a response also shows which account's hash was checked.
AT = {"acme": "acme-lantern-orchid-88", "globex": "globex-granite-tundra-42"}
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.example.com") as application:
        for client, password in AT.items():
            await new_user(application, client, BOTH, password=password)
        yield application


async def enter(app: App, at: str, header: str | None = None, host: str | None = None) -> Reply:
    headers = {"Host": host} if host else {}
    return await app.sign_in(BOTH, AT[at], header, headers=headers)


@matrix("client", ["acme", "globex"])
async def test_the_header_names_the_client_by_identifier_or_number(app: App, client: str) -> None:
    other = "globex" if client == "acme" else "acme"
    for name in (client, str(app.ids[client])):
        assert (await enter(app, client, name)).data["user"]["clientId"] == client
        assert (await enter(app, other, name)).code == "INVALID_CREDENTIALS"


@matrix("host", ["globex.auth.example.com", "GLOBEX.auth.example.com:443", "globex.Auth.Example.com"])
async def test_the_subdomain_of_the_public_address_names_the_client(app: App, host: str) -> None:
    await enter(app, "acme", "acme")  # the older account is a different one
    assert (await enter(app, "globex", host=host)).data["user"]["clientId"] == "globex"
    assert (await enter(app, "acme", host=host)).code == "INVALID_CREDENTIALS"


async def test_the_header_goes_before_the_host(app: App) -> None:
    reply = await enter(app, "acme", "acme", "globex.auth.example.com")
    assert reply.data["user"]["clientId"] == "acme"


@matrix("host", ["auth.example.com", "globex.example.org", "globexauth.example.com", "localhost:8080"])
async def test_without_a_name_it_is_the_oldest_account_of_the_address(app: App, host: str) -> None:
    """See also test_no_client_named.py."""
    for client in ("acme", "globex", "acme"):
        app.clock.advance(1)
        await enter(app, client, client)
        assert (await enter(app, "acme", host=host)).data["user"]["clientId"] == "acme"
        assert (await enter(app, "globex", host=host)).code == "INVALID_CREDENTIALS"


@matrix("name", ["missing", "ACME-", "0", "999999", "9" * 30, "-1", "acme,globex", ""])
async def test_a_named_client_that_does_not_exist_is_invalid_credentials(app: App, name: str) -> None:
    headers = [("X-Client-ID", name)]
    body = {"email": BOTH, "password": AT["acme"]}
    with hashes_counted() as hashes:
        reply = await app.post("/api/client/auth/sign-in", body, headers=headers)
    assert (reply.status, reply.code) == (401, "INVALID_CREDENTIALS")
    assert len(hashes) == 1


async def test_a_host_that_names_a_missing_client_does_not_fall_back(app: App) -> None:
    await enter(app, "acme", "acme")
    with hashes_counted() as hashes:
        assert (await enter(app, "acme", host="missing.auth.example.com")).code == "INVALID_CREDENTIALS"
    assert len(hashes) == 1


async def test_two_headers_are_a_mistake(app: App) -> None:
    headers = [("X-Client-ID", "acme"), ("X-Client-ID", "acme")]
    body = {"email": BOTH, "password": AT["acme"]}
    assert (await app.post("/api/client/auth/sign-in", body, headers=headers)).code == "VALIDATION_ERROR"


async def test_no_body_member_or_query_chooses_the_client(app: App) -> None:
    await enter(app, "acme", "acme")
    body = {"email": BOTH, "password": AT["globex"], "client": "globex", "clientId": "globex"}
    reply = await app.post("/api/client/auth/sign-in?client=globex", body)
    assert reply.code == "INVALID_CREDENTIALS"


async def test_one_password_at_two_clients_opens_only_the_named_one(app: App) -> None:
    token = (await app.sign_in("viewer@acme.example", PASSWORD, "acme")).data["token"]
    assert (await app.me(token, headers={"X-Client-ID": "globex"})).code == "FORBIDDEN"
    assert (await app.me(token, headers={"X-Client-ID": "acme"})).status == 200
    assert (await app.me(token, headers={"X-Client-ID": str(app.ids["acme"])})).status == 200
