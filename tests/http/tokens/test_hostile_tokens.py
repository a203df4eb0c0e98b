"""Forged access tokens with another header, spelling, or kind of token are rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import keys_of
from tests.support.application import PASSWORD, App, Reply
from tests.support.forged_tokens import Purpose, b64, claims_of, every_purpose, minted
from tests.support.matrix import matrix
from tests.support.rules import rule

Forge = Callable[[App, dict[str, Any], str], str]
pytestmark = [
    pytest.mark.usefixtures("another_day"),
    pytest.mark.one_store,
    pytest.mark.settings(MANIFEST_TOKEN_ALGORITHM="HS256"),  # ``test_es256.py`` covers attacks on key pairs
]


def keys_in_headers() -> dict[str, str]:
    jwk = json.dumps({"kty": "oct", "k": b64(b"k" * 32)})
    return {
        "jwk": f'{{"alg":"HS256","typ":"JWT","jwk":{jwk}}}',
        "jku": '{"alg":"HS256","typ":"JWT","jku":"https://evil.example/keys"}',
        "x5u": '{"alg":"HS256","typ":"JWT","x5u":"https://evil.example/cert"}',
        "x5c": '{"alg":"HS256","typ":"JWT","x5c":["MIIB"]}',
        "kid": '{"alg":"HS256","typ":"JWT","kid":"1"}',
        "kid of a file": '{"alg":"HS256","typ":"JWT","kid":"../../../../dev/null"}',
        "kid of SQL": '{"alg":"HS256","typ":"JWT","kid":"x\' UNION SELECT \'k"}',
        "crit": '{"alg":"HS256","typ":"JWT","crit":["exp"]}',
        "crit of nothing": '{"alg":"HS256","typ":"JWT","crit":[]}',
        "b64": '{"alg":"HS256","typ":"JWT","b64":false,"crit":["b64"]}',
        "zip": '{"alg":"HS256","typ":"JWT","zip":"DEF"}',
        "cty": '{"alg":"HS256","typ":"JWT","cty":"JWT"}',
        "typ first": '{"typ":"JWT","alg":"HS256"}',
        "no typ": '{"alg":"HS256"}',
        "another typ": '{"alg":"HS256","typ":"at+jwt"}',
        "typ in small letters": '{"alg":"HS256","typ":"jwt"}',
        "spaces": '{"alg": "HS256", "typ": "JWT"}',
        "alg twice": '{"alg":"none","alg":"HS256","typ":"JWT"}',
        "alg in small letters": '{"alg":"hs256","typ":"JWT"}',
        "no alg": '{"typ":"JWT"}',
        "alg is null": '{"alg":null,"typ":"JWT"}',
        "alg is a list": '{"alg":["HS256"],"typ":"JWT"}',
        "header is a list": '["HS256"]',
        "header is empty": "",
        "header is no JSON": "{alg:HS256}",
        "deep header": '{"alg":' + "[" * 2000,
        **{
            f"alg {a}": f'{{"alg":"{a}","typ":"JWT"}}'
            for a in ("HS384", "HS512", "RS256", "ES256", "EdDSA", "PS256", "dir")
        },
    }


HEADERS = keys_in_headers()


async def test_with_hs256_the_header_is_these_bytes(app: App) -> None:
    token = (await keys_of(app)).token
    assert token.startswith("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.")  # like the published example


@rule("TOKEN-ALGORITHM", "TOKEN-KEYS", "TOKEN-FORM", "TOKEN-NO-SECRET")
@matrix("name", HEADERS)
async def test_a_header_that_differs_by_a_byte_is_rejected_though_the_key_is_ours(app: App, name: str) -> None:
    claims = claims_of((await keys_of(app)).token)
    reply = await app.me(minted(app, claims, header=HEADERS[name]))
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


@rule("TOKEN-ALGORITHM")
@matrix("alg", ["none", "None", "NONE", "nOnE", "", " none", "none\\u0000", "null", "\\u006eone"])
@matrix("signature", ["", "real", "zeros"])
async def test_no_spelling_of_none_passes(app: App, alg: str, signature: str) -> None:
    token = (await keys_of(app)).token
    _, payload, real = token.split(".")
    end = {"": "", "real": real, "zeros": b64(bytes(32))}[signature]
    header = b64(f'{{"alg":"{alg}","typ":"JWT"}}')
    assert (await app.me(f"{header}.{payload}.{end}")).code == "INVALID_TOKEN"


def spellings() -> dict[str, Forge]:
    """Other texts that a careless decoder would accept as the same token."""

    def part(number: int, change: Callable[[str], str]) -> Forge:
        def forge(_app: App, _claims: dict[str, Any], token: str) -> str:
            parts = token.split(".")
            parts[number] = change(parts[number])
            return ".".join(parts)

        return forge

    def spare(text: str) -> str:
        """Set the last character's unused bits."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        return text[:-1] + alphabet[alphabet.index(text[-1]) | 1]

    found: dict[str, Forge] = {
        "spare bits of the signature": part(2, spare),
        "no signature": part(2, lambda _: ""),
        "a short signature": part(2, lambda s: s[:-2]),
        "a doubled signature": part(2, lambda s: s + s),
        "a changed signature": part(2, lambda s: ("B" if s[0] == "A" else "A") + s[1:]),
        "no payload": part(1, lambda _: ""),
        "two segments": lambda a, c, t: t.rpartition(".")[0],
        "four segments": lambda a, c, t: t + ".",
        "five segments": lambda a, c, t: "..".join(t.split(".")),
        "a dot before it": lambda a, c, t: "." + t,
        "a dot after it": lambda a, c, t: t + ".AAAA",
        "an encrypted token": lambda a, c, t: ".".join(
            [b64('{"alg":"dir","enc":"A256GCM"}'), "", b64(bytes(12)), b64(json.dumps(c)), b64(bytes(16))]
        ),
        "a password-encrypted token": lambda a, c, t: ".".join(
            [b64('{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2000000000,"p2s":"AAAA"}'), *[b64(bytes(16))] * 4]
        ),
        "JSON serialisation": lambda a, c, t: json.dumps(
            dict(zip(("protected", "payload", "signature"), t.split("."), strict=True)), separators=(",", ":")
        ),
        "nine KiB": lambda a, c, t: minted(a, {**c, "x": "y" * 7000}),
        "nine KiB of nothing": lambda a, c, t: "A" * 9216,
        "quotes": lambda a, c, t: f'"{t}"',
        "upper case": lambda a, c, t: t.upper(),
        "percent signs": lambda a, c, t: t.replace(".", "%2e"),
        "only dots": lambda a, c, t: "..",
        "one word": lambda a, c, t: "null",
        "a nested token": lambda a, c, t: minted(a, json.dumps(t)),
    }
    for number, name in enumerate(("header", "payload", "signature")):
        found[f"padding of the {name}"] = part(number, lambda s: s + "=" * (-len(s) % 4 or 4))
        found[f"a tab in the {name}"] = part(number, lambda s: s[:5] + "\t" + s[5:])
        found[f"a space in the {name}"] = part(number, lambda s: s[:5] + " " + s[5:])
        found[f"the other alphabet in the {name}"] = part(number, lambda s: s[:4] + "+/" + s[6:])
        found[f"a tilde after the {name}"] = part(number, lambda s: s + "~")
    return found


SPELLINGS = spellings()


@rule("REVOKE-BY-SESSION", "TOKEN-FORM", "TOKEN-SIZE", "BASE64URL-STRICT")
@matrix("name", SPELLINGS)
async def test_another_spelling_of_a_token_is_no_token(app: App, name: str) -> None:
    token = (await keys_of(app)).token
    reply = await app.me(SPELLINGS[name](app, claims_of(token), token))
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


@rule("VERIFIERS-APART", "TOKEN-PURPOSE")
async def test_tokens_of_other_kinds_open_no_client_route(app: App) -> None:
    keys = await keys_of(app)
    admin = (await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})).data
    claims = claims_of(keys.token)
    wrong_keys = [minted(app, claims, purpose=p) for p in await every_purpose(app) if p is not Purpose.ACCESS]
    for text in (keys.refresh_token, keys.cookie, admin["token"], admin["refreshToken"], *wrong_keys):
        assert (await app.me(text)).code == "INVALID_TOKEN"
    dressed = {**claims_of(admin["token"]), "aud": "manifest-api", "client": "acme"}
    assert (await app.me(minted(app, dressed))).code == "INVALID_TOKEN"


@rule("TOKEN-PURPOSE")
async def test_users_tokens_open_no_admin_route(app: App) -> None:
    async def knock(token: str) -> Reply:
        return await app.get("/api/admin/auth/me", token=token)

    keys = await keys_of(app, "admin@acme.example")
    claims = {**claims_of(keys.token), "aud": "manifest-admin"}
    for text in (keys.token, keys.refresh_token, keys.cookie, minted(app, claims)):
        assert (await knock(text)).code == "INVALID_TOKEN"
    assert (await knock(minted(app, claims, purpose=Purpose.ADMIN_ACCESS))).code == "INVALID_TOKEN"
    assert (await app.get("/api/admin/auth/me", cookie=keys.cookie)).code == "UNAUTHENTICATED"


@rule("TOKEN-PURPOSE")
async def test_another_admins_id_on_a_session_is_rejected(app: App) -> None:
    admin = (await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})).data
    own = claims_of(admin["token"])
    for number, status in ((own["id"], 200), (own["id"] + 1, 401)):
        token = minted(app, {**own, "id": number, "sub": str(number)}, purpose=Purpose.ADMIN_ACCESS)
        assert (await app.get("/api/admin/auth/me", token=token)).status == status


async def test_graphql_and_rest_judge_a_token_alike(app: App) -> None:
    token = (await keys_of(app)).token
    for forge in SPELLINGS.values():
        reply = await app.graphql("{ me { id } }", forge(app, claims_of(token), token))
        assert reply.status == 401
        assert "INVALID_TOKEN" in reply.text or "UNAUTHENTICATED" in reply.text
