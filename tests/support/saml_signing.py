"""XML signatures for tests, built manually so that every part can be wrong on purpose."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree

PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
PSS = "http://www.w3.org/2007/05/xmldsig-more#"
ENC = "http://www.w3.org/2001/04/xmlenc#"

DIGESTS: dict[str, tuple[str, type[hashes.HashAlgorithm]]] = {
    "sha1": (f"{DS}sha1", hashes.SHA1),
    "sha224": (f"{MORE}sha224", hashes.SHA224),
    "sha256": (f"{ENC}sha256", hashes.SHA256),
    "sha384": (f"{MORE}sha384", hashes.SHA384),
    "sha512": (f"{ENC}sha512", hashes.SHA512),
}
METHODS = {
    "rsa-sha1": f"{DS}rsa-sha1",
    "hmac-sha256": f"{MORE}hmac-sha256",
    **{f"rsa-{name}": f"{MORE}rsa-{name}" for name in DIGESTS if name != "sha1"},
    **{f"ecdsa-{name}": f"{MORE}ecdsa-{name}" for name in DIGESTS},
    **{f"{name}-rsa-MGF1": f"{PSS}{name}-rsa-MGF1" for name in DIGESTS},
}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Signing:
    """An empty ``method`` means rsa or ecdsa with SHA-256, depending on the key. ``prefixes`` is the
    InclusiveNamespaces PrefixList.

    ``uri`` replaces ``#ID`` in the Reference. ``transforms`` are algorithm addresses. ``key_info`` is certificate,
    none, or XML text. ``hmac_key`` is for the method hmac-sha256. ``canonicalization`` is only the declared algorithm.
    """

    method: str = ""
    digest: str = "sha256"
    prefixes: str = ""
    uri: str | None = None
    transforms: tuple[str, ...] = field(default=(ENVELOPED, EXCLUSIVE))
    canonicalization: str = EXCLUSIVE
    key_info: str = "certificate"
    hmac_key: bytes = b""


def canonical(element: etree._Element, prefixes: str = "") -> bytes:
    """The exclusive canonical form of an element in its document."""
    return bytes(
        etree.tostring(
            element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes.split() or None
        )
    )


def signature_value(signed: bytes, key: Key, method: str, hmac_key: bytes = b"") -> bytes:
    """The raw signature in the format of XML signatures (for ECDSA, r and s concatenated)."""
    if method == "hmac-sha256":
        code = hmac.HMAC(hmac_key, hashes.SHA256())
        code.update(signed)
        return code.finalize()
    family, _, rest = method.partition("-")
    if family == "rsa" and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), DIGESTS[rest][1]())
    if rest == "rsa-MGF1" and isinstance(key, rsa.RSAPrivateKey):
        digest = DIGESTS[family][1]()
        return key.sign(signed, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    assert isinstance(key, ec.EllipticCurvePrivateKey), method
    r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(DIGESTS[rest][1]())))
    size = (key.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def sign_element(
    element: etree._Element, key: Key, certificate: bytes, signing: Signing, prefix: str = "ds"
) -> etree._Element:
    """Sign an element in its document; inserts the Signature after its Issuer, and returns it."""
    method = signing.method or ("rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa-sha256")
    p = f"{prefix}:" if prefix else ""
    digest_address, digest = DIGESTS[signing.digest]
    hasher = hashes.Hash(digest())
    hasher.update(canonical(element, signing.prefixes))
    inclusive = (
        f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{signing.prefixes}"/>' if signing.prefixes else ""
    )
    transforms = "".join(
        f'<{p}Transform Algorithm="{one}">{inclusive if one == EXCLUSIVE else ""}</{p}Transform>'
        for one in signing.transforms
    )
    uri = f"#{element.get('ID')}" if signing.uri is None else signing.uri
    encoded = base64.b64encode(certificate).decode()
    key_info = {
        "certificate": f"<{p}KeyInfo><{p}X509Data><{p}X509Certificate>{encoded}</{p}X509Certificate></{p}X509Data>"
        f"</{p}KeyInfo>",
        "none": "",
    }.get(signing.key_info, signing.key_info)
    declared = f'xmlns{":" * bool(prefix)}{prefix}="{DS}"'
    signature = etree.fromstring(
        f"<{p}Signature {declared}><{p}SignedInfo>"
        f'<{p}CanonicalizationMethod Algorithm="{signing.canonicalization}"/>'
        f'<{p}SignatureMethod Algorithm="{METHODS[method]}"/>'
        f'<{p}Reference URI="{uri}"><{p}Transforms>{transforms}</{p}Transforms>'
        f'<{p}DigestMethod Algorithm="{digest_address}"/>'
        f"<{p}DigestValue>{base64.b64encode(hasher.finalize()).decode()}</{p}DigestValue></{p}Reference></{p}SignedInfo>"
        f"<{p}SignatureValue/>{key_info}</{p}Signature>"
    )
    issuer = element.find(f"{{{ASSERTION}}}Issuer")
    if issuer is not None:
        issuer.addnext(signature)
    else:
        element.insert(0, signature)
    value = signature_value(canonical(signature[0]), key, method, signing.hmac_key)
    signature[1].text = base64.b64encode(value).decode()
    return signature
