"""``discover`` lists the sign-in methods for an address's domain, and doesn't reveal whether an account exists."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from tests.support.accounts import act_on, hashes_counted, new_client, new_user
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import BASE, act_on_provider, add_provider
from tests.support.statements import statements_of_units

PATH = "/api/client/auth/discover"
OIDC = {"issuer": "https://acme.okta.com", "clientId": "0oa1"}
_numbers = itertools.count(1)
pytestmark = [pytest.mark.still, pytest.mark.one_store]


def saml() -> dict[str, Any]:
    idp = Idp(issuer=f"http://www.okta.com/exkdiscover{next(_numbers)}")
    return {"entityId": idp.issuer, "certificates": [idp.certificate_pem], "redirectUrl": "https://idp.example/sso"}


async def discover(app: App, email: str, client: str = "", **options: Any) -> Reply:
    return await app.post(PATH + (f"?client={client}" if client else ""), {"email": email}, **options)


async def ways(app: App, email: str, client: str = "") -> dict[str, Any]:
    found: dict[str, Any] = check_success(await discover(app, email, client))
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [way["name"] for way in found["providers"]]


async def test_the_domain_names_client_and_providers(app: App) -> None:
    client = await new_client(app)
    domains = [f"{client}.example", f"{client}.test"]
    okta = await add_provider(app, client, name="okta", displayName="Our Okta", domains=domains, oidc=OIDC)
    adfs = await add_provider(app, client, name="adfs", domains=domains[:1], saml=saml())
    await add_provider(app, client, name="partner", domains=["partner.example"], oidc=OIDC)
    assert await ways(app, f"ada@{client}.example") == {
        "clientId": client,
        "password": True,
        "providers": [
            {"name": "adfs", "displayName": "adfs", "kind": "saml", "clientId": client, "url": adfs["startUrl"]},
            {"name": "okta", "displayName": "Our Okta", "kind": "oidc", "clientId": client, "url": okta["startUrl"]},
        ],
    }
    assert names(await ways(app, f"ADA@{client.upper()}.Test")) == ["okta"]
    begun = await app.get(adfs["startUrl"].removeprefix(BASE))
    assert (begun.status, begun.headers["location"][:23]) == (302, "https://idp.example/sso")


async def test_a_domain_that_was_typed_in_letters_is_the_one_that_the_provider_lists_in_ascii(app: App) -> None:
    client = await new_client(app)
    await add_provider(app, client, name="okta", domains=[f"{client}.xn--m-0ga.example"], oidc=OIDC)
    for typed in (f"ada@{client}.öm.example", f"ada@{client}.XN--M-0GA.example"):
        assert names(await ways(app, typed)) == ["okta"]


async def test_the_answer_is_the_same_whether_the_account_exists_or_not(app: App) -> None:
    """Compares body, status, headers, and the queries that ran, including for a deactivated account."""
    client = await new_client(app)
    await add_provider(app, client, domains=[f"{client}.example"], oidc=OIDC)
    user_id, known = await new_user(app, client)
    _, elsewhere = await new_user(app, "globex", f"elsewhere@{client}.example")
    shut, closed = await new_user(app, client)
    await act_on(app, f"{client}/users/{shut}/deactivate")
    addresses = [known, known.upper(), elsewhere, closed, f"nobody@{client}.example", f"'; --@{client}.example"]
    for named in ("", client):
        seen = []
        replies = []
        for address in addresses:
            with hashes_counted() as hashes, statements_of_units() as statements:
                replies.append(await discover(app, address, named))
            seen.append((len(hashes), list(statements)))
        for reply in replies[1:]:
            same_but_request_id(replies[0], reply)
        assert seen == [seen[0]] * len(seen)
        assert seen[0][1]
        assert not any("users" in text for text in seen[0][1])
    assert not re.search(rf"(?<![0-9a-z-]){user_id}(?![0-9])", replies[0].text)  # not even as part of a made-up name
    assert not any(line.startswith(("session=", "device=")) for line in replies[0].headers.get_list("set-cookie"))


@matrix("email", ["ada@nobody.example", "author@acme.example", "ada@example", "author", "@@@", "a@b@"])
async def test_a_domain_that_no_one_owns_has_a_password(app: App, email: str) -> None:
    """Regardless of existing accounts, and of the text that was entered."""
    assert await ways(app, email) == {"clientId": None, "password": True, "providers": []}


async def test_neither_part_nor_whole_of_a_domain_is_that_domain(app: App) -> None:
    client = await new_client(app)
    await add_provider(app, client, domains=[f"{client}.example"], oidc=OIDC)
    for domain in (f"sub.{client}.example", f"evil-{client}.example", f"{client}.example.evil.example", f"{client}%"):
        assert names(await ways(app, f"ada@{domain}")) == []


async def test_a_client_that_is_named_offers_all_of_its_ways_where_none_owns_the_domain(app: App) -> None:
    client, other = await new_client(app), await new_client(app)
    await add_provider(app, client, name="okta", domains=[f"{client}.example"], oidc=OIDC)
    await add_provider(app, client, name="partner", oidc=OIDC)
    await add_provider(app, other, name="other", domains=[f"{other}.example"], oidc=OIDC)
    assert names(await ways(app, f"ada@{client}.example", client)) == ["okta"]
    assert names(await ways(app, "ada@elsewhere.example", client)) == ["okta", "partner"]
    assert names(await ways(app, f"ada@{other}.example", client)) == ["okta", "partner"]
    by_header = await discover(app, f"ada@{client}.example", headers={"X-Client-ID": client})
    assert names(check_success(by_header)) == ["okta"]
    by_host = await discover(app, f"ada@{client}.example", headers={"Host": f"{client}.localhost"})
    assert check_success(by_host)["clientId"] == client
    check_refusal(await discover(app, "a@b.c", other, headers={"X-Client-ID": client}), 400, "VALIDATION_ERROR")


async def test_of_two_clients_that_list_a_domain_the_owner_alone_is_offered(app: App) -> None:
    one, two = await new_client(app), await new_client(app)
    await add_provider(app, one, name="shared", domains=[f"{one}.example"], oidc=OIDC)
    await add_provider(app, two, name="shared", domains=[f"{one}.example"], oidc=OIDC, vouch=False)
    await add_provider(app, two, name="zeta", oidc=OIDC)
    found = await ways(app, f"ada@{one}.example")
    assert found["clientId"] == one
    assert [way["clientId"] for way in found["providers"]] == [one]
    # If another client is named, the domain has no effect, and all of that client's methods are listed.
    assert names(await ways(app, f"ada@{one}.example", two)) == ["shared", "zeta"]


async def test_a_domain_that_is_claimed_and_not_proved_is_no_ones(app: App) -> None:
    client = await new_client(app)
    await add_provider(app, client, name="okta", domains=[f"{client}.example"], oidc=OIDC, vouch=False)
    await add_provider(app, client, name="partner", oidc=OIDC)
    assert await ways(app, f"ada@{client}.example") == {"clientId": None, "password": True, "providers": []}
    assert names(await ways(app, f"ada@{client}.example", client)) == ["okta", "partner"]


async def test_what_is_turned_off_or_suspended_is_no_way_in(app: App) -> None:
    client = await new_client(app)
    made = await add_provider(app, client, domains=[f"{client}.example"], oidc=OIDC)
    address = f"ada@{client}.example"
    await act_on_provider(app, client, made["name"], "switch-off")
    for named in ("", client):
        assert names(await ways(app, address, named)) == []
    await act_on_provider(app, client, made["name"], "switch-on")
    assert names(await ways(app, address)) == [made["name"]]
    await act_on(app, f"{client}/suspend")
    assert await ways(app, address) == {"clientId": None, "password": True, "providers": []}
    suspended, unknown = await discover(app, address, client), await discover(app, address, "no-such-client")
    assert suspended.text.replace(client, "") == unknown.text.replace("no-such-client", "")


async def test_where_passwords_are_turned_off_it_says_so(app: App) -> None:
    client = await new_client(app, passwordSignIn=False)
    await add_provider(app, client, domains=[f"{client}.example"], oidc=OIDC)
    for address, named in ((f"ada@{client}.example", ""), ("ada@elsewhere.example", client)):
        assert (await ways(app, address, named))["password"] is False


@matrix("email", [None, 7, "", "ab", "a" * 255, ["a@b.c"], "a@b.c\0", "\ud800@b.c"])
async def test_an_invalid_text_is_a_mistake(app: App, email: Any) -> None:
    check_refusal(await app.post(PATH, {"email": email}), 400, "VALIDATION_ERROR")


async def test_it_is_asked_with_a_body_alone(app: App) -> None:
    check_refusal(await app.post(f"{PATH}?email=a@b.c", {}), 400, "VALIDATION_ERROR")
    check_refusal(await app.get(f"{PATH}?email=a@b.c"), 405, "METHOD_NOT_ALLOWED")
