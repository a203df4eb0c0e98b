"""The person that a genuine Power Apps token identifies, and whether that person is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import OTHER_APP, Person
from tests.support.accounts import act_on, new_user, trail
from tests.support.matrix import matrix
from tests.support.people import last_reason, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import sign_ins

pytestmark = pytest.mark.one_store

KINDS = matrix("kind", ["graph", "api", "api-v1"])
ON_BEHALF = {"askGraph": True}


async def test_someone_new_gets_an_account_where_the_provider_makes_them(setup: MicrosoftSetup) -> None:
    provider = await setup.entra(defaultRoles=["Author", "Viewer"])
    me = await setup.me(setup.microsoft.mint("graph"))
    assert me["roles"] == ["Author", "Viewer"]
    assert list(await users_of(setup.app, provider.client)) == ["alice@contoso.example"]
    events = [event.event for event in await trail(setup.app, provider.client)]
    assert [event for event in events if event in ("user_created", "identity_linked", "signed_in")] == [
        "user_created", "identity_linked", "signed_in",
    ]  # fmt: skip


@KINDS
async def test_and_none_where_it_does_not(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours(createUsers=False)
    failed = sign_ins(setup.app, "entra", "failed")
    error = (await setup.refused(setup.microsoft.mint(kind), code="SSO_FAILED")).json["error"]
    assert error["message"] == "There's no account for this user here"
    assert await users_of(setup.app, provider.client) == {}
    assert await last_reason(setup.app, provider.client) == "unknown user, and the provider creates no users"
    assert sign_ins(setup.app, "entra", "failed") == failed + 2
    await provider.change(createUsers=True)
    await setup.me(setup.microsoft.mint(kind))


@rule("MICROSOFT-PERSON")
async def test_a_person_is_tid_and_oid_whatever_else_changes(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    first = await setup.me(setup.microsoft.mint("graph"))
    setup.microsoft.profile = {"mail": "alice.carroll@contoso.example", "surname": "Carroll"}
    changed = {"upn": "ac@contoso.example", "unique_name": "ac@contoso.example", "name": "A C", "sub": "another"}
    again = await setup.me(setup.microsoft.mint("graph", claims=changed))
    assert again["user"]["id"] == first["user"]["id"]
    setup.microsoft.profile = {}
    oid = setup.microsoft.named("contoso").people["alice"].oid
    upper = await setup.me(setup.microsoft.mint("api", claims={"oid": oid.upper()}))
    assert upper["user"]["id"] == first["user"]["id"]
    assert len(await users_of(setup.app, provider.client)) == 1


@rule("MICROSOFT-PERSON")
async def test_two_people_with_one_address_are_not_one(setup: MicrosoftSetup) -> None:
    """Another person in the directory gets the address, but no access to the first person's account."""
    provider = await setup.entra()
    await setup.me(setup.microsoft.mint("graph"))
    setup.microsoft.profile = {"mail": "alice@contoso.example"}
    await setup.refused(setup.microsoft.mint("graph", user="bob"), code="SSO_FAILED")
    assert len(await users_of(setup.app, provider.client)) == 1


@matrix("kind", ["graph", "api"])
async def test_someone_without_a_mailbox(setup: MicrosoftSetup, kind: str) -> None:
    """Graph's ``mail`` is null, but the token contains a display address."""
    await setup.entra_of_ours()
    me = await setup.me(setup.microsoft.mint(kind, user="bob"))
    assert me["user"]["email"] == "bob@contoso.example"
    assert (me["user"]["firstName"], me["user"]["lastName"]) == ("Bob", "Builder")


async def test_someone_without_any_address(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    nameless = {"preferred_username": "bob", "upn": None, "email": None, "unique_name": 7}
    await setup.refused(setup.microsoft.mint("api", user="bob", claims=nameless), code="SSO_FAILED")
    assert await last_reason(setup.app, provider.client) == "unknown user without a valid email address"


@rule("MICROSOFT-AUDIENCE")
async def test_graph_names_someone_else_than_the_token(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours(entra=ON_BEHALF)
    setup.microsoft.profile = {"id": setup.microsoft.named("contoso").people["bob"].oid}
    for kind in ("graph", "api"):
        await setup.refused(setup.microsoft.mint(kind))
    setup.microsoft.profile = {"id": "48d31887-5fad-4d73-a9f5-3c356e68a038"}
    await setup.refused(setup.microsoft.mint("graph"))
    setup.microsoft.profile = {"id": "48d318875fad4d73"}  # the ID format of personal accounts
    await setup.refused(setup.microsoft.mint("graph"))
    assert await users_of(setup.app, provider.client) == {}
    setup.microsoft.profile = {"id": setup.microsoft.named("contoso").people["alice"].oid.upper()}
    await setup.me(setup.microsoft.mint("graph"))


@matrix("kind", ["graph", "api"])
async def test_an_account_that_graph_knows_to_be_disabled(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours(entra=ON_BEHALF)
    refused = sign_ins(setup.app, "entra", "refused")
    setup.microsoft.profile = {"accountEnabled": False}
    await setup.refused(setup.microsoft.mint(kind), 403, "ACCOUNT_DISABLED")
    assert await users_of(setup.app, provider.client) == {}
    assert sign_ins(setup.app, "entra", "refused") == refused + 2
    last = (await trail(setup.app, provider.client))[-1]
    assert (last.event, last.members["why"]) == ("sign_in_refused", "Graph says that the account is disabled")
    setup.microsoft.profile = {"accountEnabled": None}  # it wasn't returned
    await setup.me(setup.microsoft.mint(kind))


async def test_an_account_that_is_gone_from_the_directory(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph", user="carol")
    del setup.microsoft.named("contoso").people["carol"]
    await setup.refused(token)
    assert setup.microsoft.count("graph") == 1


@rule("MICROSOFT-USERS-ONLY")
@KINDS
@matrix("guest", ["gina", "pat"])  # from another organization, and with a personal account
async def test_guests_can_sign_in_where_the_client_wants_them(setup: MicrosoftSetup, kind: str, guest: str) -> None:
    provider = await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind, user=guest))
    assert await users_of(setup.app, provider.client) == {}
    await provider.change(entra={"guests": True})
    person: Person = setup.microsoft.named("contoso").people[guest]
    assert (await setup.me(setup.microsoft.mint(kind, user=guest)))["user"]["firstName"] == person.first
    await provider.change(entra={"guests": False})
    await setup.refused(setup.microsoft.mint(kind, user=guest))


@rule("MICROSOFT-USERS-ONLY")
@KINDS
@matrix(
    "claims",
    [
        {"acct": 1}, {"acct": "1"}, {"acct": 2}, {"acct": True}, {"acct": [0]}, {"idp": "mail"}, {"idp": "google.com"},
        {"idp": "https://sts.windows.net/f0f0f0f0-9999-4999-8999-999999999999/"}, {"idp": ["live.com"]}, {"idp": 7},
        # A partner chooses the name of its service.
        {"idp": "https://idp.partner.example/c0c0c0c0-1111-4111-8111-111111111111/"},
    ],
)  # fmt: skip
async def test_how_a_token_says_that_it_is_a_guests(setup: MicrosoftSetup, kind: str, claims: dict[str, Any]) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind, claims=claims))


@rule("MICROSOFT-USERS-ONLY")
@matrix("kind", ["graph", "api"])
async def test_a_guest_of_whom_only_graph_says_so(setup: MicrosoftSetup, kind: str) -> None:
    """Both claims are optional, so a guest's token can lack them."""
    provider = await setup.entra_of_ours(entra=ON_BEHALF)
    silent = {"acct": None, "idp": None}
    await setup.refused(setup.microsoft.mint(kind, user="gina", claims=silent))
    await provider.change(entra={"guests": True})
    await setup.me(setup.microsoft.mint(kind, user="gina", claims=silent))


async def test_a_user_who_is_deactivated(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    user_id = (await setup.me(setup.microsoft.mint("graph")))["user"]["id"]
    await act_on(setup.app, f"{provider.client}/users/{user_id}/deactivate")
    for kind in ("graph", "api"):
        await setup.refused(setup.microsoft.mint(kind), 403, "ACCOUNT_DISABLED")
        await setup.refused(setup.microsoft.mint(kind, app=OTHER_APP))  # where nothing is known about the account
    refused = [event for event in await trail(setup.app, provider.client) if event.event == "sign_in_refused"]
    assert {(event.subject, event.members["why"]) for event in refused} == {(f"user:{user_id}", "disabled")}
    await act_on(setup.app, f"{provider.client}/users/{user_id}/restore")
    await setup.me(setup.microsoft.mint("graph"))


async def test_a_seat_of_the_installation_is_not_taken_by_an_address(setup: MicrosoftSetup) -> None:
    """An account created here belongs to nobody in the directory, even if the address is the same."""
    provider = await setup.entra_of_ours()
    await new_user(setup.app, provider.client, "alice@contoso.example")
    for kind in ("graph", "api"):
        await setup.refused(setup.microsoft.mint(kind), code="SSO_FAILED")


class TestOnBehalf:
    """Tests of requests to Graph with a token exchanged for the caller's; failures there aren't the caller's fault."""

    @pytest.fixture
    async def provider(self, setup: MicrosoftSetup) -> Provider:
        return await setup.entra_of_ours(entra=ON_BEHALF)

    async def test_our_secret_is_wrong(self, setup: MicrosoftSetup, provider: Provider) -> None:
        await provider.change(entra={"clientSecret": "of-yesterday"})
        await setup.refused(setup.microsoft.mint("api"), code="SSO_FAILED")
        assert "invalid_client" in await last_reason(setup.app, provider.client)
        await setup.me(setup.microsoft.mint("graph"))  # needs no exchange

    async def test_no_one_consented(self, setup: MicrosoftSetup, provider: Provider) -> None:
        for registered in setup.microsoft.login.registrations.values():
            registered.consented = False
        await setup.refused(setup.microsoft.mint("api"), code="SSO_FAILED")
        assert "invalid_grant" in await last_reason(setup.app, provider.client)

    @matrix("given", [{"access_token": None}, {"access_token": 7}, {"access_token": "x.y.z"}])
    async def test_what_is_given_is_no_token(
        self, setup: MicrosoftSetup, provider: Provider, given: dict[str, Any]
    ) -> None:
        setup.microsoft.token = given
        await setup.refused(setup.microsoft.mint("api"), code="SSO_FAILED")

    async def test_graph_rejects_what_was_given(self, setup: MicrosoftSetup, provider: Provider) -> None:
        setup.microsoft.answers["graph"] = error_bodies.graph("Authorization_RequestDenied", "Insufficient", 0, 403)
        await setup.refused(setup.microsoft.mint("api"), code="SSO_FAILED")
        assert "Authorization_RequestDenied" in await last_reason(setup.app, provider.client)

    async def test_the_token_itself_is_judged_first(self, setup: MicrosoftSetup, provider: Provider) -> None:
        await setup.refused(setup.microsoft.mint("api", key_of="fabrikam"))
        await setup.refused(setup.microsoft.mint("api", lifetime=-1), code="TOKEN_EXPIRED")
        assert (setup.microsoft.count("token"), setup.microsoft.count("graph")) == (0, 0)
