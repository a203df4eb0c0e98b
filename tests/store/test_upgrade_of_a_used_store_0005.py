"""Upgrade of a used store of schema 0005: claims by one client count, contested ones do not, and providers go on.

``store_0005.json`` was written by the release whose schema is 0005. Its client acme has two OpenID providers (``corp``
announces ``iss``, ``quiet`` does not), one of SAML and three of Microsoft; its client globex has an OpenID provider
with a callback address of its own. Both claim ``shared.example`` and one directory, and have a provider ``okta``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.stand_in import Standin, standin
from tests.store import old_stores
from tests.store.old_stores import OldStore, Rows
from tests.support.application import App, running
from tests.support.oidc_op import Op, provider
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import ACS, BASE, Browser, entity_id

pytestmark = pytest.mark.one_store  # revisions up to 0008 no longer change
OLD = old_stores.read("0005")
KEYS = OLD.keys
CONTOSO, SECOND = "c0c0c0c0-1111-4111-8111-111111111111", "d1d1d1d1-2222-4222-8222-222222222222"
#: Sign-ins in progress at an OpenID provider have no callback address: they start again.
DROPPED = {"sign_in_flows"}


@pytest.fixture(scope="module")
def issuers() -> Iterator[dict[str, Op]]:
    """The OpenID providers of that store, at the addresses that they have now."""
    with ExitStack() as stack:
        found = {name: stack.enter_context(provider(alg="ES256")) for name in KEYS["issuers"]}
        for op in found.values():
            op.client_secret = KEYS["secret"]
        found["quiet"].without_iss = True
        yield found


@pytest.fixture(scope="module")
def old(issuers: dict[str, Op]) -> OldStore:
    """The store, whose providers stand where they can be reached."""
    text = old_stores.closed(OLD.rows["providers"])
    for name, address in KEYS["issuers"].items():
        text = text.replace(address, issuers[name].issuer)
    return replace(OLD, rows={**OLD.rows, "providers": old_stores.opened(json.loads(text))})


@pytest.fixture(scope="module")
async def upgraded(empty_url: str, old: OldStore) -> Rows:
    """The rows of the upgraded store, before anybody uses it."""
    return await old.upgraded(empty_url)


@pytest.fixture(scope="module")
def microsoft() -> Iterator[Standin]:
    with standin() as found:
        yield found


@pytest.fixture(scope="module")
async def app(empty_url: str, upgraded: Any, microsoft: Standin, issuers: dict[str, Op]) -> AsyncIterator[App]:
    """The application of today on it."""
    async with running(empty_url, **microsoft.settings) as application:
        microsoft.clock = application.clock
        for op in issuers.values():
            op.clock = application.clock
        yield application


@pytest.mark.parametrize("table", sorted(OLD.rows.keys() - DROPPED))
def test_every_row_is_there_as_it_was(upgraded: Rows, old: OldStore, table: str) -> None:
    old.is_as_it_was(table, upgraded[table])


def test_openid_providers_keep_the_shared_callback_address_but_those_that_had_their_own(upgraded: Rows) -> None:
    settings = {row["name"]: json.loads(row["settings"]) for row in upgraded["providers"] if row["kind"] == "oidc"}
    marks = {name: found["oidc"].get("sharedCallback") for name, found in settings.items()}
    assert marks == {"corp": True, "quiet": True, "own": None}
    assert all("ownCallback" not in found["oidc"] for found in settings.values())


def test_identities_keep_whether_their_provider_vouched(upgraded: Rows) -> None:
    vouched = {row["how"]: row["vouched"] for row in upgraded["identities"]}
    assert vouched["domain"] == 1
    assert vouched.get("created-unvouched", 0) == 0


async def _list(app: App, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await app.get(f"/api/admin/{path}", token=await app.admin_token())).data["items"]
    return found


async def test_a_domain_of_one_client_counts_and_one_of_two_counts_for_none(app: App) -> None:
    for client, domain in (("acme", "acme.example"), ("globex", "globex.example")):
        found = {one["domain"]: (one["state"], one["proof"]) for one in await _list(app, f"clients/{client}/domains")}
        assert found == {domain: ("proved", "upgrade"), "shared.example": ("pending", None)}


async def test_a_directory_of_one_client_counts_and_one_of_two_counts_for_none(app: App) -> None:
    expected = {
        "acme": {CONTOSO: ("proved", "upgrade"), SECOND: ("pending", None)},
        "globex": {SECOND: ("pending", None)},
    }
    for client, states in expected.items():
        listed = await _list(app, f"clients/{client}/directories")
        assert {one["directory"]: (one["state"], one["proof"]) for one in listed} == states


async def test_a_name_of_one_client_is_pinned(app: App) -> None:
    pinned = {one["name"]: one["client"] for one in await _list(app, "provider-names")}
    assert pinned == {"corp": "acme", "quiet": "acme", "own": "globex", "crm": "acme", "ms-dynamics": "acme"}


@pytest.mark.parametrize(
    ("name", "client", "sub", "email"),
    [
        ("corp", "acme", "author-sub", "author@acme.example"),
        ("corp", "acme", "boss-sub", "boss@acme.example"),
        ("corp", "acme", "shared-sub", "zoe@shared.example"),
        ("quiet", "acme", "viewer-sub", "viewer@acme.example"),
        ("own", "globex", "author-sub", "author@globex.example"),
    ],
)
async def test_who_was_linked_by_openid_gets_in(
    app: App, issuers: dict[str, Op], name: str, client: str, sub: str, email: str
) -> None:
    op, browser = issuers[name], Browser(app)
    op.user = {"sub": sub, "email": email, "email_verified": True}
    op.claims = {"groups": ["bosses"]} if sub == "boss-sub" else {}
    started = await browser.start("oidc", provider=name, client=client)
    back = op.visit(started.headers["location"])
    shared = f"{BASE}/api/client/auth/oidc/callback"
    assert back.partition("?")[0] == (shared if name == "corp" else f"{shared}/{client}/{name}")
    assert (await browser.send("GET", back)).status == 302
    me = (await browser.me()).data
    assert me["user"]["email"] == email
    assert ("Admin" in me["roles"]) == (sub == "boss-sub")


async def test_who_was_linked_by_saml_gets_in(app: App) -> None:
    idp = Idp(KEYS["saml"]["issuer"])
    idp.key = load_pem_private_key(KEYS["saml"]["key"].encode(), None)  # type: ignore[assignment]
    idp.certificate_der = base64.b64decode(KEYS["saml"]["certificate"])
    response = idp.response(
        entity_id("acme"),
        ACS,
        name_id="saml-sub",
        attributes={"email": "approver@acme.example"},
        now_ms=app.clock.now_ms(),
    )
    reply = await app.post("/api/client/auth/okta-saml", {"samlResponse": response})
    assert reply.data["user"]["email"] == "approver@acme.example"


async def test_who_came_by_microsoft_gets_in(app: App, microsoft: Standin) -> None:
    setup = MicrosoftSetup(app, microsoft)
    assert (await setup.me(microsoft.mint("graph")))["user"]["email"] == KEYS["alice"]
    browser, reply = await Provider(setup, "acme", {"name": "crm"}).sign_in("bob")
    assert reply.status == 302
    assert (await browser.me()).data["user"]["email"] == KEYS["bob"]


async def test_the_sessions_and_the_invitation_of_before_still_open(app: App) -> None:
    for name, email in (("author", "author@acme.example"), ("globex", "author@globex.example")):
        assert (await app.me(cookie=KEYS[name])).data["user"]["email"] == email
    token = KEYS["invitation"].rpartition("#")[2]
    assert (await app.post("/api/client/auth/link", {"token": token})).data["email"] == "operator@acme.example"
