"""Assertions of ``private_key_jwt`` (RFC 7523): valid ones, and more than twenty with one defect each."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.support.forged_tokens import b64

KID = "key-1"
Claims = dict[str, Any]


@cache
def ec_key() -> ECKey:
    return ECKey.generate_key("P-256")


@cache
def rsa_key(bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits)


def public_set(*keys: ECKey | RSAKey, first: int = 1) -> dict[str, Any]:
    """A JWK set with the public keys, named ``key-1`` and so on."""
    named = enumerate(keys, first)
    return {"keys": [{**key.as_dict(private=False), "kid": f"key-{number}"} for number, key in named]}


class Maker(NamedTuple):
    """Signs assertions for one account. ``now`` is in seconds."""

    client_id: str
    issuer: str
    now: int
    key: ECKey | RSAKey
    algorithm: str = "ES256"
    kid: str = KID

    def claims(self, **changes: Any) -> Claims:
        """The valid claims with changes; ``...`` omits one."""
        right = {
            "iss": self.client_id, "sub": self.client_id, "aud": self.issuer, "jti": b64(hashlib.sha256(
                repr((changes, self)).encode()).digest()), "iat": self.now, "exp": self.now + 60,
        }  # fmt: skip
        return {name: value for name, value in {**right, **changes}.items() if value is not ...}

    def header(self, **changes: Any) -> Claims:
        right = {"alg": self.algorithm, "kid": self.kid}
        return {name: value for name, value in {**right, **changes}.items() if value is not ...}

    def sign(self, claims: Claims | str, header: Claims | None = None) -> str:
        """Sign any header and claims with the key."""
        head = json.dumps(self.header() if header is None else header).encode()
        body = (claims if isinstance(claims, str) else json.dumps(claims)).encode()
        signed = f"{b64(head)}.{b64(body)}"
        return f"{signed}.{b64(JWSRegistry.algorithms[self.algorithm].sign(signed.encode(), self.key))}"

    def right(self, **changes: Any) -> str:
        return self.sign(self.claims(**changes))


def _claim(**changes: Any) -> Callable[[Maker], str]:
    return lambda maker: maker.sign(maker.claims(**changes))


def _header(**changes: Any) -> Callable[[Maker], str]:
    return lambda maker: maker.sign(maker.claims(), maker.header(**changes))


def _hmac_with_the_public_key(maker: Maker) -> str:
    public = json.dumps(maker.key.as_dict(private=False)).encode()
    signed = f"{b64(json.dumps(maker.header(alg='HS256')).encode())}.{b64(json.dumps(maker.claims()).encode())}"
    return f"{signed}.{b64(hmac.digest(public, signed.encode(), 'sha256'))}"


def _anothers(**header: Any) -> Callable[[Maker], str]:
    def make(maker: Maker) -> str:
        mine = ECKey.generate_key("P-256")
        shown = {
            name: mine.as_dict(private=False) if value is ... and name != "kid" else value
            for name, value in header.items()
        }
        return maker._replace(key=mine).sign(maker.claims(), maker.header(**shown))

    return make


def _cut(maker: Maker) -> str:
    return maker.right()[:-8] + "AAAAAAAA"


def _unsigned(maker: Maker) -> str:
    return f"{b64(json.dumps({'alg': 'none', 'kid': maker.kid}).encode())}.{b64(json.dumps(maker.claims()).encode())}."


#: Indexed by defect.
BROKEN: dict[str, Callable[[Maker], str]] = {
    "audience: the token endpoint": lambda maker: maker.right(aud=f"{maker.issuer}/oauth2/token"),
    "audience: a list": lambda maker: maker.right(aud=[maker.issuer]),
    "audience: another beside it": lambda maker: maker.right(aud=[maker.issuer, "https://other.example"]),
    "audience: with a slash": lambda maker: maker.right(aud=f"{maker.issuer}/"),
    "audience: of another": _claim(aud="https://other.example"),
    "audience: none": _claim(aud=...),
    "issuer: another account": _claim(iss="svc_1"),
    "issuer: none": _claim(iss=...),
    "subject: none": _claim(sub=...),
    "subject: no client id": _claim(iss="svc_0", sub="svc_0"),
    "subject: spelled in another way": lambda maker: maker.right(
        iss=maker.client_id.replace("_", "_0"), sub=maker.client_id.replace("_", "_0")
    ),
    "end: over": lambda maker: maker.right(exp=maker.now - 1, iat=maker.now - 60),
    "end: more than five minutes ahead": lambda maker: maker.right(exp=maker.now + 330),
    "end: milliseconds": lambda maker: maker.right(exp=(maker.now + 60) * 1000),
    "end: text": lambda maker: maker.right(exp=str(maker.now + 60)),
    "end: none": _claim(exp=...),
    "start: in the future": lambda maker: maker.right(nbf=maker.now + 120),
    "issued: in the future": lambda maker: maker.right(iat=maker.now + 120),
    "id: none": _claim(jti=...),
    "id: empty": _claim(jti=""),
    "id: a number": _claim(jti=7),
    "type: an ID token": _header(typ="id_token+jwt"),
    "type: an access token": _header(typ="at+jwt"),
    "algorithm: none": _unsigned,
    "algorithm: HMAC with the public key": _hmac_with_the_public_key,
    "algorithm: not announced": _header(alg="ES384"),
    "algorithm: of another kind of key": _header(alg="RS256"),
    "key: a number": _header(kid=1),
    "key: another's, which is not named": _anothers(kid=...),
    "key: unknown": _header(kid="key-9"),
    "key: brought along": _anothers(jwk=...),
    "key: at an address": _anothers(jku="https://evil.example/jwks.json"),
    "key: another's": _anothers(),
    "header: critical": _header(crit=["exp"], exp=1),
    "signature: cut": _cut,
    "signature: none": lambda maker: maker.right().rpartition(".")[0] + ".",
    "claims: one twice": lambda maker: maker.sign(json.dumps(maker.claims())[:-1] + f', "aud": "{maker.issuer}"}}'),
    "claims: not an object": lambda maker: maker.sign("[]"),
    "shape: two segments": lambda maker: maker.right().rpartition(".")[0],
    "shape: five segments": lambda maker: maker.right() + ".e30.e30",
    "shape: too long": _claim(more="x" * 9000),
    "shape: no token": lambda _: "nothing",
}
