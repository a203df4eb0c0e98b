"""The client and provider of a sign-in come from ``client=``, the header, the host, or the only match."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import act_on, new_client
from tests.support.application import App, Reply
from tests.support.directory_claims import pin
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import Browser, act_on_provider, add_oidc, add_saml, query_of

PUBLIC = "https://auth.example.com"
START = "/api/client/auth/oidc"
pytestmark = [
    pytest.mark.settings(MANIFEST_PUBLIC_URL=PUBLIC, MANIFEST_OUTGOING_PRIVATE="on"),
    pytest.mark.usefixtures("another_day"),
    pytest.mark.one_store,
]


@pytest.fixture
async def clients(app: App, op: Op) -> tuple[str, str]:
    """Two clients with the same provider under the same name; it knows them under different names."""
    one, other = await new_client(app), await new_client(app)
    await add_oidc(app, op, one, {"clientId": "for-one"}, name="shared")
    await add_oidc(app, op, other, {"clientId": "for-other"}, name="shared")
    return one, other


async def start(app: App, query: str = "", **headers: str) -> Reply:
    return await app.get(f"{START}?{query}", headers={name.replace("_", "-"): text for name, text in headers.items()})


def chosen(reply: Reply) -> str:
    """The client that the provider is asked to sign in to."""
    assert reply.status == 302, reply.text
    return query_of(reply)["client_id"]


async def test_the_parameter_or_the_header_names_the_client(app: App, clients: tuple[str, str]) -> None:
    for client, known_as in zip(clients, ("for-one", "for-other"), strict=True):
        assert chosen(await start(app, f"client={client}&provider=shared")) == known_as
        assert chosen(await start(app, "provider=shared", X_Client_ID=client)) == known_as
        assert chosen(await start(app, f"client={client}&provider=shared", X_Client_ID=client)) == known_as


async def test_a_clients_number_names_it_too(app: App, clients: tuple[str, str]) -> None:
    reply = await app.get(f"/api/admin/clients/{clients[0]}", token=await app.admin_token())
    number = reply.data["id"]
    assert chosen(await start(app, f"client={number}&provider=shared")) == "for-one"
    assert chosen(await start(app, "provider=shared", X_Client_ID=str(number))) == "for-one"


async def test_a_browser_on_the_clients_own_host_first_goes_to_the_public_address(
    app: App, op: Op, clients: tuple[str, str]
) -> None:
    """The provider returns there, so the cookie that binds the sign-in must be set there."""
    browser = Browser(app)
    host = {"Host": f"{clients[1].upper()}.auth.example.com"}
    first = await browser.send("GET", f"{START}?provider=shared&loginHint=a%26b", headers=host)
    assert first.status == 302
    assert first.headers.get_list("set-cookie") == []
    location = urlsplit(first.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == PUBLIC + START
    assert parse_qs(location.query) == {"client": [clients[1]], "provider": ["shared"], "loginHint": ["a&b"]}
    assert op.asked == []
    second = await browser.send("GET", first.headers["location"], headers={"Host": "auth.example.com"})
    assert chosen(second) == "for-other"
    assert query_of(second)["login_hint"] == "a&b"
    emptily = await browser.send("GET", f"{START}?client=&provider=shared", headers=host)
    assert chosen(await browser.send("GET", emptily.headers["location"])) == "for-other"


async def test_from_there_the_whole_way_works(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser = Browser(app)
    first = await browser.send("GET", START, headers={"Host": f"{client}.auth.example.com"})
    started = await browser.send("GET", first.headers["location"])
    ended = await browser.send("GET", op.visit(started.headers["location"]))
    assert ended.status == 302, ended.text
    assert (await browser.me()).data["client"]["identifier"] == client


@matrix("host", ["evil.example", "auth.example.com.evil.example", "a.b.auth.example.com"])
async def test_other_hosts_name_no_client_and_are_sent_nowhere(app: App, host: str) -> None:
    check_refusal(await start(app, "", Host=host), 400, "VALIDATION_ERROR")


async def test_two_that_disagree_are_a_mistake(app: App, op: Op, clients: tuple[str, str]) -> None:
    one, other = clients
    for query, headers in (
        (f"client={one}", {"X_Client_ID": other}),
        (f"client={one}", {"Host": f"{other}.auth.example.com"}),
        (f"client={one}", {"X_Client_ID": ""}),
        (f"client={one}&client={other}", {}),
    ):
        reply = await start(app, f"{query}&provider=shared", **headers)
        check_refusal(reply, 400, "VALIDATION_ERROR")
        assert "location" not in reply.headers
    assert op.asked == []


async def test_the_header_goes_before_the_host(app: App, clients: tuple[str, str]) -> None:
    one, other = clients
    reply = await start(app, "provider=shared", X_Client_ID=one, Host=f"{other}.auth.example.com")
    assert query_of(reply)["client"] == one


async def test_without_a_client_a_name_means_no_ones_unless_it_is_pinned(app: App, op: Op) -> None:
    """Not even the only provider with that name, because another client could take the name, and so the start."""
    client = await new_client(app)
    made = await add_oidc(app, op, client, {"clientId": "the-pinned-one"})
    check_refusal(await start(app, f"provider={made['name']}"), 404, "NOT_FOUND")
    await pin(app, made["name"], client)
    assert chosen(await start(app, f"provider={made['name']}")) == "the-pinned-one"
    another = await new_client(app)
    await add_oidc(app, op, another, {"clientId": "a-namesake"}, name=made["name"])
    assert chosen(await start(app, f"provider={made['name']}")) == "the-pinned-one"
    assert chosen(await start(app, f"client={another}&provider={made['name']}")) == "a-namesake"
    check_refusal(await start(app), 400, "VALIDATION_ERROR")


async def test_an_unknown_client_or_provider_is_not_found_whichever(app: App, op: Op, clients: tuple[str, str]) -> None:
    one, other = clients
    elsewhere = await add_oidc(app, op, other)
    saml = await add_saml(app, Idp(issuer="http://www.okta.com/exkstart"), one)
    usual = await start(app, f"client={one}&provider=missing")
    check_refusal(usual, 404, "NOT_FOUND")
    for query in (
        "client=missing&provider=shared",
        "client=missing",
        "client=0&provider=shared",
        "client=999999&provider=shared",
        f"client={one.upper()}&provider=shared",
        f"client={one}&provider=SHARED",
        f"client={one}&provider=shared%20",
        f"client={one}&provider={elsewhere['name']}",
        f"client={one}&provider={saml['name']}",
        "provider=missing",
    ):
        same_but_request_id(await start(app, query), usual)
    same_but_request_id(await start(app, "provider=shared", X_Client_ID="missing"), usual)
    same_but_request_id(await start(app, "provider=shared", X_Client_ID=""), usual)
    same_but_request_id(await start(app, "provider=shared", X_Client_ID="", Host=f"{one}.auth.example.com"), usual)
    assert op.asked == []


async def test_without_a_providers_name_the_only_one_is_meant(app: App, op: Op) -> None:
    client = await new_client(app)
    check_refusal(await start(app, f"client={client}"), 404, "NOT_FOUND")
    first = await add_oidc(app, op, client, {"clientId": "first"})
    await add_saml(app, Idp(issuer="http://www.okta.com/exkother"), client)  # of another kind, so it isn't meant
    assert chosen(await start(app, f"client={client}")) == "first"
    await add_oidc(app, op, client, {"clientId": "second"})
    reply = await start(app, f"client={client}")
    check_refusal(reply, 400, "VALIDATION_ERROR")
    assert reply.json["error"]["details"][0]["field"] == "provider"
    await act_on_provider(app, client, first["name"], "switch-off")
    assert chosen(await start(app, f"client={client}")) == "second"
    await act_on_provider(app, client, first["name"], "delete")
    assert chosen(await start(app, f"client={client}")) == "second"


async def test_two_providers_of_a_client_do_not_get_each_others_people(app: App, op: Op) -> None:
    """The same subject at two providers is two people, and an address doesn't give either one the other's account."""
    client = await new_client(app)
    with provider(app.clock) as second:
        names = [(await add_oidc(app, each, client))["name"] for each in (op, second)]
        second.user["email"] = "eve@acme.example"
        ids = []
        for each, name in zip((op, second), names, strict=True):
            browser = Browser(app)
            assert (await browser.sign_in_oidc(each, name, client)).status == 302
            ids.append((await browser.me()).data["user"]["id"])
        assert len(set(ids)) == 2


async def test_the_same_person_at_two_clients_is_two_users(app: App, op: Op, clients: tuple[str, str]) -> None:
    ids = []
    for client, known_as in zip(clients, ("for-one", "for-other"), strict=True):
        op.client_id = known_as
        browser = Browser(app)
        assert (await browser.sign_in_oidc(op, "shared", client)).status == 302
        me = (await browser.me()).data
        assert me["client"]["identifier"] == client
        ids.append(me["user"]["id"])
    assert len(set(ids)) == 2


async def test_a_suspended_clients_people_cannot_sign_in(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser = Browser(app)
    started = await browser.start("oidc", client=client)
    await act_on(app, f"{client}/suspend")
    ended = await browser.send("GET", op.visit(started.headers["location"]))
    check_refusal(ended, 403, "ACCOUNT_DISABLED")
    await act_on(app, f"{client}/restore")
    listed = await app.get(f"/api/admin/clients/{client}/users", token=await app.admin_token())
    assert listed.data["items"] == []
