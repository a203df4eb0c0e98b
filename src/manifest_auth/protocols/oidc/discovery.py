"""Discovery documents and signing keys of providers (OpenID Connect Discovery 1.0, sections 3 and 4; RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from manifest_auth.errors import Reason
from manifest_auth.protocols.oidc.messages import SETUP_ERROR, Discovered, OidcRefused
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable, split
from manifest_auth.text.base64url import decode
from manifest_auth.text.languages import marked as _

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, OKPKey, RSAKey


# Signing keys of providers: reads JWK sets (RFC 7517), and chooses the keys that can verify a signature.
#
# Uses only public members of keys, and only kinds of keys that sign ID tokens. Ignores other content of a set, such as
# keys of unknown kinds.

MOST = 100
# In bits. Shorter keys allow forged signatures, and longer keys let an attacker cause expensive verification.
_LEAST_RSA, _MOST_RSA = 2048, 8192

#: The kinds of keys for each algorithm. EdDSA is Ed25519 or Ed448 (RFC 8037); RFC 9864 names them separately.
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
    """A public key. ``kind`` is ``RSA``, or the name of its curve. ``algorithm`` is the only allowed one, if any."""

    kid: str | None
    kind: str
    algorithm: str | None
    jose: RSAKey | ECKey | OKPKey
    issuer: str | None = None  # issuer of the tokens it signs, in sets with keys of several issuers (Microsoft)

    def fits(self, algorithm: str) -> bool:
        """Whether the key can verify a signature with this algorithm."""
        mine = self.kind if self.algorithm == "EdDSA" else self.algorithm
        named = self.kind if algorithm == "EdDSA" else algorithm
        return self.kind in ALGORITHMS[algorithm] and mine in (None, named)

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is valid. Works only for algorithms that :meth:`fits` accepts."""
        from joserfc.jws import JWSRegistry

        # Uses the algorithm directly, because the library's token parser limits headers to 512 bytes, rejects unknown
        # members, and warns about EdDSA each time.
        return JWSRegistry.algorithms[algorithm].verify(signed, signature, self.jose)


def keys_of_issuer(keys: tuple[Key, ...], *issuers: str) -> tuple[Key, ...]:
    """Returns the keys that can sign for one of these issuers: keys that name it, and keys that name none.
    ``{tenantid}`` matches any directory."""
    return tuple(key for key in keys if key.issuer is None or any(_fits(key.issuer, issuer) for issuer in issuers))


def _fits(template: str, issuer: str) -> bool:
    before, mark, after = template.partition("{tenantid}")
    if not mark:
        return template == issuer
    directory = issuer.removeprefix(before).removesuffix(after)
    return issuer == before + directory + after and "/" not in directory


async def fetch_keys(outgoing: Outgoing, address: str, deadline: Deadline) -> tuple[Key, ...]:
    """Returns the usable keys that a provider publishes. Raises Unreachable, also for an invalid set."""
    accept = {"Accept": "application/jwk-set+json, application/json"}
    reply = await outgoing.get(address, headers=accept, deadline=deadline, call="keys")
    if reply.status != 200:
        raise Unreachable(_("%(address)s: returned %(status)s", address=address, status=reply.status))
    try:
        return read_key_set(reply.json())
    except ValueError as error:
        raise Unreachable(_("%(address)s: %(error)s", address=address, error=error.args[0])) from None


def read_key_set(document: Any) -> tuple[Key, ...]:
    """Returns the usable keys of a set, at most the first hundred. Raises ValueError for an invalid set."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError(_("not a list of keys"))
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
    except (ValueError, JoseError):  # a point that isn't on its curve, or invalid base64
        return None
    kid, algorithm, issuer = (
        member if isinstance(member := entry.get(name), str) else None for name in ("kid", "alg", "issuer")
    )
    return Key(kid, kind, algorithm, jose, issuer)


def _imported(public: dict[str, Any], kind: str) -> RSAKey | ECKey | OKPKey:
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    if kind == "RSA":
        bits = int.from_bytes(decode(public["n"].rstrip("="))).bit_length()
        if not _LEAST_RSA <= bits <= _MOST_RSA:
            raise ValueError("an RSA key of an unsupported size")
        return RSAKey.import_key(public)
    return ECKey.import_key(public) if kind.startswith("P-") else OKPKey.import_key(public)


# Discovery documents of providers (OpenID Connect Discovery 1.0, sections 3 and 4).

WELL_KNOWN = "/.well-known/openid-configuration"
_ISSUER = Reason(
    "discovery: the issuer is …",
    cause="A trailing slash, another domain, or another realm",
    cure="Copy the issuer from the discovery document",
)
_FAULTS = Reason(
    "discovery: …",
    cause="An endpoint in the provider's discovery document is missing, or the server can't call it",
    cure="Run `test`",
)


def address_of(issuer: str) -> str:
    """Returns the discovery address of an issuer: without a trailing slash, with its path (section 4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


async def fetch_document(outgoing: Outgoing, address: str, deadline: Deadline) -> dict[str, Any]:
    """Returns the unchecked document. Raises Unreachable, also if it isn't a JSON object."""
    reply = await outgoing.get(address, deadline=deadline, call="discovery")
    if reply.status != 200:
        raise Unreachable(_("%(address)s: returned %(status)s", address=address, status=reply.status))
    try:
        document = reply.json()
    except ValueError as error:
        raise Unreachable(_("%(address)s: invalid JSON: %(error)s", address=address, error=str(error))) from None
    if not isinstance(document, dict):
        raise Unreachable(_("%(address)s: not a JSON object", address=address))
    return document


def read_document(outgoing: Outgoing, issuer: str, document: dict[str, Any]) -> Discovered:
    """Returns the members that are used. Raises OidcRefused for another issuer (section 4.3), or for an address that
    isn't allowed."""
    if document.get("issuer") != issuer:
        reason = _ISSUER.with_(f"{str(document.get('issuer'))[:200]}, but {issuer} is configured")
        raise OidcRefused(reason, SETUP_ERROR)
    if faults := bad_endpoints(outgoing, document):
        raise OidcRefused(_FAULTS.with_("; ".join(faults)), SETUP_ERROR)
    return Discovered(
        issuer=issuer,
        authorization_endpoint=document["authorization_endpoint"],
        token_endpoint=document["token_endpoint"],
        jwks_uri=document["jwks_uri"],
        userinfo_endpoint=_usable(outgoing, document.get("userinfo_endpoint")),
        algorithms=usable_algorithms(document),
        token_auth_methods=texts(document, "token_endpoint_auth_methods_supported") or ("client_secret_basic",),
        returns_iss=document.get("authorization_response_iss_parameter_supported") is True,
        end_session_endpoint=_usable(outgoing, document.get("end_session_endpoint")),
    )


def bad_endpoints(outgoing: Outgoing, document: dict[str, Any]) -> list[str]:
    """Returns the problems with the required endpoint addresses, each as a phrase."""
    faults: list[str] = []
    for name, check in (
        ("authorization_endpoint", split),  # only the browser goes there, possibly to a private address
        ("token_endpoint", outgoing.check),
        ("jwks_uri", outgoing.check),
    ):
        address = document.get(name)
        try:
            check(address if isinstance(address, str) else "")
        except ValueError as error:
            what = error.args[0]
            faults.append(
                _("%(name)s %(error)s", name=name, error=what) if address else _("%(name)s is missing", name=name)
            )
    return faults


def usable_algorithms(document: dict[str, Any]) -> tuple[str, ...]:
    """Returns the supported ones among the provider's signing algorithms. Every provider supports RS256 (OpenID Connect
    Core, section 15.1). ``none`` and HMAC are never accepted."""
    announced = {"RS256", *texts(document, "id_token_signing_alg_values_supported")}
    return tuple(name for name in ALGORITHMS if name in announced)


def texts(document: dict[str, Any], name: str) -> tuple[str, ...]:
    """Returns a member that is a list of texts; empty if it is absent or has another type."""
    found = document.get(name)
    return tuple(entry for entry in found if isinstance(entry, str)) if isinstance(found, list) else ()


def _usable(outgoing: Outgoing, address: object) -> str | None:
    try:
        outgoing.check(str(address))
    except ValueError:
        return None
    return str(address)
