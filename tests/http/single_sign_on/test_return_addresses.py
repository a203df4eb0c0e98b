"""A sign-in ends only at a listed return address, compared character by character."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.accounts import new_client, settle
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.single_sign_on import BASE, RETURN_TO, Browser, add_oidc, begun, query_of

ME = f"{BASE}/api/client/auth/me"
APP = "com.acme.app:/signed-in"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
SECOND = "https://app.acme.example/in?tab=2"

#: Percent signs are sent unchanged: %2f arrives as a slash and %252f as %2f, and neither matches the listed address
#: unless the text is identical.
HOSTILE = [
    "//evil.example",
    "//evil.example/in",
    "///evil.example",
    "////evil.example//",
    r"/\evil.example",
    r"\\evil.example",
    r"\/evil.example",
    "/%5Cevil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    r"https:\\evil.example",
    "https://evil.example",
    "https://evil.example/in",
    "http://app.acme.example/in",
    "https://app.acme.example@evil.example/in",
    "https://app.acme.example:x@evil.example/in",
    "https://app.acme.example%2540evil.example/in",
    r"https://evil.example\@app.acme.example/in",
    r"https://app.acme.example\.evil.example/in",
    "https://evil.example#https://app.acme.example/in",
    "https://evil.example/?https://app.acme.example/in",
    "https://app.acme.example.evil.example/in",
    "https://evilapp.acme.example/in",
    "https://app.acme.example:444/in",
    "https://app.acme.example:443/in",
    "https://app.acme.example./in",
    "https://APP.acme.example/in",
    "HTTPS://app.acme.example/in",
    "https://app.acme.example/IN",
    "https://app.acme.example/",
    "https://app.acme.example",
    "https://app.acme.example/in/",
    "https://app.acme.example/in/../../out",
    "https://app.acme.example/in.evil",
    "https://app.acme.example/in?next=https://evil.example",
    "https://app.acme.example/in%23x",
    "https://app.acme.example/%2569n",
    "https%253A%252F%252Fapp.acme.example%252Fin",
    "https://app.acme.example/in%20",
    "%20https://app.acme.example/in",
    "%09https://app.acme.example/in",
    "https://app.acme.example/in%0d%0aSet-Cookie:%20session=x",
    "https://app.acme.example/in%0a",
    "ht%0atps://app.acme.example/in",
    "https://app.acme%E3%80%82example/in",
    "https://\u0430pp.acme.example/in",
    "https://app.acme.example/\u2100in",
    "https://app\u00ad.acme.example/in",
    "https://evil\uff0eexample/in",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java%0ascript:alert(1)",
    "javascript://app.acme.example/in%250aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://app.acme.example/in",
    "about:blank",
    "com.acme.app.evil:/signed-in",
    "com.acme.app:/signed-in/more",
    "com.acme.app://signed-in",
    "COM.acme.app:/signed-in",
    "in",
    "/in",
    "./in",
    "?in",
    ".",
    "null",
    "undefined",
    "*",
    "https://*.acme.example/in",
    ME,
]
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
async def client(app: App, op: Op) -> str:
    identifier = await new_client(app)
    await add_oidc(app, op, identifier, returnAddresses=[RETURN_TO, SECOND, APP])
    return identifier


async def start(app: App, client: str, address: str, more: str = "", path: str = "oidc") -> Reply:
    """Start a sign-in; the address goes into the query unchanged, except for characters that would end it there."""
    text = quote(address, safe="%:/?@!$'()*,;=\\ ").replace("\\", "%5C").replace(" ", "%20")
    return await app.get(f"/api/client/auth/{path}?client={client}{more}&returnTo={text}")


@rule("RETURN-ADDRESS")
@matrix("address", HOSTILE)
async def test_what_is_not_listed_is_rejected_at_the_start(app: App, op: Op, client: str, address: str) -> None:
    for more in ("", "&response=code"):
        reply = await start(app, client, address, more)
        error = check_refusal(reply, 400, "VALIDATION_ERROR")
        assert "location" not in reply.headers
        assert "set-cookie" not in reply.headers
        assert error.get("details", [{"field": "returnTo"}])[0]["field"] == "returnTo"
        assert "evil" not in reply.text
    assert op.asked == []


@matrix("address", [RETURN_TO, SECOND, "/account?tab=1&anew=1&mfa=1"])
async def test_a_listed_address_is_where_it_ends(app: App, op: Op, client: str, address: str) -> None:
    assert not {"prompt", "max_age"} & set(query_of(await start(app, client, address)))
    browser, back = await begun(app, op, client, returnTo=address)
    ended = await browser.send("GET", back)
    assert (ended.status, ended.headers["location"]) == (302, address)
    assert ended.cookie("session")


async def test_percent_encoding_in_the_query_is_only_a_spelling_of_the_query(app: App, op: Op, client: str) -> None:
    spelled = "".join(f"%{byte:02x}" for byte in RETURN_TO.encode())
    reply = await app.get(f"/api/client/auth/oidc?client={client}&returnTo={spelled}")
    browser = Browser(app, dict([reply.headers["set-cookie"].partition(";")[0].split("=", 1)]))
    ended = await browser.send("GET", op.visit(reply.headers["location"]))
    assert ended.headers["location"] == RETURN_TO


@rule("RETURN-ADDRESS")
async def test_nothing_in_the_callback_changes_where_it_ends(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client)
    ended = await browser.send("GET", f"{back}&returnTo=https%3A%2F%2Fevil.example&return_to=//evil.example&next=//x")
    assert ended.headers["location"] == RETURN_TO


async def test_the_addresses_of_the_client_count_beside_the_providers(app: App, op: Op) -> None:
    client = await new_client(app, returnAddresses=["https://second.acme.example/"])
    await add_oidc(app, op, client, returnAddresses=[RETURN_TO])
    for address in (RETURN_TO, "https://second.acme.example/"):
        browser, back = await begun(app, op, client, returnTo=address)
        assert (await browser.send("GET", back)).headers["location"] == address


async def test_the_addresses_of_another_client_or_provider_do_not_count(app: App, op: Op) -> None:
    client, other = await new_client(app), await new_client(app, returnAddresses=["https://other.example/"])
    made = await add_oidc(app, op, client, returnAddresses=[])
    await add_oidc(app, op, client, returnAddresses=["https://provider.example/"])
    await add_oidc(app, op, other, returnAddresses=["https://third.example/"])
    for address in ("https://other.example/", "https://provider.example/", "https://third.example/"):
        check_refusal(await start(app, client, address, f"&provider={made['name']}"), 400, "VALIDATION_ERROR")


async def test_an_address_that_is_taken_off_the_list_does_no_more(app: App, op: Op) -> None:
    client = await new_client(app, returnAddresses=[RETURN_TO])
    await add_oidc(app, op, client, returnAddresses=[])
    await begun(app, op, client, returnTo=RETURN_TO)
    await settle(app, client, returnAddresses=[])
    check_refusal(await start(app, client, RETURN_TO), 400, "VALIDATION_ERROR")


async def test_a_sign_in_under_way_does_not_end_at_an_address_that_was_taken_off_the_list(app: App, op: Op) -> None:
    """Removing an address from the list, for example because its host was lost, takes effect immediately."""
    client = await new_client(app, returnAddresses=["https://lost.example/in"])
    await add_oidc(app, op, client, returnAddresses=[])
    for query in ({}, {"response": "code"}):
        browser, back = await begun(app, op, client, None, returnTo="https://lost.example/in", **query)
        await settle(app, client, returnAddresses=[])
        ended = await browser.send("GET", back)
        assert "lost" not in ended.headers.get("location", "")
        assert ended.status == 401
        await settle(app, client, returnAddresses=["https://lost.example/in"])


@rule("RETURN-ADDRESS")
@matrix("listed", [[RETURN_TO, APP], [APP], []], ids=["two", "an app's", "none"])
async def test_no_listed_address_is_a_default(app: App, op: Op, listed: list[str]) -> None:
    """An application expects a code there, or its own parameters."""
    client = await new_client(app)
    await add_oidc(app, op, client, returnAddresses=listed)
    browser, back = await begun(app, op, client, None, returnTo="")
    assert (await browser.send("GET", back)).headers["location"] == "/account"
    code = await app.get(f"/api/client/auth/oidc?client={client}&response=code&codeChallenge={CHALLENGE}")
    [detail] = check_refusal(code, 400, "VALIDATION_ERROR")["details"]
    assert detail["field"] == "returnTo"


async def test_an_apps_own_address_gets_a_code_and_never_a_cookie(app: App, op: Op, client: str) -> None:
    reply = await start(app, client, APP)
    assert check_refusal(reply, 400, "VALIDATION_ERROR")["details"][0]["field"] == "response"
    browser, back = await begun(app, op, client, returnTo=APP, response="code", codeChallenge=CHALLENGE)
    ended = await browser.send("GET", back)
    assert ended.status == 302, ended.text
    assert ended.headers["location"].startswith(f"{APP}?code=")
    with pytest.raises(KeyError):
        ended.cookie("session")


async def test_a_code_is_added_to_a_query_that_is_there(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, returnTo=SECOND, response="code")
    ended = await browser.send("GET", back)
    assert ended.headers["location"].startswith(f"{SECOND}&code=")
    assert query_of(ended)["tab"] == "2"


@rule("RETURN-ADDRESS")
@matrix(
    "address",
    [
        *("javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://a.example/"),
        *("//evil.example", "/in", "in", "https:", "https://", "https:evil.example", "https:///evil.example"),
        *("http://app.acme.example/in", "https://a@b.example/", "https://a:b@c.example/", "https://a.example/#x"),
        *("https://a.example/ x", "https://a.example/\r\nX: y", r"https://a.example\b", "https://\u0430.example/"),
        *("https://a.example:0/", "https://a.example:99999/", "myapp:/in", "localhost:3000/in", "mailto:a@b.example"),
        *("https://[::1/", "ftp://a.example/", "ws://a.example/", "", "https://a.example/" + "a" * 2000, 7, None),
    ],
)
async def test_only_addresses_that_are_safe_can_be_listed(app: App, op: Op, address: Any) -> None:
    client = await new_client(app)
    token = await app.admin_token()
    path = f"/api/admin/clients/{client}"
    reply = await app.send("PATCH", path, {"settings": {"returnAddresses": [address]}}, token=token)
    check_refusal(reply, 400, "VALIDATION_ERROR")
    body = {
        "name": "idp",
        "returnAddresses": [address],
        "oidc": {"issuer": op.issuer, "clientId": "x", "clientSecret": "y"},
    }
    check_refusal(await app.post(f"{path}/providers", body, token=token), 400, "VALIDATION_ERROR")


@matrix(
    "address",
    [
        *("https://a.example/", "https://a.example", "https://a.example:8443/x?y=z&a=b", "http://localhost:3000/in"),
        *("http://127.0.0.1:5173/", "http://[::1]:8080/in", "com.acme.app:/in", "com.acme.app://in/x?y=z"),
    ],
)
async def test_these_can_be_listed_and_work(app: App, op: Op, address: str) -> None:
    client = await new_client(app, returnAddresses=[address])
    await add_oidc(app, op, client, returnAddresses=[])
    browser, back = await begun(app, op, client, returnTo=address, response="code", codeChallenge=CHALLENGE)
    ended = await browser.send("GET", back)
    assert ended.headers["location"].startswith(address)
