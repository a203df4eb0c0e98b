"""A new person gets an account at the first sign-in, if the provider can create users."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import new_user, trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import oidc_provider, roles_line, session_of, user_of, users_of
from tests.support.single_sign_on import begun, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store

NO_ADDRESS = "The identity provider didn't send a valid email address"


async def test_an_account_is_made_with_name_address_and_roles(app: App) -> None:
    async with oidc_provider(app, groupRoles=[roles_line("writers", "Author", "Publisher")]) as company:
        names = {"given_name": "Ada", "family_name": "Lovelace", "groups": ["writers"]}
        me = await session_of(await company.sign_in("ada", "Ada@Mail.example", **names))
        assert me["user"]["email"] == "Ada@Mail.example"
        assert (me["user"]["firstName"], me["user"]["lastName"]) == ("Ada", "Lovelace")
        assert me["roles"] == ["Author", "Publisher", "Viewer"]
        made = await user_of(app, company.client, me["user"]["id"])
        assert (made["hasPassword"], made["deactivatedAt"]) == (False, None)
        events = [event for event in await trail(app, company.client) if event.subject == f"user:{made['id']}"]
        assert [event.event for event in events] == ["user_created", "identity_linked", "signed_in"]
        assert events[0].members["roles"] == me["roles"]


async def test_it_is_signed_in_as_the_same_one_after_that(app: App) -> None:
    async with oidc_provider(app) as company:
        first = await session_of(await company.sign_in("ada", "ada@mail.example", given_name="Ada"))
        again = await session_of(await company.sign_in("ada", "ada@mail.example", given_name="Augusta"))
        assert again["user"] == first["user"]
        [row] = (await app.get(
            f"/api/admin/clients/{company.client}/users/{first['user']['id']}/identities", token=await app.admin_token()
        )).data["items"]  # fmt: skip
        assert row["how"] == "created-unvouched"


async def test_without_leave_to_make_accounts_no_one_new_can_sign_in(app: App) -> None:
    async with oidc_provider(app, vouches=True, createUsers=False) as company:
        assert "creates no users" in await company.refused("ada", f"ada@{company.client}.example")
        assert await users_of(app, company.client) == {}
        await company.change(createUsers=True)
        await company.sign_in("ada", f"ada@{company.client}.example")
        await company.change(createUsers=False)
        await company.sign_in("ada")


async def test_a_provider_with_domains_makes_accounts_for_these_alone(app: App) -> None:
    async with oidc_provider(app, domains=["one.example", "two.example"]) as company:
        for email in (
            "ada@three.example",
            "ada@one.example.evil.example",
            "ada@sub.one.example",
            "one.example@x.example",
        ):
            assert "no listed domain" in await company.refused("ada", email), email
        await company.sign_in("ada", "ada@ONE.example")
        await company.sign_in("bob", "bob@two.example")
        assert set(await users_of(app, company.client)) == {"ada@ONE.example", "bob@two.example"}


async def test_a_character_that_only_looks_like_the_domains_is_another_domain(app: App) -> None:
    """A careless comparison treats the Kelvin sign as a k."""
    async with oidc_provider(app, domains=["kestrel.example"]) as company:
        await company.refused("ada", "ada@\u212aestrel.example")
        assert await users_of(app, company.client) == {}


BAD_ADDRESSES: list[Any] = [
    None, "", 7, ["ada@mail.example"], {"value": "ada@mail.example"}, "ada", "@mail.example", "ada@",
    "a b@mail.example", "ada@mail.example ", " ada@mail.example", "ada@mail@example", '"ada"@mail.example',
    "ada@mail.example\n", "ada\r\n@mail.example", "Ada <ada@mail.example>", "\0", True, "a" * 5000,
    "ada\u0000@mail.example", "ada@mail..example", "<ada@mail.example>", "аda@mail.example", "ada\u202e@mail.example",
    f"{'a' * 65}@mail.example", f"ada@{'a' * 190}.example",
]  # fmt: skip


@matrix("email", BAD_ADDRESSES)
async def test_without_a_valid_address_no_account_is_made(app: App, email: Any) -> None:
    async with oidc_provider(app) as company:
        company.op.claims = {"email": email}
        browser, reply = await company.attempt("ada")
        assert check_no_one_got_in(reply) == NO_ADDRESS
        assert await users_of(app, company.client) == {}
        # A known person doesn't need one.
        company.op.claims = {}
        await company.sign_in("ada", "ada@mail.example")
        company.op.claims = {"email": email}
        await company.sign_in("ada", browser=browser)
        assert list(await users_of(app, company.client)) == ["ada@mail.example"]


async def test_an_address_that_is_taken_in_other_case_is_taken(app: App) -> None:
    async with oidc_provider(app) as company:
        _, email = await new_user(app, company.client, f"Ada.Ärger@{company.client}.example")
        for spelling in (email.upper(), email.lower()):
            assert "an account has this address" in await company.refused("ada", spelling)
        assert list(await users_of(app, company.client)) == [email]


NAMES: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({}, ("", "")),
    ({"name": "Ada Lovelace"}, ("Ada", "Lovelace")),
    ({"name": "Ada"}, ("Ada", "")),
    ({"name": "Juan Carlos de la Vega"}, ("Juan", "Carlos de la Vega")),
    ({"given_name": "Ada", "name": "Countess of Lovelace"}, ("Ada", "")),
    ({"given_name": "A" * 5000, "family_name": "é" * 101}, ("A" * 100, "é" * 100)),
    ({"given_name": "A\u0000d\u0007a", "family_name": "Love\u007flace"}, ("Ada", "Lovelace")),
    ({"given_name": "A\u200bd\u202ea", "family_name": "\u3164"}, ("Ada", "")),
    ({"given_name": "\u0645\u06cc\u200c\u062e", "name": "-"}, ("\u0645\u06cc\u200c\u062e", "")),
    ({"given_name": 7, "family_name": ["Lovelace"]}, ("", "")),
    ({"given_name": "O'Neill", "family_name": "D\u2019Arc-Müller"}, ("O'Neill", "D\u2019Arc-Müller")),
    ({"given_name": "王", "family_name": "小明"}, ("王", "小明")),
    ({"given_name": "<script>alert(1)</script>", "family_name": "{{7*7}}"}, ("<script>alert(1)</script>", "{{7*7}}")),
]


@matrix(("claims", "expected"), NAMES)
async def test_whatever_a_name_looks_like_its_user_can_sign_in(
    app: App, claims: dict[str, Any], expected: tuple[str, str]
) -> None:
    async with oidc_provider(app) as company:
        user = (await session_of(await company.sign_in("ada", "ada@mail.example", **claims)))["user"]
        assert (user["firstName"], user["lastName"]) == expected


async def test_names_in_saml_attributes_can_be_written_on_several_lines(app: App) -> None:
    okta = await saml_provider(app)
    names = {"firstName": ["Ada\n   Augusta\t"], "lastName": ["Love\u0085lace" + "x" * 200]}
    user = (await okta.call(okta.response("lines@mail.example", attributes=names))).data["user"]
    assert user["firstName"] == "Ada Augusta"
    assert (user["lastName"][:4], len(user["lastName"])) == ("Love", 100)


async def test_without_a_role_no_account_is_made(app: App) -> None:
    async with oidc_provider(app, defaultRoles=[], groupRoles=[roles_line("ops", "Operator")]) as company:
        assert "no group" in await company.refused("ada", "ada@mail.example", groups=["others"])
        assert "no group" in await company.refused("ada", "ada@mail.example")
        assert await users_of(app, company.client) == {}
        me = await session_of(await company.sign_in("ada", "ada@mail.example", groups=["ops"]))
        assert me["roles"] == ["Operator"]


@matrix("length", [256, 512, 513, 4000])
async def test_a_long_saml_subject_is_kept_whole_or_rejected(app: App, length: int) -> None:
    okta = await saml_provider(app)
    subject = "".join(chr(0x4E00 + (7919 * n) % 20000) for n in range(length))
    mail = {"email": [f"long-{length}@mail.example"]}
    reply = await okta.call(okta.response(subject, attributes=mail))
    if length > 512:
        check_no_one_got_in(reply)
        return
    other = await okta.call(okta.response(subject[:-1] + "x", attributes={"email": [f"other-{length}@mail.example"]}))
    assert other.data["user"]["id"] != reply.data["user"]["id"]
    again = await okta.call(okta.response(subject, attributes=mail))
    assert again.data["user"]["id"] == reply.data["user"]["id"]


async def test_someone_new_at_two_providers_at_the_same_time_is_one_user_and_sees_no_conflict(app: App) -> None:
    async with oidc_provider(app, vouches=True) as one, oidc_provider(app, one.client, vouches=True) as other:
        for number in range(3):
            ways = []
            for company in (one, other) * 4:
                company.knows(f"new-{number}", f"new-{number}@{one.client}.example")
                ways.append(await begun(app, company.op, one.client, provider=company.name))
            replies = await asyncio.gather(*[browser.send("GET", address) for browser, address in ways])
            statuses = [reply.status for reply in replies]  # at the other provider, it can be a different person
            assert {statuses[::2][0], statuses[1::2][0]} == {302, 401}, [reply.text for reply in replies]
            assert statuses == statuses[:2] * 4
            seen = [me.data["user"]["id"] for browser, _ in ways if (me := await browser.me()).status == 200]
            assert len(seen) == 4
            assert len(set(seen)) == 1
            assert [email for email in await users_of(app, one.client) if f"new-{number}@" in email] == [
                f"new-{number}@{one.client}.example"
            ]
