"""Signing keys of providers: reads JWK sets (RFC 7517), and chooses the keys that may verify a signature.

Only public members of a key are used, and only kinds that sign ID tokens; other content of a set, for instance keys of
unknown kinds, is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from manifest_auth.runtime.outgoing import Deadline, Outgoing, Unreachable
from manifest_auth.text.base64url import decode

if TYPE_CHECKING:  # loaded at the first sign-in through a provider: about 30 ms and 2 MB
    from joserfc.jwk import ECKey, OKPKey, RSAKey

MOST = 100
# Bits: shorter keys allow forged signatures; longer ones let an attacker cause expensive verification.
_LEAST_RSA, _MOST_RSA = 2048, 8192

#: Algorithm to its kinds of keys. EdDSA is Ed25519 or Ed448 (RFC 8037); RFC 9864 names them separately.
ALGORITHMS: dict[str, tuple[str, ...]] = {
    "RS256": ("RSA",),
    "RS384": ("RSA",),
    "RS512": ("RSA",),
    "PS256": ("RSA",),
    "PS384": ("RSA",),
    "PS512": ("RSA",),
    "ES256": ("P-256",),
    "ES384": ("P-384",),
    "ES512": ("P-521",),
    "EdDSA": ("Ed25519", "Ed448"),
    "Ed25519": ("Ed25519",),
    "Ed448": ("Ed448",),
}
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


class Key(NamedTuple):
    """A public key. ``kind``: ``RSA``, or the name of its curve. ``algorithm``: the only allowed one, if any."""

    kid: str | None
    kind: str
    algorithm: str | None
    jose: RSAKey | ECKey | OKPKey
    issuer: str | None = None  # whose tokens it signs, in sets with keys of several issuers (Microsoft)

    def fits(self, algorithm: str) -> bool:
        """Whether the key may verify a signature with this algorithm."""
        mine = self.kind if self.algorithm == "EdDSA" else self.algorithm
        named = self.kind if algorithm == "EdDSA" else algorithm
        return self.kind in ALGORITHMS[algorithm] and mine in (None, named)

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is valid. Only for algorithms that :meth:`fits` accepts."""
        from joserfc.jws import JWSRegistry

        # Uses the algorithm directly: the library's token parser limits headers to 512 bytes, refuses unknown members,
        # and warns about EdDSA each time.
        return JWSRegistry.algorithms[algorithm].verify(signed, signature, self.jose)


def of_issuer(keys: tuple[Key, ...], *issuers: str) -> tuple[Key, ...]:
    """The keys that may sign for one of these issuers: those that name it, and those that name none. ``{tenantid}``
    matches any directory."""
    return tuple(key for key in keys if key.issuer is None or any(_fits(key.issuer, issuer) for issuer in issuers))


def _fits(template: str, issuer: str) -> bool:
    before, mark, after = template.partition("{tenantid}")
    if not mark:
        return template == issuer
    directory = issuer.removeprefix(before).removesuffix(after)
    return issuer == before + directory + after and "/" not in directory


async def fetch(outgoing: Outgoing, address: str, deadline: Deadline) -> tuple[Key, ...]:
    """The usable keys that a provider publishes. Raises Unreachable, also for an invalid set."""
    accept = {"Accept": "application/jwk-set+json, application/json"}
    reply = await outgoing.get(address, headers=accept, deadline=deadline, call="keys")
    if reply.status != 200:
        raise Unreachable(f"{address}: answered {reply.status}")
    try:
        return read(reply.json())
    except ValueError as error:
        raise Unreachable(f"{address}: {error}") from None


def read(document: Any) -> tuple[Key, ...]:
    """The usable keys of a set, the first hundred. Raises ValueError for an invalid set."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no list of keys")
    found = (_read(entry) for entry in entries[:MOST] if isinstance(entry, dict))
    return tuple(key for key in found if key is not None)


def _read(entry: dict[str, Any]) -> Key | None:
    names = _MEMBERS.get(str(entry.get("kty")), ())
    public = {name: entry.get(name) for name in names}
    operations = entry.get("key_ops", ["verify"])
    is_for_us = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not names or not is_for_us or not all(isinstance(member, str) for member in public.values()):
        return None
    kind = str(public.get("crv", "RSA"))
    if not any(kind in kinds for kinds in ALGORITHMS.values()):
        return None
    from joserfc.errors import JoseError

    try:
        jose = _imported({"kty": entry["kty"], **public}, kind)
    except (ValueError, JoseError):  # a point not on its curve, invalid base64
        return None
    kid, algorithm, issuer = (member if isinstance(member := entry.get(name), str) else None
                              for name in ("kid", "alg", "issuer"))  # fmt: skip
    return Key(kid, kind, algorithm, jose, issuer)


def _imported(public: dict[str, Any], kind: str) -> RSAKey | ECKey | OKPKey:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if kind == "RSA":
        bits = int.from_bytes(decode(public["n"].rstrip("="))).bit_length()
        if not _LEAST_RSA <= bits <= _MOST_RSA:
            raise ValueError("an RSA key of unusual size")
        return RSAKey.import_key(public)
    return ECKey.import_key(public) if kind.startswith("P-") else OKPKey.import_key(public)
