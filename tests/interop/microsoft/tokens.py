"""Microsoft tokens for tests: the directories' keys, tokens of every kind, and a check whether one is genuine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from functools import lru_cache
from typing import Any

from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from tests.interop.microsoft.people import GRAPH, ORGANIZATION, OURS, Directory
from tests.support.forged_tokens import unb64

ISSUER, STS = "https://login.microsoftonline.com", "https://sts.windows.net"
SHARED = "shared"  # a key that signs for every directory, as most of Microsoft's keys do
_RS256 = JWSRegistry.algorithms["RS256"]


@lru_cache
def key(name: str) -> RSAKey:
    """The key pair of that name, a directory's ID or :data:`SHARED`; the same for the whole run."""
    return RSAKey.generate_key(2048, {"use": "sig"})


def kid(name: str) -> str:
    """Its ID, derived from the key as Microsoft does (27 characters)."""
    return b64(hashlib.sha256(str(key(name).as_dict(private=False)["n"]).encode()).digest())[:27]


def published(name: str, issuer: str) -> dict[str, Any]:
    """The public key in the format of a keys document."""
    public = key(name).as_dict(private=False)
    return {"kty": "RSA", "use": "sig", "kid": kid(name), "x5t": kid(name), "n": public["n"], "e": public["e"],
            "cloud_instance_name": "microsoftonline.com", "issuer": issuer}  # fmt: skip


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def coded(part: Any) -> str:
    """Encode a part of a token."""
    return b64(json.dumps(part, separators=(",", ":")).encode())


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload."""
    header, payload, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(payload))


def claims_of(kind: str, directory: Directory, user: str, app: str, now: int, lifetime: int) -> dict[str, Any]:
    """The claims of a kind of token: ``graph``, ``dataverse``, ``api-v1``, ``api`` (v2.0), or ``id``."""
    person = directory.people[user]
    every = {
        "iat": now, "nbf": now, "exp": now + lifetime, "aio": b64(secrets.token_bytes(30)), "oid": person.oid,
        "tid": directory.id, "uti": b64(secrets.token_bytes(16)), "rh": f"0.{b64(secrets.token_bytes(12))}.",
        "sub": directory.subject(user, app), "name": person.name,
    }  # fmt: skip
    if kind in ("api", "id"):
        claims = {**every, "iss": f"{ISSUER}/{directory.id}/v2.0", "ver": "2.0", "aud": OURS,
                  "preferred_username": person.upn}  # fmt: skip
        if kind == "api":
            claims |= {"azp": app, "azpacr": "0", "scp": "access_as_user"}
    else:
        audience = {"graph": GRAPH, "dataverse": ORGANIZATION, "api-v1": f"api://{OURS}"}[kind]
        scopes = {
            "graph": "email openid profile User.Read",
            "dataverse": "user_impersonation",
            "api-v1": "access_as_user",
        }
        claims = {**every, "iss": f"{STS}/{directory.id}/", "ver": "1.0", "aud": audience, "scp": scopes[kind],
                  "acr": "1", "amr": ["pwd"], "appid": app, "appidacr": "0", "family_name": person.last,
                  "given_name": person.first, "idtyp": "user", "ipaddr": "203.0.113.7", "upn": person.upn,
                  "unique_name": person.upn}  # fmt: skip
        if kind == "graph":
            claims |= {"acct": 1 if person.home else 0, "app_displayname": "an app", "tenant_region_scope": "EU"}
    if person.home:  # only for guests
        claims["idp"] = person.home
    if kind == "id" and person.home and person.mail:
        claims["email"] = person.mail
    return claims


def header_of(kind: str, name: str) -> dict[str, Any]:
    """The header. Graph's ``nonce`` makes ordinary verification fail; ``x5t`` belongs to v1.0."""
    header: dict[str, Any] = {"typ": "JWT"}
    if kind == "graph":
        header["nonce"] = b64(secrets.token_bytes(24))
    header |= {"alg": "RS256"}
    if kind in ("graph", "dataverse", "api-v1"):
        header["x5t"] = kid(name)
    return header | {"kid": kid(name)}


def signed(header: dict[str, Any], payload: dict[str, Any] | str, name: str) -> str:
    """A token signed according to ``alg``: ``HS256`` uses the public key as a secret, and ``none`` doesn't sign."""
    body = payload if isinstance(payload, str) else coded(payload)
    text = f"{coded(_as_signed(header))}.{body}".encode()
    if str(header.get("alg")).lower() == "none":
        signature = b""
    elif header.get("alg") == "HS256":
        signature = hmac.digest(key(name).as_pem(private=False), text, "sha256")
    else:
        signature = _RS256.sign(text, key(name))
    return f"{coded(header)}.{body}.{b64(signature)}"


def is_genuine(token: str, names: tuple[str, ...]) -> bool:
    """Whether one of the keys signed it; for a token with a nonce, only its audience can tell."""
    header, body, signature = token.split(".")
    told = json.loads(unb64(header))
    text = f"{coded(_as_signed(told))}.{body}".encode()
    fitting = [name for name in names if kid(name) == told.get("kid")]
    return told.get("alg") == "RS256" and any(_RS256.verify(text, unb64(signature), key(name)) for name in fitting)


def _as_signed(header: dict[str, Any]) -> dict[str, Any]:
    """The header that is signed for Graph, with the SHA-256 of the nonce instead of the nonce."""
    if "nonce" not in header:
        return header
    return {**header, "nonce": b64(hashlib.sha256(str(header["nonce"]).encode()).digest())}


def tampered(token: str, **claims: Any) -> str:
    """The token with other claims, and with the old signature."""
    header, payload, signature = token.split(".")
    return f"{header}.{coded({**json.loads(unb64(payload)), **claims})}.{signature}"


def with_spare_bits(token: str) -> str:
    """A different spelling of the same signature, using the unused bits of the last character."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def with_header_respaced(token: str) -> str:
    """A different spelling of the same header."""
    header, payload, signature = token.split(".")
    return f"{b64(json.dumps(json.loads(unb64(header)), separators=(', ', ': ')).encode())}.{payload}.{signature}"
