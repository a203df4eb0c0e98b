"""Without a client, a provider's name means the only client that has it, or the client that it's pinned to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import OURS
from tests.support.accounts import new_client
from tests.support.application import App, Reply, running
from tests.support.background_jobs import sweep_clients
from tests.support.directory_claims import pin
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import add_oidc, add_provider, add_saml, query_of
from tests.support.system_admins import events

pytestmark = [pytest.mark.needs("nsd", "unbound"), pytest.mark.one_store]

NAMES = "/api/admin/provider-names"
AUTH = "/api/client/auth"


@pytest.fixture
def op(setup: MicrosoftSetup) -> Iterator[Op]:
    with provider(setup.app.clock) as standing_in:
        yield standing_in


async def admin(app: App, method: str, path: str = "", body: Any = None) -> Reply:
    return await app.send(method, f"{NAMES}{path}", body, token=await app.admin_token())


async def test_a_pin_is_set_moved_listed_and_removed(setup: MicrosoftSetup) -> None:
    app = setup.app
    one, other = await new_client(app), await new_client(app)
    assert check_success(await admin(app, "PUT", "/pin-b", {"client": one})) == {"name": "pin-b", "client": one}
    check_success(await admin(app, "PUT", "/pin-a", {"client": one}))
    check_success(await admin(app, "PUT", "/pin-b", {"client": other}))
    listed = check_success(await admin(app, "GET", "?q=pin-"))
    assert listed == {
        "items": [{"name": "pin-a", "client": one}, {"name": "pin-b", "client": other}], "nextCursor": None,
    }  # fmt: skip
    first = check_success(await admin(app, "GET", "?q=pin-&first=1&sort=NAME_DESC"))
    assert [item["name"] for item in first["items"]] == ["pin-b"]
    second = check_success(await admin(app, "GET", f"?q=pin-&first=1&sort=NAME_DESC&after={first['nextCursor']}"))
    assert [item["name"] for item in second["items"]] == ["pin-a"]
    for name in ("pin-a", "pin-b"):
        check_success(await admin(app, "DELETE", f"/{name}"))
        check_refusal(await admin(app, "DELETE", f"/{name}"), 404, "NOT_FOUND")
    ids = [
        (await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data["id"]
        for client in (one, other)
    ]
    told = [detail for name, _, subject, detail in await events(app) if subject == "provider-name:pin-b"]
    assert told == [
        {"before": None, "after": ids[0]}, {"before": ids[0], "after": ids[1]}, {"before": ids[1], "after": None},
    ]  # fmt: skip


@matrix("name", ["Upper", "-x", "x-", ".x", "a~b", "x" * 64])
async def test_a_name_that_no_provider_can_have(setup: MicrosoftSetup, name: str) -> None:
    client = await new_client(setup.app)
    check_refusal(await admin(setup.app, "PUT", f"/{name}", {"client": client}), 400, "VALIDATION_ERROR")


async def test_a_client_that_is_not_there(setup: MicrosoftSetup) -> None:
    check_refusal(await admin(setup.app, "PUT", "/okta", {"client": "no-such-client"}), 404, "NOT_FOUND")
    check_refusal(await admin(setup.app, "PUT", "/okta", {}), 400, "VALIDATION_ERROR")


@rule("SAML-CLIENT")
async def test_a_namesake_changes_nothing_for_openid_and_saml(setup: MicrosoftSetup, op: Op) -> None:
    app = setup.app
    one, other = await new_client(app), await new_client(app)
    for client in (one, other):
        await add_oidc(app, op, client, {"clientId": f"for-{client}"}, name="same-oidc")
        await add_saml(app, Idp(issuer=f"https://{client}.example/saml"), client, name="same-saml")
    for path in ("oidc?provider=same-oidc", "okta-saml?provider=same-saml"):
        check_refusal(await app.get(f"{AUTH}/{path}"), 404, "NOT_FOUND")
    for name in ("same-oidc", "same-saml"):
        await pin(app, name, one)
    started = await app.get(f"{AUTH}/oidc?provider=same-oidc")
    assert query_of(started)["client_id"] == f"for-{one}"
    assert (await app.get(f"{AUTH}/okta-saml?provider=same-saml")).status == 302
    check_refusal(await app.get(f"{AUTH}/okta-saml?provider=same-oidc"), 404, "NOT_FOUND")  # of another kind
    await admin(app, "DELETE", "/same-oidc")
    check_refusal(await app.get(f"{AUTH}/oidc?provider=same-oidc"), 404, "NOT_FOUND")


async def test_the_bare_start_of_dynamics_goes_where_its_name_is_pinned(setup: MicrosoftSetup) -> None:
    app, bare = setup.app, f"{AUTH}/ms-dynamics"
    error = check_refusal(await app.get(bare), 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == "client"
    one, other = await setup.dynamics(counts=False), await setup.dynamics(counts=False)
    check_refusal(await app.get(bare), 400, "VALIDATION_ERROR")
    await pin(app, "ms-dynamics", other.client)
    started = await app.get(bare)
    assert started.headers["location"].startswith(setup.microsoft.base)
    assert query_of(started)["client_id"] == OURS
    await one.act("delete")
    await other.act("switch-off")
    check_refusal(await app.get(bare), 404, "NOT_FOUND")
    await other.act("switch-on")
    second = await setup.dynamics(other.client, counts=False)
    error = check_refusal(await app.get(bare), 400, "VALIDATION_ERROR")  # with two providers, one must be named
    assert error["details"][0]["field"] == "provider"
    await second.act("delete")
    assert (await app.get(bare)).status == 302
    await admin(app, "DELETE", "/ms-dynamics")
    check_refusal(await app.get(bare), 400, "VALIDATION_ERROR")


@pytest.fixture
async def alone(setup: MicrosoftSetup, tmp_path: Any) -> AsyncIterator[App]:
    """An installation with a single client."""
    settings = setup.microsoft.settings
    async with running(f"sqlite:///{tmp_path}/alone.db", **settings) as app:
        setup.microsoft.clock = app.clock
        token = await app.admin_token()
        await app.send("DELETE", "/api/admin/clients/globex", token=token)
        app.clock.advance(31 * 86_400)
        await sweep_clients(app)
        yield app
    setup.microsoft.clock = setup.app.clock


async def test_where_there_is_one_client_no_client_need_be_named(alone: App, setup: MicrosoftSetup) -> None:
    directory = setup.microsoft.named("contoso").id
    bare = f"{AUTH}/ms-dynamics"
    check_refusal(await alone.get(bare), 404, "NOT_FOUND")
    settings = {"directory": directory, "clientId": OURS, "organization": "https://contoso.crm.dynamics.com"}
    await add_provider(alone, "acme", name="crm", dynamics=settings)
    for path in (bare, f"{bare}?provider=crm"):
        started = await alone.get(path)
        assert query_of(started)["client_id"] == OURS
    with provider(alone.clock) as op:
        await add_oidc(alone, op, "acme", {"clientId": "known-as"}, name="okta")
        assert query_of(await alone.get(f"{AUTH}/oidc?provider=okta"))["client_id"] == "known-as"
        check_refusal(await alone.get(f"{AUTH}/oidc?provider=other"), 404, "NOT_FOUND")
        await new_client(alone)
        check_refusal(await alone.get(f"{AUTH}/oidc?provider=okta"), 404, "NOT_FOUND")
        check_refusal(await alone.get(bare), 400, "VALIDATION_ERROR")
