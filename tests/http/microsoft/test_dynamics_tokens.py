"""Microsoft's tokens are stored only if a client requests it, and are always encrypted."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import OUR_SECRET
from tests.support import rows as rest
from tests.support.accounts import act_on
from tests.support.matrix import matrix
from tests.support.people import member, session_of
from tests.support.rows import unsealed
from tests.support.rules import rule
from tests.support.single_sign_on import Browser

pytestmark = pytest.mark.one_store

KEPT = {"keepTokens": True}


class Row(NamedTuple):
    """A user's stored values."""

    provider_id: int
    user_id: int
    tokens: bytes
    kept_at: int


async def rows(setup: MicrosoftSetup) -> list[Row]:
    return [Row(*found) for found in await rest.rows(setup.app, "kept_tokens", *Row._fields)]


async def user_id_of(browser: Browser) -> int:
    return int((await session_of(browser))["user"]["id"])


async def signed_in(provider: Provider, user: str = "alice", **query: Any) -> tuple[Browser, int]:
    browser, reply = await provider.sign_in(user, **query)
    assert reply.status == 302, reply.text
    return browser, await user_id_of(browser)


def given_by(setup: MicrosoftSetup, **tokens: str) -> list[str]:
    """The token endpoint's next response, and parts that identify its tokens in the database."""
    access = setup.microsoft.mint("dataverse", user=setup.microsoft.user, lifetime=4000)
    setup.microsoft.token |= {
        "access_token": access,
        "refresh_token": "0.refresh-token-of-microsoft-4f1a2b3c",
        **tokens,
    }
    return [access, *access.split(".")[1:], "0.refresh-token-of-microsoft-4f1a2b3c"]


@rule("OIDC-CODE")
async def test_nothing_of_microsofts_rests_where_no_one_asked_for_it(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    secrets = given_by(setup)
    browser = Browser(setup.app)
    address = await provider.start(browser)
    back = setup.microsoft.visit(address)
    code, nonce = (
        text.partition(f"{name}=")[2].partition("&")[0] for text, name in ((back, "code"), (address, "nonce"))
    )
    state = address.partition("state=")[2].partition("&")[0]
    under_way = await rest.all_that_rests(setup.app)  # while the browser is at Microsoft
    assert (await browser.send("GET", back)).status == 302
    [redeemed] = [asked for asked in setup.microsoft.asked if asked.endpoint == "token"]
    secrets += [code, nonce, state, redeemed.form["code_verifier"], OUR_SECRET]
    assert await rows(setup) == []
    resting = under_way + await rest.all_that_rests(setup.app)
    assert any(value == "alice@contoso.example" for _, value in resting)
    for name, value in resting:
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        assert not [secret for secret in secrets if secret in text], name
        assert "eyJ0eXAi" not in text, name


@rule("MICROSOFT-KEPT-TOKENS")
async def test_what_is_kept_opens_for_its_own_row_alone(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics=KEPT)
    secrets = given_by(setup)
    _, user_id = await signed_in(provider)
    [row] = await rows(setup)
    assert (row.provider_id, row.user_id, row.kept_at) == (provider.made["id"], user_id, setup.app.clock.now_ms())
    name = f"kept_tokens/{row.provider_id}/{row.user_id}/tokens"
    assert json.loads(unsealed(setup.app, row.tokens, name) or b"") == {
        "access_token": secrets[0],
        "refresh_token": secrets[-1],
    }
    for other in (f"kept_tokens/{row.provider_id}/{row.user_id + 1}/tokens", f"kept_tokens/9/{row.user_id}/tokens", ""):
        assert unsealed(setup.app, row.tokens, other) is None
    for column, value in await rest.all_that_rests(setup.app):
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        assert not [secret for secret in secrets if secret in text], column


async def test_the_next_sign_in_takes_the_place_of_the_last(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics=KEPT)
    await signed_in(provider)
    [before] = await rows(setup)
    setup.app.clock.advance(60)
    await signed_in(provider)
    [after] = await rows(setup)
    assert (after.user_id, after.kept_at) == (before.user_id, before.kept_at + 60_000)
    assert after.tokens != before.tokens


async def test_an_app_that_never_comes_for_its_code_changes_nothing_about_that(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics=KEPT)
    _, ended = await provider.sign_in("alice", response="code")
    assert "code=" in ended.headers["location"]
    assert len(await rows(setup)) == 1


async def test_nothing_is_kept_of_someone_who_cannot_sign_in(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics=KEPT, createUsers=False)
    assert (await provider.sign_in())[1].status == 401
    await provider.change(createUsers=True)
    _, user_id = await signed_in(provider)
    await act_on(setup.app, f"{provider.client}/users/{user_id}/deactivate")
    assert (await provider.sign_in())[1].status == 403
    assert await rows(setup) == []


@rule("MICROSOFT-KEPT-TOKENS")
@matrix("what", ["the user", "the own identity", "the identity", "the provider", "keepTokens", "the environment"])
async def test_they_go_with_what_they_were_kept_for(setup: MicrosoftSetup, what: str) -> None:
    provider, other = await setup.dynamics(dynamics=KEPT), await setup.dynamics(dynamics=KEPT)
    bystanders = {(await signed_in(other))[1], (await signed_in(provider, "bob"))[1]}
    own = await _linked(setup, provider) if what == "the own identity" else (await signed_in(provider))[0]
    user_id = await user_id_of(own)
    assert {row.user_id for row in await rows(setup)} == {user_id, *bystanders}
    users = f"{provider.client}/users/{user_id}"
    if what == "the user":
        await act_on(setup.app, f"{users}/deactivate")
    elif "identity" in what:
        [row] = (await own.send("GET", "/api/client/auth/identities")).data["items"]
        if what == "the own identity":
            reply: Any = await own.send("DELETE", f"/api/client/auth/identities/{row['id']}")
        else:
            path = f"/api/admin/clients/{users}/identities/{row['id']}"
            reply = await setup.app.send("DELETE", path, token=await setup.app.admin_token())
        assert reply.status == 200, reply.text
    elif what == "the provider":
        await provider.act("delete")
    elif what == "keepTokens":
        await provider.change(dynamics={"keepTokens": False})
    else:
        await provider.change(dynamics={"organization": "https://contoso-new.crm4.dynamics.com"})
    left = {row.user_id for row in await rows(setup)}
    assert user_id not in left
    gone_with_it = 1 if what in ("the provider", "keepTokens", "the environment") else 0  # Bob's, from that provider
    assert len(left) == 2 - gone_with_it


async def _linked(setup: MicrosoftSetup, provider: Provider) -> Browser:
    """Alice, who can unlink her identity because it didn't create her account."""
    browser = Browser(setup.app, {"session": (await member(setup.app, provider.client)).cookie})
    begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": provider.name})
    assert (await browser.send("GET", setup.microsoft.visit(begun.data["location"], "alice"))).status == 302
    return browser


async def test_what_else_is_changed_about_a_provider_leaves_them(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics=KEPT)
    await signed_in(provider)
    await provider.change(displayName="Dynamics", defaultRoles=["Author"], dynamics={"clientSecret": "another"})
    await provider.act("switch-off")
    await provider.act("switch-on")
    assert len(await rows(setup)) == 1


async def test_no_answer_of_ours_tells_them(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(dynamics=KEPT)
    secrets = given_by(setup)
    browser, user_id = await signed_in(provider)
    told = [await browser.me(), await browser.send("GET", "/api/client/auth/identities"), await provider.send("GET")]
    token = await setup.app.admin_token()
    for path in (f"users/{user_id}", f"users/{user_id}/identities", f"users/{user_id}/sessions", "audit", "providers"):
        told.append(await setup.app.get(f"/api/admin/clients/{provider.client}/{path}", token=token))
    for reply in told:
        assert not [secret for secret in [*secrets, OUR_SECRET] if secret in reply.text]
