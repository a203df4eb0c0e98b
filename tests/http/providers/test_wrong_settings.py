"""Invalid provider settings are named, and nothing is created or changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.providers.provider_editors import OIDC, Editor, saml_settings
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.saml_idp import Idp

pytestmark = pytest.mark.one_store

PEM = Idp().certificate_pem
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no kind": ({}, "oidc"),
    "two kinds": ({"oidc": OIDC, "saml": saml_settings()}, "oidc"),
    "a name in capitals": ({"name": "Okta", "oidc": OIDC}, "name"),
    "a name with a slash": ({"name": "a/b", "oidc": OIDC}, "name"),
    "an empty name": ({"name": "", "oidc": OIDC}, "name"),
    "a display name on two lines": ({"displayName": "a\nb", "oidc": OIDC}, "displayName"),
    "http": ({"oidc": {**OIDC, "issuer": "http://idp.example"}}, "oidc.issuer"),
    "an issuer with a query": ({"oidc": {**OIDC, "issuer": "https://idp.example?x"}}, "oidc.issuer"),
    "an issuer that is none": ({"oidc": {**OIDC, "issuer": "okta"}}, "oidc.issuer"),
    "no issuer": ({"oidc": {"clientId": "x"}}, "oidc.issuer"),
    "no client id": ({"oidc": {"issuer": "https://idp.example"}}, "oidc.clientId"),
    "scopes without openid": ({"oidc": {**OIDC, "scopes": ["email"]}}, "oidc.scopes"),
    "a scope with a blank": ({"oidc": {**OIDC, "scopes": ["openid", "a b"]}}, "oidc.scopes"),
    "a way to authenticate": ({"oidc": {**OIDC, "clientAuthentication": "jwt"}}, "oidc.clientAuthentication"),
    "a number as text": ({"oidc": OIDC, "createUsers": "true"}, "createUsers"),
    "a role that is none": ({"oidc": OIDC, "defaultRoles": ["Owner"]}, "defaultRoles[0]"),
    "a group twice": (
        {"oidc": OIDC, "groupRoles": [{"group": "a", "roles": ["Viewer"]}, {"group": "a", "roles": ["Author"]}]},
        "groupRoles",
    ),
    "a group without roles": ({"oidc": OIDC, "groupRoles": [{"group": "a", "roles": []}]}, "groupRoles[0].roles"),
    "a domain in capitals": ({"oidc": OIDC, "domains": ["ACME.example"]}, "domains[0]"),
    "an address as domain": ({"oidc": OIDC, "domains": ["acme.example", "ada@acme.example"]}, "domains[1]"),
    "a whole country": ({"oidc": OIDC, "domains": ["example"]}, "domains[0]"),
    "a return address": ({"oidc": OIDC, "returnAddresses": ["http://acme.example/"]}, "returnAddresses[0]"),
    "no certificate": ({"saml": saml_settings(certificates=[])}, "saml.certificates"),
    "a certificate that is none": ({"saml": saml_settings(certificates=[PEM, "x"])}, "saml.certificates[1]"),
    "no sign-on address": ({"saml": saml_settings(redirectUrl="")}, "saml.redirectUrl"),
    "none for this binding": ({"saml": saml_settings(binding="post")}, "saml.postUrl"),
    "metadata that is none": ({"saml": {"metadata": "<html/>"}}, "saml.metadata"),
}


@matrix(("body", "field"), WRONG.values(), ids=WRONG)
async def test_errors_are_named_and_nothing_is_made(admin: Editor, body: dict[str, Any], field: str) -> None:
    error = check_refusal(await admin.send("POST", "", {"name": "wrong", **body}), 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == field, error
    assert await admin.names() == []


async def test_a_change_that_is_wrong_changes_nothing(admin: Editor) -> None:
    okta = await admin.make(name="okta")
    adfs = check_success(await admin.create("adfs", saml=saml_settings()), 201)
    for name, change, field in (
        ("okta", {"saml": saml_settings()}, "oidc"),
        ("okta", {"oidc": None, "saml": saml_settings()}, "oidc"),
        ("okta", {"domains": ["acme.example", "x"], "displayName": "y"}, "domains[1]"),
        ("okta", {"oidc": {"issuer": "http://idp.example"}}, "oidc.issuer"),
        ("adfs", {"saml": {"entityId": "http://www.okta.com/exkother"}}, "saml.entityId"),
        ("adfs", {"saml": {"certificates": []}}, "saml.certificates"),
        ("adfs", {"saml": {"binding": "post"}}, "saml.postUrl"),
    ):
        error = check_refusal(await admin.send("PATCH", f"/{name}", change), 400, "VALIDATION_ERROR")
        assert error["details"][0]["field"] == field, (change, error)
    assert check_success(await admin.send("GET"))["items"] == [okta, adfs]
    check_refusal(await admin.send("POST", "/okta/rotate-key"), 409, "CONFLICT")
