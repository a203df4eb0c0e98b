"""Forms and Basic headers of ``/oauth2`` are parsed strictly, and each rejection has its error from RFC 6749."""

from __future__ import annotations

import base64

import pytest

from manifest_auth.errors import Refusal
from manifest_auth.protocols.oauth import (
    ASSERTION_TYPE,
    ClientAssertion,
    ClientSecret,
    account_of,
    client_id_of,
    error_of,
    metadata,
    read_authentication,
    read_form,
    read_scope,
    required,
)
from tests.support.matrix import matrix

ISSUER = "https://auth.example"
GRANT = {"grant_type": "client_credentials"}


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def test_a_scope_is_permissions() -> None:
    assert read_scope(GRANT, ISSUER) is None
    wanted = read_scope({**GRANT, "scope": "jobs:read users:read jobs:read", "resource": ISSUER}, ISSUER)
    assert wanted == frozenset({"jobs:read", "users:read"})


@matrix(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unauthorized_client"),
        ({**GRANT, "scope": "jobs:read  users:read"}, "invalid_scope"),
        ({**GRANT, "scope": " jobs:read"}, "invalid_scope"),
        ({**GRANT, "scope": 'jobs:read "'}, "invalid_scope"),
        ({**GRANT, "scope": "jobs:read everything"}, "invalid_scope"),
        ({**GRANT, "scope": "jobs:read " * 500}, "invalid_scope"),
        ({**GRANT, "resource": "https://other.example"}, "invalid_target"),
        ({**GRANT, "resource": f"{ISSUER}/"}, "invalid_target"),
    ],
)
def test_a_wrong_request_has_its_error(fields: dict[str, str], error: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_scope(fields, ISSUER)
    assert error_of(refused.value) == error


def test_an_empty_field_counts_as_left_out() -> None:
    assert read_form({"a": "", "b": "1"}) == {"b": "1"}
    with pytest.raises(Refusal):
        required(read_form({"token": ""}), "token")


@matrix("written", ["svc_7:mfst_sec_x", "svc%5F7:mfst%5Fsec%5Fx", "svc%5f7:mfst_sec_x"])
def test_the_basic_header_is_coded_as_a_form(written: str) -> None:
    expected = ClientSecret("svc_7", "mfst_sec_x", "client_secret_basic")
    assert read_authentication(basic(written), {}) == expected
    assert read_authentication(basic(written), {"client_id": "svc_7"}) == expected


def test_a_colon_and_a_blank_in_a_secret_are_coded() -> None:
    assert read_authentication(basic("svc_7:a%3Ab+c"), {}) == ClientSecret("svc_7", "a:b c", "client_secret_basic")


def test_a_secret_can_sign_in_the_form_as_it_is() -> None:
    fields = {"client_id": "svc_7", "client_secret": "a%3Ab+c"}  # the form has been decoded
    assert read_authentication(None, fields) == ClientSecret("svc_7", "a%3Ab+c", "client_secret_post")


def test_an_assertion_can_sign_in_the_form() -> None:
    fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"}
    assert read_authentication(None, fields) == ClientAssertion("", "a.b.c")


@matrix(
    ("authorization", "fields", "error"),
    [
        (None, {}, "invalid_client"),
        (None, {"client_id": "svc_7"}, "invalid_client"),
        (basic("svc_7:x"), {"client_secret": "x"}, "invalid_request"),
        (basic("svc_7:x"), {"client_assertion": "a.b.c"}, "invalid_request"),
        (basic("svc_7:x"), {"client_assertion_type": ASSERTION_TYPE}, "invalid_request"),
        (None, {"client_secret": "x", "client_assertion": "a.b.c"}, "invalid_request"),
        (None, {"client_assertion": "a.b.c"}, "invalid_client"),
        (None, {"client_assertion": "a.b.c", "client_assertion_type": "jwt"}, "invalid_client"),
        (basic("svc_7:x"), {"client_id": "svc_8"}, "invalid_client"),
        (basic("svc_7"), {}, "invalid_client"),
        (basic("svc_7:%"), {}, "invalid_client"),
        (basic("svc_7:%4"), {}, "invalid_client"),
        (basic("svc_7:é"), {}, "invalid_client"),
        (basic("svc_7:a b"), {}, "invalid_client"),
        ("Basic !", {}, "invalid_client"),
        ("Basic", {}, "invalid_client"),
        ("Bearer svc_7:x", {}, "invalid_client"),
        (basic("svc_7:" + "x" * 2000), {}, "invalid_client"),
    ],
)
def test_wrong_authentication_has_its_error(authorization: str | None, fields: dict[str, str], error: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_authentication(authorization, fields)
    assert error_of(refused.value) == error


def test_a_client_id_has_one_spelling() -> None:
    assert account_of(client_id_of(7)) == 7
    wrong = ("svc_07", "svc_", "svc_0", "svc_-1", "svc_7 ", "SVC_7", "7", "svc_٧", f"svc_{2**63}", "svc_7\n")
    assert [account_of(text) for text in wrong] == [None] * len(wrong)


def test_the_metadata_names_only_what_there_is() -> None:
    found = metadata(ISSUER)
    assert found["issuer"] == ISSUER
    assert found["response_types_supported"] == []
    device_code = "urn:ietf:params:oauth:grant-type:device_code"
    assert found["grant_types_supported"] == ["client_credentials", device_code, "refresh_token"]
    assert found["device_authorization_endpoint"] == f"{ISSUER}/oauth2/device_authorization"
    assert found["pairing_endpoint"] == f"{ISSUER}/oauth2/pairing"
    assert found["token_endpoint"] == f"{ISSUER}/oauth2/token"
    for endpoint in ("token", "revocation", "introspection"):
        methods = found[f"{endpoint}_endpoint_auth_methods_supported"]
        by_apps = [] if endpoint == "introspection" else ["none"]
        assert methods == ["client_secret_basic", "client_secret_post", "private_key_jwt", *by_apps]
        algorithms = found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms == ["ES256", "PS256", "RS256"]
    assert "authorization_endpoint" not in found
