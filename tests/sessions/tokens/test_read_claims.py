"""Reading access token claims: the fast path for this server's own tokens has the same result as the strict parser."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from manifest_auth.sessions.tokens import access
from manifest_auth.sessions.tokens.access import Claims, read_claims
from manifest_auth.text import strict_json
from tests.support.matrix import matrix

USUAL = (
    b'{"iss":"https://a.example","aud":"manifest-api","sub":"7","id":7,"sid":"s-1","jti":"j_1","iat":1700000000,'
    b'"exp":1700003600,"client":"acme"}'
)


def _doubled() -> list[bytes]:
    """Each member twice, before and after itself, and at the end, with the same value and with a different one."""
    found = []
    for name, value in orjson.loads(USUAL).items():
        member = orjson.dumps({name: value})[1:-1]
        other = orjson.dumps({name: 9 if isinstance(value, int) else "other"})[1:-1]
        for again in (member, other):
            found += [
                USUAL.replace(member, member + b"," + again),
                USUAL.replace(member, again + b"," + member),
                USUAL[:-1] + b"," + again + b"}",
            ]
    return found


def _with(name: str, value: bytes) -> bytes:
    claims = {each: orjson.dumps(given) for each, given in orjson.loads(USUAL).items()} | {name: value}
    return b"{" + b",".join(b'"%s":%s' % (each.encode(), given) for each, given in claims.items()) + b"}"


VALUES = [
    b"1.0", b"-1", b"0", b"01", b"1e3", b"true", b"null", b'"7"', b"7", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551615", b"9" * 40, b'""', b'"\\u0000"', b'"\\u0061"', b'"\\ud800"', b'"\xff"', b'"\0"', b'"\n"',
    b'"\xed\xa0\x80"', '"ä😀"'.encode(), b'"\x7f"', b'"\\/"', b"[]", b"{}", b"NaN", b"[" * 40 + b"]" * 40,
]  # fmt: skip
OTHERS = [
    *_doubled(),
    *(_with(name, value) for name in (*Claims.__struct_fields__, "more") for value in VALUES),
    b" " + USUAL, USUAL + b"\n", USUAL + b"{}", USUAL[:-1], USUAL.replace(b":", b": ", 1), b"\xef\xbb\xbf" + USUAL,
    USUAL.replace(b'"id"', b'"\\u0069d"'), b"[" * 5000, b'{"more":' + b"[" * 5000, b"",
]  # fmt: skip


def _strictly(payload: bytes) -> Claims | None:
    try:
        return msgspec.convert(strict_json.read(payload, as_written=True), Claims, strict=True)
    except ValueError:
        return None


@matrix("payload", [USUAL, *OTHERS], ids=lambda payload: repr(payload[-60:]))
def test_it_reads_what_the_strict_parser_reads_and_rejects_what_that_rejects(payload: bytes) -> None:
    try:
        found: Claims | None = read_claims(payload)
    except ValueError:
        found = None
    assert found == _strictly(payload)


def test_a_member_that_is_given_twice_is_rejected() -> None:
    for payload in _doubled():
        with pytest.raises(strict_json.DuplicateMember):
            read_claims(payload)


def test_what_this_server_writes_needs_no_strict_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access.strict_json, "read", None)
    assert read_claims(USUAL).sid == "s-1"
    of_an_admin = _with("aud", b'"manifest-admin"').replace(b',"client":"acme"', b"")
    assert read_claims(of_an_admin).client == ""
