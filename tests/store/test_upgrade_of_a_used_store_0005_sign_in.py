"""Upgrade of a used store of schema 0005: providers, identities and sealed values stay valid.

In ``store_0005_sign_in.json`` people came in by SAML, OpenID Connect, Dynamics and an Entra token that was signed out
again; one was away at the provider, one was invited, one app has a code in hand, and Microsoft's tokens are kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import select

from manifest_auth import audit
from manifest_auth.operations.reencrypt import SEALED
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import sealed_for
from tests.store import old_stores
from tests.store.old_stores import Rows
from tests.support.application import App, running
from tests.support.envelope import check_success
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import Browser, SamlProvider
from tests.support.user_management import NEW

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0005_sign_in")
KEYS = OLD.keys
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # the app's, of RFC 7636, appendix B
_WHY = "the test reads everything"


@pytest.fixture(scope="module")
async def upgraded(empty_url: str) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    return await OLD.upgraded(empty_url)


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any) -> AsyncIterator[App]:
    """The application of today on it."""
    async with running(empty_url) as application:
        yield application


@pytest.mark.parametrize("table", sorted(OLD.rows.keys() - {"sign_in_flows"}))
def test_every_row_is_there_as_it_was(upgraded: Rows, table: str) -> None:
    OLD.is_as_it_was(table, upgraded[table])


def test_the_store_was_used() -> None:
    """The test above would say nothing of empty tables."""
    assert all(OLD.rows.values())
    assert {row["kind"] for row in OLD.named("providers")} == {"saml", "oidc", "dynamics", "entra"}


async def test_everything_sealed_opens(app: App) -> None:
    seen = set()
    for part in SEALED:
        statement = cross_tenant(select(*(part.column.table.c[name] for name in part.columns)), because=_WHY)
        for row in await app.services.store.read(lambda unit, s=statement: unit.all(s)):  # type: ignore[misc]
            values = dict(zip(part.columns, row, strict=True))
            if values[part.column.name] is not None:
                assert app.services.sealer.open(values[part.column.name], sealed_for(part.column, **values))
                seen.add(part.name)
    assert {"signing_keys.secret", "providers.secrets", "kept_tokens.tokens"} <= seen


async def test_its_sessions_still_open(app: App) -> None:
    author = KEYS["author"]
    for reply in (await app.me(author["token"]), await app.me(cookie=author["cookie"])):
        assert reply.data["user"]["email"] == "author@acme.example"
    again = await app.refresh(author["child"])
    assert (await app.me(again.data["token"])).status == 200
    assert (await app.get("/api/admin/auth/me", token=KEYS["admin"]["token"])).status == 200
    for name, email, method in (("alice", "alice@acme.example", "saml"), ("ada", "ada@globex.example", "oidc")):
        me = (await app.me(cookie=KEYS[name]["cookie"])).data
        assert (me["user"]["email"], me["session"]["method"]) == (email, method)
    gone = KEYS["gone"]
    for reply in (
        await app.me(gone["token"]),
        await app.me(cookie=gone["cookie"]),
        await app.refresh(gone["refreshToken"]),
    ):
        assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_a_code_that_an_app_has_in_hand_is_worth_a_session(app: App) -> None:
    """It is good for a minute: the clock stands where the old release's stood."""
    body = {"code": KEYS["code"]["code"], "codeVerifier": VERIFIER}
    data = check_success(await app.post("/api/client/auth/exchange", body))
    assert data["user"]["email"] == "bob@globex.example"


async def test_who_is_away_at_an_openid_provider_begins_anew(app: App) -> None:
    """No flow of that time remembers its callback address, which alone tells one provider's answer from another's."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(KEYS["away"]["address"]).query).items()}
    assert OLD.named("sign_in_flows")
    cookies = "; ".join(f"{name}={value}" for name, value in KEYS["away"]["cookies"].items())
    query = urlencode({"code": "any", "state": asked["state"]})
    reply = await app.get(f"/api/client/auth/oidc/callback?{query}", headers={"Cookie": cookies})
    assert (reply.status, reply.code) == (401, "SSO_FAILED")


async def test_an_invitation_of_before_lets_in(app: App) -> None:
    reply = await app.post("/api/client/auth/invitations/accept", {"token": KEYS["invited"]["token"], "password": NEW})
    assert reply.data["user"]["email"] == "invited@globex.example"


async def test_its_people_sign_in_as_before(app: App) -> None:
    assert (await app.sign_in("publisher@acme.example")).code == "INVALID_CREDENTIALS"
    for email, given in (("publisher@acme.example", KEYS["publisher"]["password"]), ("operator@acme.example", None)):
        reply = await app.sign_in(email, *([given] if given else []))
        assert reply.data["user"]["email"] == email


async def test_its_provider_lets_the_same_people_in(app: App) -> None:
    idp = Idp(issuer="http://www.okta.com/exk2")
    okta = SamlProvider(app, idp, "acme", "okta", {})
    saml = {"certificates": [idp.certificate_pem]}  # a newer one: the old one's key is gone with the old provider
    assert (await okta.admin("PATCH", "", {"saml": saml})).status == 200
    before = (await app.me(cookie=KEYS["alice"]["cookie"])).data
    browser = Browser(app)
    ended = await okta.sign_in(browser, "alice@acme.example", attributes={"groups": ["Operators"]})
    assert ended.status == 303, ended.text
    me = (await browser.me()).data
    assert (me["user"]["id"], me["roles"]) == (before["user"]["id"], ["Operator", "Viewer"])


async def test_the_chains_of_the_audit_trail_are_whole_and_go_on(app: App) -> None:
    for _ in range(2):
        verdicts = await audit.verify_all(app.services.store, lambda _: None, {})
        assert [(v.chain, v.client, v.faults) for v in verdicts] == [(0, None, []), (1, "acme", []), (2, "globex", [])]
        assert (await app.sign_in("author@acme.example")).status == 200
