"""Every malformed request body causes ``VALIDATION_ERROR``, never a server error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import SETTINGS, own_client
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

SIGN_IN = "/api/client/auth/sign-in"
SIGN_IN_BODY = {"email": "author@acme.example", "password": PASSWORD}

NOT_JSON = {
    "nothing": b"",
    "white space": b" \n\t ",
    "a word": b"hello",
    "a form": b"email=a%40b.example&password=c",
    "cut short": b'{"email": "author@acme.example", "passw',
    "single quotes": b"{'email': 'a', 'password': 'b'}",
    "a comment": b'{"email": "a@b.example", /* c */ "password": "b"}',
    "a comma at the end": b'{"email": "a@b.example", "password": "b",}',
    "garbage behind": b'{"email": "a@b.example", "password": "b"} x',
    "two values": b'{"email": "a@b.example", "password": "b"}{}',
    "a byte order mark": b'\xef\xbb\xbf{"email": "a@b.example", "password": "b"}',
    "bytes that are no UTF-8": b'{"email": "a@b.example", "password": "\xff\xfe"}',
    "an overlong NUL": b'{"email": "a@b.example", "password": "\xc0\x80"}',
    "a surrogate in UTF-8": b'{"email": "a@b.example", "password": "\xed\xa0\x80"}',
    "UTF-16": '{"email": "a@b.example", "password": "b"}'.encode("utf-16"),
    "UTF-32": '{"email": "a@b.example", "password": "b"}'.encode("utf-32-le"),
    "a NUL byte": b'{"email": "a@b.example", "password": "a\x00b"}',
    "NUL bytes only": b"\x00" * 40,
    "a raw line break": b'{"email": "a@b.example", "password": "a\nb"}',
    "an escaped NUL": b'{"email": "a@b.example", "password": "a\\u0000b"}',
    "an escaped NUL in a name": b'{"email": "a@b.example", "password": "b", "x\\u0000": 1}',
    "an escaped NUL in what is ignored": b'{"email": "a@b.example", "password": "b", "x": ["\\u0000"]}',
    "a lone high surrogate": b'{"email": "a@b.example", "password": "\\ud800"}',
    "a lone low surrogate": b'{"email": "a@b.example", "password": "x\\udc00y"}',
    "surrogates the wrong way round": b'{"email": "a@b.example", "password": "\\udc00\\ud800"}',
    "a lone surrogate in a name": b'{"email": "a@b.example", "password": "b", "\\udfff": 1}',
    "a lone surrogate twice as name": b'{"\\udfff": 1, "\\udfff": 2}',
    "a bad escape": b'{"email": "a@b.example", "password": "\\x41"}',
    "a cut escape": b'{"email": "a@b.example", "password": "\\u00"}',
    "NaN": b'{"email": "a@b.example", "password": "b", "x": NaN}',
    "Infinity": b'{"email": "a@b.example", "password": "b", "x": Infinity}',
    "minus Infinity": b'{"email": "a@b.example", "password": "b", "x": -Infinity}',
    "1e999": b'{"email": "a@b.example", "password": "b", "x": 1e999}',
    "minus 1e999": b'{"email": "a@b.example", "password": "b", "x": -1e999}',
    "an integer over 64 bits": b'{"email": "a@b.example", "password": "b", "x": 9223372036854775808}',
    "an integer under 64 bits": b'{"email": "a@b.example", "password": "b", "x": -9223372036854775809}',
    "an integer of 5,000 digits": b'{"email": "a@b.example", "password": "b", "x": ' + b"9" * 5000 + b"}",
    "an integer of 50,000 digits": b'{"email": "a@b.example", "password": "b", "x": -' + b"9" * 50_000 + b"}",
    "a hexadecimal number": b'{"email": "a@b.example", "password": "b", "x": 0x10}',
    "a number with a leading zero": b'{"email": "a@b.example", "password": "b", "x": 012}',
    "33 levels of lists": b'{"email": "a@b.example", "password": "b", "x": ' + b"[" * 32 + b"]" * 32 + b"}",
    "33 levels of objects": b'{"a":' * 32 + b"{}" + b"}" * 32,
    "30,000 open lists": b"[" * 30_000,
    "30,000 lists": b"[" * 30_000 + b"]" * 30_000,
    "10,000 objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a list": b"[]",
    "a list of one object": b'[{"email": "a@b.example", "password": "b"}]',
    "a text": b'"email"',
    "a number": b"1",
    "true": b"true",
    "null": b"null",
}  # fmt: skip


@rule("JSON-STRICT")
@matrix("name", NOT_JSON)
async def test_a_body_that_is_no_sound_json_object_is_rejected(app: App, name: str) -> None:
    check_refusal(await app.send("POST", SIGN_IN, content=NOT_JSON[name]), 400, "VALIDATION_ERROR")


@matrix("number", ["9223372036854775808", "-9223372036854775809", "1e999", "9" * 5000])
async def test_a_number_that_is_too_large_is_called_so(app: App, number: str) -> None:
    reply = await app.send("POST", SIGN_IN, content=f'{{"email": "a@b.example", "password": {number}}}'.encode())
    assert check_refusal(reply, 400, "VALIDATION_ERROR")["message"] == "A number is out of range"


@pytest.fixture(scope="module")
async def keys(app: App) -> dict[str, str]:
    """Access tokens of a user and a system admin."""
    return {"client": (await app.sign_in()).data["token"], "admin": await app.admin_token()}


@matrix(
    ("method", "path", "key"),
    [
        ("POST", "/api/client/auth/refresh", None),
        ("POST", "/api/client/auth/password", "client"),
        ("POST", "/api/client/graphql", "client"),
        ("POST", "/api/admin/auth/sign-in", None),
        ("POST", "/api/admin/auth/refresh", None),
        ("POST", "/api/admin/clients", "admin"),
        ("PATCH", "/api/admin/clients/acme", "admin"),
        ("POST", "/api/admin/clients/acme/users", "admin"),
        ("PATCH", "/api/admin/clients/acme/users/1", "admin"),
        ("PUT", "/api/admin/clients/acme/users/1/roles", "admin"),
        ("POST", "/api/admin/license-on-prem", "admin"),
    ],
)
async def test_so_is_it_on_every_other_route(
    app: App, keys: dict[str, str], method: str, path: str, key: str | None
) -> None:
    for content in NOT_JSON.values():
        reply = await app.send(method, path, content=content, token=keys[key] if key else None)
        if path == "/api/client/graphql":
            assert reply.status == 400, content[:60]
            assert reply.json["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        else:
            check_refusal(reply, 400, "VALIDATION_ERROR")


@rule("JSON-STRICT")
@matrix("content", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
async def test_100000_levels_do_not_reach_the_bottom_of_the_stack(
    app: App, keys: dict[str, str], content: bytes
) -> None:
    reply = await app.send("POST", "/api/admin/clients", content=content, token=keys["admin"])
    check_refusal(reply, 400, "VALIDATION_ERROR")
    reply = await app.send("POST", "/api/client/graphql", content=content, token=keys["client"])
    assert (reply.status, reply.json["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")


@matrix(
    "content",
    [
        b'{"email": "author@acme.example", "email": "author@acme.example", "password": "b"}',
        b'{"email": "a@b.example", "password": "b", "\\u0065mail": "c@d.example"}',
        b'{"email": "a@b.example", "password": "b", "extra": {"x": 1, "x": 1}}',
        b'{"email": "a@b.example", "password": "b", "extra": [[{"x": 1, "y": 2, "x": 3}]]}',
    ],
)
async def test_a_member_given_twice_is_rejected_and_named(app: App, content: bytes) -> None:
    error = check_refusal(await app.send("POST", SIGN_IN, content=content), 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] in ("email", "x")


WRONG_VALUES: tuple[Any, ...] = (None, True, False, 0, 1, 1.5, [], ["a"], {}, {"a": 1}, "", "x" * 257)


@rule("INPUT-TYPED")
@matrix("value", WRONG_VALUES, ids=repr)
@matrix("member", ["email", "password"])
async def test_a_member_of_another_type_or_length_is_rejected_and_named(app: App, member: str, value: Any) -> None:
    error = check_refusal(await app.post(SIGN_IN, {**SIGN_IN_BODY, member: value}), 400, "VALIDATION_ERROR")
    assert [d["field"] for d in error["details"]] == [member]


@rule("INPUT-TYPED")
@matrix("member", ["email", "password"])
async def test_a_missing_member_is_rejected_and_named(app: App, member: str) -> None:
    body = {name: value for name, value in SIGN_IN_BODY.items() if name != member}
    error = check_refusal(await app.post(SIGN_IN, body), 400, "VALIDATION_ERROR")
    assert error["details"] == [{"field": member, "message": "Required"}]


@matrix("name", ["Email", "EMAIL", "e-mail", "email "])
async def test_names_of_members_are_exact(app: App, name: str) -> None:
    body = {name: SIGN_IN_BODY["email"], "password": PASSWORD}
    check_refusal(await app.post(SIGN_IN, body), 400, "VALIDATION_ERROR")


async def test_32_levels_of_nesting_are_allowed(app: App) -> None:
    content = json.dumps(SIGN_IN_BODY).encode()[:-1] + b', "x": ' + b"[" * 31 + b"]" * 31 + b"}"
    check_success(await app.send("POST", SIGN_IN, content=content))


async def test_escaped_characters_and_pairs_of_surrogates_are_allowed(app: App) -> None:
    content = b'{"email": "\\u0061uthor@acme.example", "password": "' + PASSWORD.encode() + b'", "x": "\\ud83d\\ude00"}'
    check_success(await app.send("POST", SIGN_IN, content=content))


async def settled(app: App, written: str) -> Reply:
    """The response to settings that contain a number exactly as written."""
    own = await own_client(app)
    content = f'{{"password": {{"minLength": {written}}}}}'.encode()
    headers = {"Content-Type": "application/json"}
    return await app.send("PATCH", SETTINGS, content=content, token=own.client_admin.token, headers=headers)


@matrix("written", ["15", "15.0", "1.5e1", "15000E-3", "1500.00e-2"])
async def test_an_integer_can_be_written_with_a_point_or_an_exponent(app: App, written: str) -> None:
    reply = await settled(app, written)
    assert check_success(reply)["password"]["minLength"] == 15
    assert '"minLength":15,' in reply.text


@matrix("written", ["15.5", "9007199254740993.0", "1e19", "-0.1"])
async def test_a_number_that_is_no_integer_or_might_have_lost_digits_is_none(app: App, written: str) -> None:
    error = check_refusal(await settled(app, written), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["password.minLength"]
