"""RelayState determines where a sign-in that started at the provider ends.

No spelling of the address leads to another site.
"""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store

FIRST, SECOND, CLIENTS = (
    "https://app.acme.example/in",
    "https://app.acme.example/deep?x=1&y=%2F",
    "https://wiki.example/",
)
APP = "com.acme.app:/in"


@pytest.fixture(scope="module")
async def okta(app: App) -> SamlProvider:
    client = await new_client(app, returnAddresses=[CLIENTS])
    return await saml_provider(app, client, returnAddresses=[FIRST, SECOND, APP])


@matrix("address", [FIRST, SECOND, CLIENTS])
async def test_a_listed_address_is_where_it_ends(okta: SamlProvider, address: str) -> None:
    browser = Browser(okta.app)
    ended = await okta.post(browser, okta.response(), address)
    assert (ended.status, ended.headers.get("location")) == (303, address), ended.text
    assert (await browser.me()).status == 200


OPAQUE = ["dashboard", "0", "a1B2-c3_d4", "x" * 500, "state=1&tab=2", "<script>", "A" * 32, "home page"]


@matrix("text", OPAQUE, ids=lambda text: text[:12])
async def test_a_text_that_is_no_address_means_nothing(okta: SamlProvider, text: str) -> None:
    ended = await okta.post(Browser(okta.app), okta.response(), text)
    assert (ended.status, ended.headers.get("location")) == (303, "/account"), ended.text
    assert text not in ended.text or text == "0"


HOSTILE = [
    "https://evil.example/",
    "http://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:\\\\evil.example",
    "HTTPS://EVIL.EXAMPLE/",
    "javascript:alert(document.domain)",
    "jav\tascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "/",
    "/admin",
    "./in",
    "../in",
    "%68ttps%3A%2F%2Fevil.example",
    "%2F%2Fevil.example",
    " https://evil.example/",
    "\r\nLocation: https://evil.example/",
    "https://app.acme.example/in\r\nSet-Cookie: session=x",
    "https://app.acme.example/in\n",
    " https://app.acme.example/in",
    "https://app.acme.example/in ",
    "https://app.acme.example/in/",
    "https://app.acme.example/in?",
    "https://app.acme.example/in#",
    "https://app.acme.example/IN",
    "https://APP.acme.example/in",
    "http://app.acme.example/in",
    "https://app.acme.example:443/in",
    "https://app.acme.example./in",
    "https://app.acme.example/%69n",
    "https://app.acme.example/x/../in",
    "https://app.acme.example",
    "https://app.acme.example/in@evil.example",
    "https://app.acme.example/in.evil.example",
    "https://app.acme.example@evil.example/in",
    "https://evil.example/?https://app.acme.example/in",
    "https://app.acme.example\u3002evil.example/in",
    "https://\uff41pp.acme.example/in",
    "\u200bhttps://app.acme.example/in",
    "evil\uff0eexample",
    "evil\u3002example",
    "someone@evil.example",
    APP,
    f"{FIRST},{SECOND}",
    "https://" + "a" * 5000,
]


@rule("RETURN-ADDRESS")
@matrix("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_an_address_that_is_not_listed_opens_nothing(okta: SamlProvider, text: str) -> None:
    browser = Browser(okta.app)
    reply = await okta.post(browser, okta.response(), text)
    check_no_one_got_in(reply)
    same_but_request_id(reply, await okta.call(okta.response(sign="none")))
    assert (await browser.me()).status == 401


async def test_the_json_call_goes_nowhere_and_still_takes_no_foreign_address(okta: SamlProvider) -> None:
    for text, status in ((FIRST, 200), ("dashboard", 200), ("", 200), ("https://evil.example/", 401)):
        body = {"samlResponse": okta.response(), "relayState": text}
        reply = await okta.app.post("/api/client/auth/okta-saml", body)
        assert reply.status == status, text
        assert "location" not in reply.headers
        if status == 200:
            check_success(reply)
    for wrong in ("x" * 2001, None, 1, ["dashboard"]):
        refused = {"samlResponse": okta.response(), "relayState": wrong}
        check_refusal(await okta.app.post("/api/client/auth/okta-saml", refused), 400, "VALIDATION_ERROR")


async def test_another_clients_addresses_are_foreign(app: App, okta: SamlProvider) -> None:
    other = await saml_provider(app, await new_client(app), returnAddresses=["https://other.example/"])
    check_no_one_got_in(await other.post(Browser(app), other.response(), FIRST))
    check_no_one_got_in(await okta.post(Browser(app), okta.response(), "https://other.example/"))


async def test_another_providers_addresses_are_foreign(app: App, okta: SamlProvider) -> None:
    other = await saml_provider(app, okta.client, returnAddresses=["https://other.example/"])
    check_no_one_got_in(await other.post(Browser(app), other.response(), FIRST))
    ended = await other.post(Browser(app), other.response("beside@acme.example"), CLIENTS)
    assert ended.headers["location"] == CLIENTS


async def test_a_rejected_address_does_not_use_the_assertion_up(okta: SamlProvider) -> None:
    response = okta.response()
    check_no_one_got_in(await okta.post(Browser(okta.app), response, "https://evil.example/"))
    assert (await okta.post(Browser(okta.app), response)).status == 303


async def test_what_a_request_was_made_for_counts_and_not_what_comes_back(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, _ = await okta.start(browser, returnTo=SECOND)
    check_no_one_got_in(await okta.post(browser, okta.response(in_response_to=request_id), FIRST))
    ended = await okta.post(browser, okta.response(in_response_to=request_id))
    assert ended.headers["location"] == SECOND
