"""The SAML attributes that describe a person, under the names that real providers use, and the matching user."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.single_sign_on import SamlProvider, check_no_one_got_in, failures, saml_provider

pytestmark = pytest.mark.one_store

CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
GROUPS = [{"group": "Operators", "roles": ["Operator"]}, {"group": "Writers of 2, 3", "roles": ["Author"]}]
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
ADA = ("ada@acme.example", "Ada", "Lovelace")


async def provider(app: App, **members: Any) -> SamlProvider:
    """A provider of a separate client."""
    return await saml_provider(app, await new_client(app), groupRoles=GROUPS, **members)


async def person(okta: SamlProvider, name_id: str = "00u1", **members: Any) -> tuple[str, str, str]:
    """Email, first name, and last name of the user that the response signs in."""
    user = (await okta.call(okta.response(name_id, **members))).data["user"]
    return user["email"], user["firstName"], user["lastName"]


async def roles(okta: SamlProvider, groups: Any, name: str = "groups") -> set[str]:
    attributes = {} if groups is None else {name: groups}
    data = (await okta.call(okta.response("roles@acme.example", attributes=attributes))).data
    return set(data["user"]["roles"]) - {"Viewer"}


NAMINGS: dict[str, tuple[str, str, str]] = {
    "Okta": ("Email", "FirstName", "LastName"),
    "Okta, as its help says": ("email", "firstName", "lastName"),
    "Entra ID and ADFS": (f"{CLAIMS}/emailaddress", f"{CLAIMS}/givenname", f"{CLAIMS}/surname"),
    "Shibboleth": ("urn:oid:0.9.2342.19200300.100.1.3", "urn:oid:2.5.4.42", "urn:oid:2.5.4.4"),
    "Keycloak": ("urn:oid:1.2.840.113549.1.9.1", "urn:oid:2.5.4.42", "urn:oid:2.5.4.4"),
    "OIDC's": ("email", "given_name", "family_name"),
    "LDAP's": ("mail", "givenName", "sn"),
}


@matrix("naming", NAMINGS)
async def test_the_usual_names_of_attributes_are_known(app: App, naming: str) -> None:
    okta = await provider(app)
    attributes = dict(zip(NAMINGS[naming], ADA, strict=True))
    assert await person(okta, attributes=attributes) == ADA


async def test_an_administrators_own_names_count_alone(app: App) -> None:
    names = {"email": "work mail", "firstName": "urn:x:given", "lastName": "Nachname", "groups": "Rollen"}
    okta = await provider(app, saml={"attributes": names})
    attributes: dict[str, Any] = {
        **dict(zip(list(names.values())[:3], ADA, strict=True)),
        "email": "wrong@acme.example",
        "firstName": "Wrong",
        "groups": ["Writers of 2, 3"],
        "Rollen": ["Operators"],
    }
    data = (await okta.call(okta.response("00u1", attributes=attributes))).data["user"]
    assert (data["email"], data["firstName"], data["lastName"]) == ADA
    assert set(data["roles"]) == {"Operator", "Viewer"}
    for name_id in ("00u2", "other@acme.example"):
        check_no_one_got_in(await okta.call(okta.response(name_id, attributes={"email": "other@acme.example"})))


async def test_a_name_id_that_is_an_address_is_the_address_where_no_attribute_is(app: App) -> None:
    okta = await provider(app)
    assert await person(okta, "ada@acme.example") == ("ada@acme.example", "", "")
    attributes = {"email": "grace@acme.example"}
    assert (await person(okta, "00u2@acme.okta.example", attributes=attributes))[0] == "grace@acme.example"
    empty = {"email": "", "firstName": ""}
    assert await person(okta, "kay@acme.example", attributes=empty) == ("kay@acme.example", "", "")


async def test_a_new_person_without_any_address_gets_no_account(app: App) -> None:
    okta = await provider(app)
    for attributes in (
        {},
        {"email": ""},
        {"email": "no address"},
        {"email": "a@b@c"},
        {"email": "x" * 300 + "@a.example"},
    ):
        check_no_one_got_in(await okta.call(okta.response("00u1", attributes=attributes)))


@matrix(
    ("groups", "separator", "expected"),
    [
        (["Everyone", "Operators"], "", {"Operator"}),
        ("Operators", "", {"Operator"}),
        (["  Operators\n"], "", {"Operator"}),
        (["Writers of 2, 3", "Operators"], "", {"Author", "Operator"}),
        ("Everyone,Operators", "", set()),
        ("Everyone, Operators ,x", ",", {"Operator"}),
        (["Everyone;x", "y;Operators"], ";", {"Operator"}),
        ("Everyone Operators", " ", {"Operator"}),
        (["operators", "OPERATORS", "Operators2", "xOperators", "Admin"], "", set()),
        ([], "", set()),
        ("", ",", set()),
        (None, "", set()),
    ],
)
async def test_groups_give_roles_however_they_are_written(
    app: App, groups: Any, separator: str, expected: set[str]
) -> None:
    okta = await provider(app, groupSeparator=separator)
    assert await roles(okta, groups) == expected


@matrix("name", ["groups", "memberOf", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"])
async def test_the_usual_names_of_groups_are_known(app: App, name: str) -> None:
    assert await roles(await provider(app), ["Operators"], name) == {"Operator"}


async def test_roles_follow_the_groups_at_each_sign_in(app: App) -> None:
    okta = await provider(app)
    for groups, expected in (
        (["Operators"], {"Operator"}),
        ([], set()),
        (["Writers of 2, 3"], {"Author"}),
        (None, set()),
    ):
        assert await roles(okta, groups) == expected


async def test_the_name_id_is_the_person_character_by_character(app: App) -> None:
    okta = await provider(app)

    async def user_of(name_id: str, email: str) -> int:
        return int((await okta.call(okta.response(name_id, attributes={"email": email}))).data["user"]["id"])

    names = ["00uA", "00ua", "00Ua", "00u\u00e4", "00ua\u0308", "00u.A", "00u\u0430", "00u A", "00uA@acme.example"]
    ids = [await user_of(name, f"p{n}@acme.example") for n, name in enumerate(names)]
    assert len(set(ids)) == len(names)
    again = [await user_of(name, "moved@acme.example") for name in names]
    assert again == ids
    assert await user_of("  00uA\n", "p0@acme.example") == ids[0]  # surrounding whitespace is just formatting


async def test_a_person_who_takes_over_an_address_does_not_take_over_the_account(app: App) -> None:
    okta = await provider(app)
    ada = (await okta.call(okta.response("00u1", attributes={"email": "ada@acme.example"}))).data["user"]["id"]
    check_no_one_got_in(await okta.call(okta.response("00u2", attributes={"email": "ada@acme.example"})))
    renamed = await okta.call(okta.response("00u1", attributes={"email": "ada.king@acme.example"}))
    assert renamed.data["user"]["id"] == ada


async def test_an_attribute_can_stand_for_the_person_in_place_of_the_name_id(app: App) -> None:
    okta = await provider(app, saml={"attributes": {"subject": "employeeNumber"}})
    one = {"employeeNumber": "4711", "email": "ada@acme.example"}
    first = (await okta.call(okta.response("x1", attributes=one))).data["user"]["id"]
    for name_id, kind in (("x2", TRANSIENT), ("_9f", TRANSIENT), ("x1", PERSISTENT)):
        reply = await okta.call(okta.response(name_id, name_id_format=kind, attributes=one))
        assert reply.data["user"]["id"] == first
    other = {"employeeNumber": "4712", "email": "grace@acme.example"}
    assert (await okta.call(okta.response("x1", attributes=other))).data["user"]["id"] != first
    for attributes in ({"email": "ada@acme.example"}, {"employeeNumber": "", "email": "ada@acme.example"}):
        check_no_one_got_in(await okta.call(okta.response("x1", attributes=attributes)))


async def test_a_subject_without_a_name_is_whom_the_attribute_names_or_no_one(app: App) -> None:
    """ADFS sends such responses unless it's configured to send a NameID."""

    def drop(tree: etree._Element) -> None:
        [name_id] = tree.iter("{urn:oasis:names:tc:SAML:2.0:assertion}NameID")
        parent = name_id.getparent()
        assert parent is not None
        parent.remove(name_id)

    one = {"employeeNumber": "4711", "email": "ada@acme.example"}
    okta = await provider(app, saml={"attributes": {"subject": "employeeNumber"}})
    first = (await okta.call(okta.response("x1", attributes=one))).data["user"]["id"]
    assert (await okta.call(okta.response(attributes=one, before=drop))).data["user"]["id"] == first
    plain = await provider(app)
    check_no_one_got_in(await plain.call(plain.response(attributes=one, before=drop)))
    assert "contains no subject" in (await failures(app, plain.client))[-1]["why"]


async def test_a_name_id_for_once_names_no_one(app: App) -> None:
    okta = await provider(app)
    attributes = {"email": "ada@acme.example"}
    check_no_one_got_in(await okta.call(okta.response("_1", name_id_format=TRANSIENT, attributes=attributes)))
    assert "transient" in (await failures(app, okta.client))[-1]["why"]
    for kind in (PERSISTENT, None, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"):
        assert await person(okta, "_2", name_id_format=kind, attributes={"email": "kay@acme.example"})


@matrix("length", [513, 1025, 15_000])
async def test_a_subject_without_end_is_rejected_and_no_bug(app: App, length: int) -> None:
    """A PostgreSQL index can't store a text of this size."""
    okta = await provider(app, saml={"attributes": {"subject": "id"}})
    subject = long_text(length)
    check_no_one_got_in(await okta.call(okta.response("x", attributes={"id": subject, "email": "ada@acme.example"})))
    plain = await provider(app)
    check_no_one_got_in(await plain.call(plain.response(subject, attributes={"email": "ada@acme.example"})))


async def test_a_long_subject_is_a_subject(app: App) -> None:
    okta = await provider(app)
    name_id, attributes = long_text(512), {"email": "ada@acme.example"}
    ids = [(await okta.call(okta.response(name_id, attributes=attributes))).data["user"]["id"] for _ in range(2)]
    assert ids[0] == ids[1]


def long_text(count: int) -> str:
    """Text with four bytes per character that doesn't compress well."""
    return "".join(chr(0x10000 + (n * 7919) % 60_000) for n in range(count))


async def test_names_are_kept_as_people_write_them_without_what_a_store_rejects(app: App) -> None:
    okta = await provider(app)
    attributes = {
        "email": "ada@acme.example",
        "firstName": "Ada\tAugusta\n Byron",
        "lastName": "O'Brien-Løvelace <b> 李",
    }
    email, first, last = await person(okta, attributes=attributes)
    assert (email, last) == ("ada@acme.example", "O'Brien-Løvelace <b> 李")
    assert first == "Ada Augusta Byron"
    long = {"email": "grace@acme.example", "firstName": "x" * 5000, "lastName": "y" * 5000}
    assert [len(text) for text in (await person(okta, "00u2", attributes=long))[1:]] == [100, 100]


async def test_an_account_of_the_owned_domain_is_found_and_no_other(app: App) -> None:
    okta = await provider(app, domains=["acme.example"])
    user_id, email = await new_user(app, okta.client, "linked@acme.example")
    await new_user(app, okta.client, "outsider@other.example")
    linked = await okta.call(okta.response("00u1", attributes={"email": email.upper()}))
    assert linked.data["user"]["id"] == user_id
    assert (await okta.call(okta.response("00u1"))).data["user"]["id"] == user_id  # without an address from now on
    for foreign in (
        "outsider@other.example",
        "new@other.example",
        "x@sub.acme.example",
        "x@acme.example.other.example",
    ):
        check_no_one_got_in(await okta.call(okta.response("00u9", attributes={"email": foreign})))
