"""Addresses that a User Admin lists apply to Admins only after an Admin has saved them."""

from __future__ import annotations

import pytest

from tests.support.accounts import settle
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.people import Member, OidcProvider, OwnClient, last_reason, member, own_client
from tests.support.rules import rule
from tests.support.single_sign_on import add_oidc

pytestmark = pytest.mark.one_store

PAGE, ELSEWHERE = "https://page.example", "https://elsewhere.example"
BACK, APP = f"{PAGE}/in", "com.page.app:/in"
NONE: dict[str, list[str]] = {"allowedOrigins": [], "returnAddresses": []}


async def acts_from(app: App, page: str, who: Member) -> Reply:
    """Whether a page of that origin can change something with its visitor's cookie."""
    headers = {"Origin": page, "Sec-Fetch-Site": "cross-site"}
    return await app.post("/api/client/graphql", {"query": "{ me { id } }"}, cookie=who.cookie, headers=headers)


@rule("CORS-PLANTED")
async def test_a_user_admins_origin_works_for_everyone_except_admins(app: App) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    assert (await own.changed(own.clerk, allowedOrigins=[PAGE]))["unconfirmed"] == {**NONE, "allowedOrigins": [PAGE]}
    for who in (viewer, own.clerk):
        assert (await acts_from(app, PAGE, who)).status == 200
    assert (await acts_from(app, PAGE, own.client_admin)).status == 403


async def test_it_works_after_an_admin_saves_the_list(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, allowedOrigins=[PAGE])
    assert (await own.changed(own.client_admin, contact="Ask", returnAddresses=[]))["unconfirmed"][
        "allowedOrigins"
    ] == [PAGE]
    assert (await acts_from(app, PAGE, own.client_admin)).status == 403
    assert (await own.changed(own.client_admin, allowedOrigins=[PAGE]))["unconfirmed"] == NONE
    assert (await acts_from(app, PAGE, own.client_admin)).status == 200
    await own.changed(own.clerk, allowedOrigins=[ELSEWHERE, PAGE])  # in a different order, with an additional entry
    assert (await acts_from(app, PAGE, own.client_admin)).status == 200
    assert (await acts_from(app, ELSEWHERE, own.client_admin)).status == 403
    await own.changed(own.clerk, allowedOrigins=[ELSEWHERE])
    await own.changed(own.clerk, allowedOrigins=[ELSEWHERE, PAGE])  # removed and listed again
    assert (await acts_from(app, PAGE, own.client_admin)).status == 403


async def test_a_system_admin_saves_it_as_well(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, allowedOrigins=[PAGE], returnAddresses=[BACK])
    body = {"settings": {"allowedOrigins": [PAGE], "returnAddresses": [BACK]}}
    path = f"/api/admin/clients/{own.identifier}"
    assert (
        check_success(await app.send("PATCH", path, body, token=await app.admin_token()))["settings"]["unconfirmed"]
        == NONE
    )
    assert (await acts_from(app, PAGE, own.client_admin)).status == 200


async def test_nobody_can_claim_that_an_address_is_confirmed(app: App) -> None:
    own = await own_client(app)
    sent = await own.changed(own.clerk, allowedOrigins=[PAGE], unconfirmed=NONE)
    assert sent["unconfirmed"]["allowedOrigins"] == [PAGE]


async def test_a_new_admin_loses_the_origin(app: App) -> None:
    own = await own_client(app, allowedOrigins=[])
    await own.changed(own.clerk, allowedOrigins=[PAGE])
    clerk = own.clerk
    path = f"/api/admin/clients/{own.identifier}/users/{clerk.id}/roles"
    await app.send("PUT", path, {"roles": ["Admin", "User Admin"]}, token=await app.admin_token())
    assert (await acts_from(app, PAGE, clerk)).status in (401, 403)


async def _at_provider(app: App, op: Op, own: OwnClient) -> OidcProvider:
    made = await add_oidc(app, op, own.identifier, domains=[f"{own.identifier}.example"], returnAddresses=[])
    return OidcProvider(app, op, own.identifier, made)


@matrix(
    "query",
    [
        {"returnTo": BACK},
        {"returnTo": BACK, "response": "code"},
        {"returnTo": APP, "response": "code", "codeChallenge": "c" * 43},
    ],
)
async def test_no_sign_in_of_an_admin_ends_at_a_user_admins_address(app: App, op: Op, query: dict[str, str]) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    provider = await _at_provider(app, op, own)
    await own.changed(own.clerk, returnAddresses=[BACK, APP])
    _, reply = await provider.attempt("viewer", viewer.email, query=query)
    assert (reply.status, reply.headers["location"].partition("?")[0]) == (302, query["returnTo"])
    browser, reply = await provider.attempt("client_admin", own.client_admin.email, query=query)
    check_refusal(reply, 401, "SSO_FAILED")
    assert "session" not in browser.cookies
    assert "a User Admin added" in await last_reason(app, own.identifier)
    await settle(app, own.identifier, returnAddresses=[BACK, APP])
    _, reply = await provider.attempt("client_admin", own.client_admin.email, query=query)
    assert reply.headers["location"].partition("?")[0] == query["returnTo"]


async def test_an_admin_who_links_an_identity_is_rejected_immediately(app: App, op: Op) -> None:
    own = await own_client(app)
    provider = await _at_provider(app, op, own)
    await own.changed(own.clerk, returnAddresses=[BACK])
    body = {"provider": provider.name, "returnTo": BACK}
    reply = await app.post("/api/client/auth/identities", body, token=own.client_admin.token)
    check_refusal(reply, 400, "VALIDATION_ERROR")
    assert (await app.post("/api/client/auth/identities", body, token=own.clerk.token)).status == 200


async def test_a_one_time_link_leads_to_no_such_address(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, returnAddresses=[BACK])
    path = f"/api/admin/clients/{own.identifier}/users/{own.client_admin.id}/password-reset"
    link = (await app.post(path, token=await app.admin_token())).data["link"]
    shown = await app.post("/api/client/auth/link", {"token": link.rpartition("#")[2]})
    assert shown.data["returnTo"] is None
