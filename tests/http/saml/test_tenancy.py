"""A SAML response signs in only to its client, and two clients or providers are never confused."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from lxml import etree

from tests.support.accounts import new_client, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import Encryption, Idp
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store


class Shared(NamedTuple):
    """One identity provider at two clients, with the same entity ID and certificate."""

    one: SamlProvider
    two: SamlProvider


@pytest.fixture(scope="module")
async def shared(app: App) -> Shared:
    idp = Idp(issuer="https://accounts.example/saml")
    return Shared(
        await saml_provider(app, await new_client(app), idp), await saml_provider(app, await new_client(app), idp)
    )


def client_of(reply: Reply) -> str:
    return str(reply.data["user"]["clientId"])


@matrix("style", ["okta", "keycloak", "entra", "pysaml2"])
async def test_each_response_opens_its_own_client_though_no_one_names_it(shared: Shared, style: str) -> None:
    for okta in shared:
        assert client_of(await okta.call(okta.response(style=style))) == okta.client
        assert client_of(await okta.call(okta.response(style=style, sign="response"))) == okta.client


@matrix("sign", ["assertion", "response", "both"])
async def test_so_does_each_encrypted_one_by_the_address_that_it_is_sent_to(shared: Shared, sign: str) -> None:
    assert shared.one.certificate != shared.two.certificate
    for okta in shared:
        encrypted = okta.response(sign=sign, encrypt_for=okta.certificate, encryption=Encryption(place="retrieval"))
        assert client_of(await okta.call(encrypted)) == okta.client


async def test_the_same_person_is_another_user_at_each(shared: Shared) -> None:
    users = [(await okta.call(okta.response("both@acme.example"))).data["user"] for okta in shared]
    assert users[0]["id"] != users[1]["id"]
    assert [user["clientId"] for user in users] == [shared.one.client, shared.two.client]


@rule("SAML-CLIENT")
async def test_encrypted_for_one_and_meant_for_the_other_it_opens_neither(shared: Shared) -> None:
    one, two = shared
    for sign in ("assertion", "response"):
        mixed = one.response(sign=sign, audience=two.audience, encrypt_for=one.certificate)
        check_no_one_got_in(await one.call(mixed))
        check_no_one_got_in(await one.call(mixed, query=f"?client={one.client}"))
        check_no_one_got_in(await one.call(mixed, query=f"?client={two.client}"))


async def moved(okta: SamlProvider, response: str, client: str) -> list[Reply]:
    """Send the response to another client in every way that names one."""
    form = Browser(okta.app)
    content = {"SAMLResponse": response}
    return [
        await okta.call(response, query=f"?client={client}"),
        await okta.call(response, headers={"X-Client-ID": client}),
        await form.post_form(f"{okta.acs}?client={client}", **content),
    ]


@rule("SAML-CLIENT")
async def test_moved_to_another_client_it_is_rejected_like_everything_else(app: App, shared: Shared) -> None:
    one, two = shared
    reference = await one.call(one.response(sign="none"))
    without = await new_client(app)
    number = str(app.ids["globex"]) if app.ids else "2"
    for client in (two.client, without, "globex", number, "no-such-client", "1 or 1=1", "ACME"):
        for response in (one.response(), one.response(encrypt_for=one.certificate)):
            for reply in await moved(one, response, client):
                check_no_one_got_in(reply)
                same_but_request_id(reply, reference)
    for reply in (await moved(one, one.response(), one.client))[:1]:
        assert client_of(reply) == one.client


async def test_the_other_client_reads_in_its_trail_what_was_brought_to_it(shared: Shared) -> None:
    one, two = shared
    before = len(await trail(one.app, two.client))
    await one.call(one.response(), headers={"X-Client-ID": two.client})
    [event] = (await trail(one.app, two.client))[before:]
    assert (event.event, event.members["provider"]) == ("sign_in_failed", two.made["id"])
    assert f'Audience is "{one.audience}"' in event.members["why"]


async def test_two_names_for_the_client_that_disagree_are_a_wrong_request(shared: Shared) -> None:
    one, two = shared
    reply = await one.call(one.response(), query=f"?client={one.client}", headers={"X-Client-ID": two.client})
    check_refusal(reply, 400, "VALIDATION_ERROR")
    twice = [("X-Client-ID", one.client), ("X-Client-ID", one.client)]
    check_refusal(await one.call(one.response(), headers=twice), 400, "VALIDATION_ERROR")
    check_refusal(await one.call(one.response(), query=f"?client={one.client}&client=x"), 400, "VALIDATION_ERROR")


async def test_the_clients_number_names_it_as_well(shared: Shared) -> None:
    one = shared.one
    listed = (await one.app.get(f"/api/admin/clients/{one.client}", token=await one.app.admin_token())).data
    assert client_of(await one.call(one.response(), headers={"X-Client-ID": str(listed["id"])})) == one.client


async def test_an_answer_to_one_clients_request_is_not_taken_at_another(shared: Shared) -> None:
    one, two = shared
    browser = Browser(one.app)
    request_id, state = await one.start(browser)
    for answer in (two.response(in_response_to=request_id), one.response(in_response_to=request_id)):
        path = f"{one.acs}?client={two.client}"
        check_no_one_got_in(await browser.post_form(path, SAMLResponse=answer, RelayState=state))
    check_no_one_got_in(await one.post(browser, two.response(in_response_to=request_id), state))
    assert (await one.post(browser, one.response(in_response_to=request_id), state)).status == 303


async def test_for_two_clients_at_the_same_time_it_opens_the_one_that_is_named(shared: Shared) -> None:
    one, two = shared
    both = [one.audience, two.audience]
    for okta in shared:
        reply = await okta.call(okta.response(audience=both), query=f"?client={okta.client}")
        assert client_of(reply) == okta.client
    assert client_of(await one.call(one.response(audience=both))) == one.client
    assert client_of(await one.call(one.response(audience=["https://other.example/", two.audience]))) == two.client


@rule("SAML-CLIENT")
async def test_two_providers_of_one_client_do_not_speak_for_each_other(app: App) -> None:
    client = await new_client(app)
    first = await saml_provider(app, client, Idp("http://www.okta.com/exkfirst", number=0))
    second = await saml_provider(app, client, Idp("http://www.okta.com/exksecond", number=1))
    one, two = await first.call(first.response("same")), await second.call(second.response("same"))
    check_no_one_got_in(one)  # without an address, no account can be created
    check_no_one_got_in(two)
    mail = {"attributes": {"email": "first@acme.example"}}, {"attributes": {"email": "second@acme.example"}}
    users = [
        (await okta.call(okta.response("same", **members))).data["user"]["id"]
        for okta, members in zip((first, second), mail, strict=True)
    ]
    assert users[0] != users[1]
    for okta, other in ((first, second), (second, first)):
        check_no_one_got_in(await okta.call(okta.response("same", issuer=other.idp.issuer)))
        check_no_one_got_in(await okta.call(okta.response("same", after=renamed(other.idp.issuer), sign="assertion")))


def renamed(issuer: str) -> Callable[[etree._Element], object]:
    """Only the unsigned Response names another provider."""
    return lambda tree: setattr(tree[0], "text", issuer)


async def test_one_entity_id_cannot_stand_twice_in_a_client(shared: Shared) -> None:
    body = {
        "name": "again",
        "saml": {
            "entityId": shared.one.idp.issuer,
            "certificates": [shared.one.idp.certificate_pem],
            "redirectUrl": "https://idp.example/",
        },
    }
    path = f"/api/admin/clients/{shared.one.client}/providers"
    check_refusal(await shared.one.app.post(path, body, token=await shared.one.app.admin_token()), 409, "CONFLICT")


async def test_the_host_names_the_client(secure: App) -> None:
    idp = Idp(issuer="https://accounts.example/hosts")
    one = await saml_provider(secure, await new_client(secure), idp)
    two = await saml_provider(secure, await new_client(secure), idp)
    reference = await one.call(one.response(sign="none"))
    for okta, other in ((one, two), (two, one)):
        own, foreign = f"{okta.client}.auth.example.com", f"{other.client}.auth.example.com:443"
        assert client_of(await okta.call(okta.response(), headers={"Host": own})) == okta.client
        assert client_of(await okta.call(okta.response(), headers={"Host": "auth.example.com"})) == okta.client
        same_but_request_id(await okta.call(okta.response(), headers={"Host": foreign}), reference)
        header = {"Host": own, "X-Client-ID": other.client}
        same_but_request_id(await okta.call(okta.response(), headers=header), reference)


@rule("OIDC-REDIRECT-URI")
async def test_our_name_follows_the_public_address_alone(secure: App, app: App) -> None:
    """Tries a response for the same client of another installation, and one for an address from a Host header."""
    okta = await saml_provider(secure, await new_client(secure))
    elsewhere = okta.audience.replace("https://auth.example.com", "http://127.0.0.1:8080")
    check_no_one_got_in(await okta.call(okta.response(audience=elsewhere)))
    evil = okta.acs.replace("auth.example.com", "evil.example")
    for audience, acs in ((okta.audience, evil), (f"{evil}/metadata?client={okta.client}", okta.acs)):
        response = okta.response(audience=audience, acs=acs)
        check_no_one_got_in(await okta.call(response, headers={"Host": "evil.example"}))
