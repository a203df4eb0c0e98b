"""Section 5, OpenID Connect: one provider's answer is never taken for another's (RFC 9207; RFC 9700, section 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.house import App
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import (
    CALLBACK,
    RETURN_TO,
    Browser,
    add_oidc,
    begun,
    check_nobody_got_in,
    failures,
    query_of,
    with_query,
)


@pytest.fixture(autouse=True)
def another_day(app: App) -> None:
    """What was kept of other tests' providers is forgotten."""
    app.clock.advance(2 * 86_400)


@pytest.fixture
def op(app: App) -> Iterator[Op]:
    with provider(app.clock) as standing_in:
        yield standing_in


@pytest.fixture
def evil(app: App) -> Iterator[Op]:
    """A provider whose owner is after the other one's codes."""
    with provider(app.clock) as standing_in:
        yield standing_in


async def gets_in(browser: Browser, address: str) -> None:
    ended = await browser.send("GET", address)
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO), ended.text


@pytest.mark.parametrize("iss", ["https://evil.example", "", "null", "{}/", "{}?x", "HTTP{4}", "{} "])
async def test_an_answer_of_another_issuer_is_refused_before_the_code_is_shown_to_anybody(
    app: App, op: Op, iss: str
) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    wrong = iss.replace("{4}", op.issuer[4:]).replace("{}", op.issuer)
    check_nobody_got_in(await browser.send("GET", with_query(address, iss=wrong)))
    assert op.count("token") == 0
    [failed] = await failures(app, client)
    assert failed["why"].startswith("redirect: iss")


async def test_without_iss_though_it_is_announced_it_is_refused(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    check_nobody_got_in(await browser.send("GET", with_query(address, iss=None)))
    assert op.count("token") == 0


async def test_without_iss_where_none_is_announced_it_is_as_it_should_be(app: App, op: Op) -> None:
    op.without_iss = True
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    assert "iss=" not in address
    await gets_in(browser, address)


async def test_an_iss_that_nobody_announced_is_heeded_all_the_same(app: App, op: Op) -> None:
    op.announced["authorization_response_iss_parameter_supported"] = None
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    check_nobody_got_in(await browser.send("GET", with_query(address, iss="https://evil.example")))
    browser, address = await begun(app, op, client)
    await gets_in(browser, address)


async def mixed_up(app: App, op: Op, evil: Op, client: str, of_evil: str) -> tuple[Browser, str]:
    """The evil provider sends the browser on to the honest one, with its own ``state``: the honest code comes back in
    a sign-in that began at the evil one."""
    browser = Browser(app)
    started = query_of(await browser.start("oidc", client=client, provider=of_evil))
    code = op.code(CALLBACK, started["code_challenge"], started["nonce"])
    return browser, f"{CALLBACK}?code={code}&state={started['state']}"


async def test_a_provider_cannot_get_hold_of_anothers_codes(app: App, op: Op, evil: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    of_evil = (await add_oidc(app, evil, client))["name"]
    evil.without_iss = True  # it says what suits it
    browser, address = await mixed_up(app, op, evil, client, of_evil)
    check_nobody_got_in(await browser.send("GET", f"{address}&iss={op.issuer}"))
    assert (evil.count("token"), op.count("token")) == (0, 0)


async def test_nor_with_callback_addresses_of_their_own_where_there_is_no_iss(app: App, op: Op, evil: Op) -> None:
    client = await new_client(app)
    op.without_iss = evil.without_iss = True
    honest = await add_oidc(app, op, client, {"ownCallback": True})
    theirs = await add_oidc(app, evil, client, {"ownCallback": True})
    browser, address = await mixed_up(app, op, evil, client, theirs["name"])
    # the honest one knows our address for it alone, and sends the browser there
    address = address.replace(CALLBACK, honest["serviceProvider"]["callbackUrl"])
    check_nobody_got_in(await browser.send("GET", address))
    assert (evil.count("token"), op.count("token")) == (0, 0)
    assert (await failures(app, client))[-1]["why"] == "the answer came to another callback address"


async def test_a_callback_address_of_ones_own_is_the_only_one_that_counts(app: App, op: Op) -> None:
    client = await new_client(app)
    made = await add_oidc(app, op, client, {"ownCallback": True})
    shared = await add_oidc(app, op, client)
    own = f"{CALLBACK}/{made['id']}"
    assert made["serviceProvider"]["callbackUrl"] == own
    assert shared["serviceProvider"]["callbackUrl"] == CALLBACK
    for elsewhere in (CALLBACK, f"{CALLBACK}/{shared['id']}", f"{CALLBACK}/0{made['id']}", f"{CALLBACK}/x"):
        browser, address = await begun(app, op, client, provider=made["name"])
        assert address.startswith(f"{own}?")
        check_nobody_got_in(await browser.send("GET", address.replace(own, elsewhere)))
    assert op.count("token") == 0
    browser, address = await begun(app, op, client, provider=made["name"])
    await gets_in(browser, address)
    [redeemed] = [asked for asked in op.asked if asked.endpoint == "token"]
    assert redeemed.form["redirect_uri"] == own
    browser, address = await begun(app, op, client, provider=shared["name"])
    check_nobody_got_in(await browser.send("GET", address.replace(CALLBACK, f"{CALLBACK}/{shared['id']}")))


async def test_the_same_provider_at_two_clients_is_not_mixed_up(app: App, op: Op) -> None:
    """The code that it gave for one of our clients is worth nothing in a sign-in at the other."""
    one, other = await new_client(app), await new_client(app)
    for client in (one, other):
        await add_oidc(app, op, client)
    _, theirs = await begun(app, op, one)
    browser, mine = await begun(app, op, other)
    code = theirs.partition("code=")[2].partition("&")[0]
    check_nobody_got_in(await browser.send("GET", with_query(mine, code=code)))
    assert (await browser.me()).status == 401
    assert await failures(app, one) == []
    assert len(await failures(app, other)) == 1


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["another", "third"]}, "aud"),
        ({"azp": "another"}, "azp"),
        ({"aud": ["manifest", "another"], "azp": "another"}, "azp"),
        ({"sub": ""}, "sub"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "a\0b"}, "sub"),
        ({"sub": "a" * 256}, "sub"),
        ({"exp": 1}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": 2**40}, "iat"),
        ({"nbf": 2**40}, "nbf"),
        ({"at_hash": "A" * 22}, "at_hash"),
    ],
)
async def test_a_token_that_says_something_else_opens_nothing(
    app: App, op: Op, claims: dict[str, Any], why: str
) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    op.claims |= claims
    browser, address = await begun(app, op, client)
    usual = "Sign-in through the identity provider failed"
    assert check_nobody_got_in(await browser.send("GET", address)) == usual
    [failed] = await failures(app, client)
    assert failed["why"] == f"ID token: {why}"


@pytest.mark.parametrize(
    "how", ["foreign key", "none", "HS256", "kid of another", "no signature", "userinfo of another"]
)
async def test_a_token_that_the_provider_did_not_sign_opens_nothing(app: App, op: Op, evil: Op, how: str) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    await begun(app, op, client)
    if how == "foreign key":
        op.published = {"keys": [evil.key.as_dict(private=False)]}
    elif how in ("none", "HS256"):
        op.header["alg"] = how
    elif how == "kid of another":
        op.header["kid"] = "another"
    elif how == "no signature":
        op.id_token = op.mint(None).rpartition(".")[0] + "."
    else:
        op.only_in_userinfo, op.userinfo = {"email"}, {**op.user, "sub": "somebody-else"}
    browser, address = await begun(app, op, client)
    check_nobody_got_in(await browser.send("GET", address))
    assert (await browser.me()).status == 401
    assert len(await failures(app, client)) == 1
