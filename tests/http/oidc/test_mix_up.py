"""In OpenID Connect, one client's code doesn't work in another's sign-in, and an ID token names its audience."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import add_oidc, begun, check_no_one_got_in, failures, with_query

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
def evil(app: App) -> Iterator[Op]:
    """A provider whose owner wants the other provider's codes."""
    with provider(app.clock) as standing_in:
        yield standing_in


async def test_the_same_provider_at_two_clients_is_not_mixed_up(app: App, op: Op) -> None:
    """A code that it issued for one of our clients doesn't work in a sign-in at the other."""
    one, other = await new_client(app), await new_client(app)
    for client in (one, other):
        await add_oidc(app, op, client)
    _, theirs = await begun(app, op, one)
    browser, mine = await begun(app, op, other)
    code = theirs.partition("code=")[2].partition("&")[0]
    check_no_one_got_in(await browser.send("GET", with_query(mine, code=code)))
    assert op.count("token") == 1  # the provider issued it for another address, and checks PKCE
    assert (await browser.me()).status == 401
    assert await failures(app, one) == []
    assert len(await failures(app, other)) == 1


@matrix(
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
    assert check_no_one_got_in(await browser.send("GET", address)) == usual
    [failed] = await failures(app, client)
    assert failed["why"] == f"ID token: {why}"


@matrix("how", ["foreign key", "none", "HS256", "kid of another", "no signature", "userinfo of another"])
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
        op.only_in_userinfo, op.userinfo = {"email"}, {**op.user, "sub": "someone-else"}
    browser, address = await begun(app, op, client)
    check_no_one_got_in(await browser.send("GET", address))
    assert (await browser.me()).status == 401
    assert len(await failures(app, client)) == 1
