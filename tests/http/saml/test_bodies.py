"""SAML responses are sent as JSON or as a form; also covers malformed requests."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.matrix import matrix
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in

pytestmark = pytest.mark.one_store

PATH = "/api/client/auth/okta-saml"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


async def send(app: App, content: bytes, media_type: str | None = JSON, **headers: str) -> Reply:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    if media_type is not None:
        lines["Content-Type"] = media_type
    return await app.send("POST", PATH, content=content, headers=lines)


def as_json(response: str, **others: Any) -> bytes:
    return json.dumps({"samlResponse": response, **others}).encode()


def as_form(response: str, **others: str) -> bytes:
    return urlencode({"SAMLResponse": response, **others}).encode()


GOOD_TYPES = {
    JSON: 200, "application/json; charset=utf-8": 200, 'Application/JSON;charset="UTF-8"': 200,
    FORM: 303, f"{FORM};charset=UTF-8": 303, FORM.title(): 303,
}  # fmt: skip


@matrix("media_type", GOOD_TYPES)
async def test_json_and_the_providers_form_are_read(okta: SamlProvider, media_type: str) -> None:
    write = as_json if "json" in media_type.lower() else as_form
    assert (await send(okta.app, write(okta.response()), media_type)).status == GOOD_TYPES[media_type]


BAD_TYPES = [
    "text/plain", "text/xml", "application/samlassertion+xml", "multipart/form-data; boundary=x", "application/jsonp",
    "application/json; charset=utf-16", "application/json; charset=iso-8859-1", f"text/plain, {JSON}", "", "/",
]  # fmt: skip


@matrix("media_type", BAD_TYPES)
async def test_nothing_else_is_read(okta: SamlProvider, media_type: str) -> None:
    for write in (as_json, as_form):
        reply = await send(okta.app, write(okta.response()), media_type)
        check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


@matrix(("write", "media_type"), [(as_json, FORM), (as_form, JSON)], ids=["json", "form"])
async def test_one_is_not_taken_for_the_other(okta: SamlProvider, write: Any, media_type: str) -> None:
    check_refusal(await send(okta.app, write(okta.response()), media_type), 400, "VALIDATION_ERROR")


@matrix("encoding", ["gzip", "deflate", "br", "identity, gzip"])
@matrix("media_type", [JSON, FORM])
async def test_a_compressed_body_is_rejected_unread(okta: SamlProvider, media_type: str, encoding: str) -> None:
    content = (as_json if media_type == JSON else as_form)(okta.response())
    for body in (gzip.compress(content), content):
        refused = await send(okta.app, body, media_type, Content_Encoding=encoding)
        check_refusal(refused, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await send(okta.app, content, media_type, Content_Encoding="identity")).status in (200, 303)


async def test_the_limit_is_512_kib_whatever_is_in_the_body(okta: SamlProvider) -> None:
    over = 512 * 1024 + 1
    for body, media_type in (
        (as_json(okta.response(), x="")[:-2] + b"y" * over + b'"}', JSON),
        (as_form(okta.response(), x="y" * over), FORM),
        (as_form(okta.response()) + b"&" * over, FORM),
        (b" " * over, JSON),
        (b"\xff" * over, "text/plain"),
    ):
        check_refusal(await send(okta.app, body, media_type), 413, "PAYLOAD_TOO_LARGE")
    padded = as_json(okta.response())
    assert (await send(okta.app, padded + b" " * (512 * 1024 - len(padded)))).status == 200


async def test_a_response_over_its_own_limit_is_rejected_like_any_other(okta: SamlProvider) -> None:
    document = okta.response(attributes={"x": "y" * 300_000})
    assert len(document) < 480 * 1024
    check_no_one_got_in(await okta.call(document))
    check_no_one_got_in(await okta.post(Browser(okta.app), document))


WRONG_BODIES: dict[str, Any] = {
    "nothing": {}, "null": {"samlResponse": None}, "a number": {"samlResponse": 1}, "a list": {"samlResponse": ["PHg"]},
    "empty": {"samlResponse": ""}, "the form's name": {"SAMLResponse": "PHg+"}, "a list of bodies": [],
    "a text": "PHg+", "a NUL": {"samlResponse": "PHg+\0"}, "a surrogate": {"samlResponse": "PHg+\ud800"},
}  # fmt: skip


@matrix("name", WRONG_BODIES)
async def test_a_json_body_without_a_response_is_a_wrong_request(okta: SamlProvider, name: str) -> None:
    check_refusal(await send(okta.app, json.dumps(WRONG_BODIES[name]).encode()), 400, "VALIDATION_ERROR")


async def test_a_member_or_field_given_twice_is_a_wrong_request(okta: SamlProvider) -> None:
    good, evil = okta.response(), okta.response("mallory@acme.example")
    twice = f'{{"samlResponse": "{good}", "samlResponse": "{evil}"}}'.encode()
    check_refusal(await send(okta.app, twice), 400, "VALIDATION_ERROR")
    form = as_form(good)
    for more in (as_form(evil), as_form(good), b"SAMLResponse=", b"RelayState=a&RelayState=a"):
        check_refusal(await send(okta.app, form + b"&" + more, FORM), 400, "VALIDATION_ERROR")
    assert (await send(okta.app, form, FORM)).status == 303


def bad_base64(response: str) -> dict[str, str]:
    return {
        "another alphabet": response.replace("+", "-").replace("/", "_") + "-_",
        "no padding": "PHg+PC94Pg",
        "too much padding": "PHg+PC94Pg===",
        "padding inside": response[:8] + "==" + response[8:],
        "spaces": " ".join(response[i : i + 76] for i in range(0, len(response), 76)),
        "a letter outside": response + "é",
        "XML": "<samlp:Response/>",
        "percent": response.replace("=", "%3D") + "%3D",
        "one letter": "A",
    }


@matrix("name", list(bad_base64("")))
async def test_what_is_not_base64_is_a_wrong_request(okta: SamlProvider, name: str) -> None:
    text = bad_base64(okta.response())[name]
    for reply in (await okta.call(text), await okta.post(Browser(okta.app), text)):
        error = check_refusal(reply, 400, "VALIDATION_ERROR")
        assert error["details"][0]["field"].lower() == "samlresponse"


async def test_line_breaks_in_base64_are_legal(okta: SamlProvider) -> None:
    for mark in ("\n", "\r\n"):
        response = okta.response()
        assert (
            await okta.call(mark.join(response[i : i + 76] for i in range(0, len(response), 76)) + mark)
        ).status == 200


async def test_unknown_members_and_fields_are_ignored(okta: SamlProvider) -> None:
    assert (await send(okta.app, as_json(okta.response(), clientId="globex", x={"y": [1]}))).status == 200
    assert (await send(okta.app, as_form(okta.response(), client="globex", submit="Continue"), FORM)).status == 303


async def test_a_credential_beside_it_changes_nothing(okta: SamlProvider) -> None:
    token = (await okta.app.sign_in(client="acme")).data["token"]
    for bearer in (token, "forged", ""):
        assert (await okta.call(okta.response("own@acme.example"), token=bearer)).data["user"][
            "email"
        ] == "own@acme.example"
    twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    check_refusal(await okta.call(okta.response(), headers=twice), 400, "VALIDATION_ERROR")


async def test_the_form_is_a_foreign_sites_and_the_json_call_can_be_too(okta: SamlProvider) -> None:
    """Opening a session requires the assertion. No cookie is a credential here, so nobody can act for another user."""
    foreign = {"Origin": "https://idp.example", "Sec-Fetch-Site": "cross-site"}
    assert (await okta.call(okta.response(), headers=foreign)).status == 200
    assert (
        await send(okta.app, as_form(okta.response()), FORM, Origin="null", Sec_Fetch_Site="cross-site")
    ).status == 303


async def test_get_and_other_methods_take_no_response(okta: SamlProvider) -> None:
    response = okta.response()
    for method in ("PUT", "PATCH", "DELETE"):
        check_refusal(await okta.app.send(method, PATH, {"samlResponse": response}), 405, "METHOD_NOT_ALLOWED")
    in_query = await okta.app.get(f"{PATH}?{urlencode({'SAMLResponse': response, 'client': 'no-such'})}")
    check_refusal(in_query, 404, "NOT_FOUND")
    empty = await send(okta.app, b"", FORM)
    same_but_request_id(empty, await send(okta.app, b"SAMLResponse=", FORM))
    assert (await okta.call(response)).status == 200
