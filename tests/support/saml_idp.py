"""A SAML identity provider for tests that creates every kind of response, valid and broken.

It signs with lxml and cryptography only, so that our code isn't tested against itself. ``before`` and ``after`` change
the tree before the first and after the last signature; everything else is an argument.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from tests.support.saml_encrypting import Encryption, encrypt
from tests.support.saml_signing import ASSERTION, PROTOCOL, Signing, sign_element

__all__ = ["ASSERTION", "NOW_MS", "PROTOCOL", "STYLES", "Encryption", "Idp", "Signing", "Style", "decode", "encode"]

NOW_MS = 1_800_000_000_000
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

Edit = Callable[[etree._Element], object]
Attributes = Mapping[str, str | Sequence[str]]


class Style(NamedTuple):
    """The prefixes that a provider uses. With ``at_root``, they are declared only on the Response."""

    protocol: str
    assertion: str
    signature: str
    at_root: bool = False


STYLES = {
    "okta": Style("saml2p", "saml2", "ds"),
    "keycloak": Style("samlp", "saml", "dsig"),
    "entra": Style("samlp", "", ""),
    "plain": Style("", "", ""),
    "pysaml2": Style("ns0", "ns1", "ns2", at_root=True),
}


@lru_cache(maxsize=16)
def key_of(kind: str, number: int) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """A private key, created once per run. Kinds: rsa, rsa1024, ec (P-256), ec384."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ec384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, 1024 if kind == "rsa1024" else 2048)


def time_text(ms: int) -> str:
    """A time in Okta's format, with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def encode(document: bytes) -> str:
    return base64.b64encode(document).decode()


def decode(text: str) -> bytes:
    return base64.b64decode(text)


class Idp:
    """An identity provider with one key. ``number`` selects another key of the same kind."""

    def __init__(
        self,
        issuer: str = "http://www.okta.com/exk1test",
        key_kind: str = "rsa",
        number: int = 0,
        not_before_ms: int = NOW_MS - 10**11,
        not_after_ms: int = NOW_MS + 10**11,
    ) -> None:
        self.issuer = issuer
        self.key = key_of(key_kind, number)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example")])
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        builder = builder.not_valid_before(epoch + timedelta(milliseconds=not_before_ms))
        builder = builder.not_valid_after(epoch + timedelta(milliseconds=not_after_ms))
        certificate = builder.sign(self.key, hashes.SHA256())
        self.certificate_der = certificate.public_bytes(serialization.Encoding.DER)
        self.certificate_pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def response(
        self,
        audience: str | Sequence[str],
        acs: str,
        *,
        name_id: str = "alice@acme.example",
        name_id_format: str | None = UNSPECIFIED,
        attributes: Attributes | None = None,
        in_response_to: str | None = None,
        now_ms: int = NOW_MS,
        sign: str = "assertion",
        signing: Signing | None = None,
        encrypt_for: bytes | None = None,
        encryption: Encryption | None = None,
        style: str = "okta",
        before: Edit | None = None,
        after: Edit | None = None,
        **members: str | None,
    ) -> str:
        """A response in base64. ``sign`` is assertion, response, both, or none. ``encrypt_for`` is a certificate in
        DER.

        ``members`` overrides the rest, as :meth:`tree` describes; ``None`` omits the member.
        """
        form = STYLES[style]
        signing = signing or Signing()
        tree = self.tree(
            form, audience, acs, name_id, name_id_format, attributes or {}, in_response_to, now_ms, **members
        )
        if before is not None:
            before(tree)
        if sign in ("assertion", "both"):
            for assertion in tree.findall(f"{{{ASSERTION}}}Assertion"):
                sign_element(assertion, self.key, self.certificate_der, signing, form.signature)
        if encrypt_for is not None:
            encrypt(tree, encrypt_for, encryption or Encryption())
        if sign in ("response", "both"):
            sign_element(tree, self.key, self.certificate_der, signing, form.signature)
        if after is not None:
            after(tree)
        return encode(etree.tostring(tree, encoding="UTF-8", xml_declaration=True))

    def tree(
        self,
        form: Style,
        audience: str | Sequence[str],
        acs: str,
        name_id: str,
        name_id_format: str | None,
        attributes: Attributes,
        in_response_to: str | None,
        now_ms: int,
        *,
        response_id: str | None = None,
        assertion_id: str | None = None,
        session_index: str | None = "id1800000000000.1",
        issuer: str | None = "",
        destination: str | None = "",
        recipient: str | None = "",
        issued: str | None = "",
        not_before: str | None = "",
        not_on_or_after: str | None = "",
        confirmed_until: str | None = "",
        authn_instant: str | None = "",
        authn_context: str | None = PASSWORD,
        session_until: str | None = None,
        status: str | None = SUCCESS,
        method: str | None = BEARER,
        version: str | None = "2.0",
    ) -> etree._Element:
        """The unsigned response. ``''`` stands for the usual value; times are written exactly as given."""
        p, a = (f"{prefix}:" if prefix else "" for prefix in (form.protocol, form.assertion))
        p_declared, a_declared = f' xmlns{":" * bool(form.protocol)}{form.protocol}="{PROTOCOL}"', _declared(form)
        root_declared, local = (p_declared + a_declared, "") if form.at_root else (p_declared, a_declared)

        def members(**pairs: str | None) -> str:
            return "".join(f" {name}={quoteattr(value)}" for name, value in pairs.items() if value is not None)

        now = time_text(now_ms) if issued == "" else issued
        usual_until = time_text(now_ms + 300_000)
        until = usual_until if not_on_or_after == "" else not_on_or_after
        since = time_text(now_ms - 300_000) if not_before == "" else not_before
        audiences = [audience] if isinstance(audience, str) else audience
        issuer_text = self.issuer if issuer == "" else issuer
        named = "" if issuer_text is None else f"<{a}Issuer{local}>{escape(issuer_text)}</{a}Issuer>"
        response = members(
            Destination=acs if destination == "" else destination,
            ID=response_id or f"id{uuid.uuid4().hex}",
            InResponseTo=in_response_to,
            IssueInstant=now,
            Version=version,
        )
        assertion = members(ID=assertion_id or f"id{uuid.uuid4().hex}", IssueInstant=now, Version=version)
        confirmation = members(
            InResponseTo=in_response_to,
            NotOnOrAfter=usual_until if confirmed_until == "" else confirmed_until,
            Recipient=acs if recipient == "" else recipient,
        )
        instant = time_text(now_ms) if authn_instant == "" else authn_instant
        session = members(AuthnInstant=instant, SessionIndex=session_index, SessionNotOnOrAfter=session_until)
        context = f"<{a}AuthnContextClassRef>{escape(authn_context)}</{a}AuthnContextClassRef>" if authn_context else ""
        text = (
            f"<{p}Response{root_declared}{response}>{named}"
            f"<{p}Status><{p}StatusCode{members(Value=status)}/></{p}Status>"
            f"<{a}Assertion{local}{assertion}"
            f' xmlns:xs="http://www.w3.org/2001/XMLSchema">{named.replace(local, "") if local else named}'
            f"<{a}Subject><{a}NameID{members(Format=name_id_format)}>{escape(name_id)}</{a}NameID>"
            f"<{a}SubjectConfirmation{members(Method=method)}><{a}SubjectConfirmationData{confirmation}/>"
            f"</{a}SubjectConfirmation></{a}Subject>"
            f"<{a}Conditions{members(NotBefore=since, NotOnOrAfter=until)}><{a}AudienceRestriction>"
            + "".join(f"<{a}Audience>{escape(one)}</{a}Audience>" for one in audiences)
            + f"</{a}AudienceRestriction></{a}Conditions>"
            f"<{a}AuthnStatement{session}><{a}AuthnContext>{context}</{a}AuthnContext></{a}AuthnStatement>"
            f"{_attributes(a, attributes)}</{a}Assertion></{p}Response>"
        )
        return etree.fromstring(text.encode())

    def metadata(self, redirect_address: str, post_address: str | None = None, wants_signed: bool = False) -> bytes:
        """The metadata that an administrator imports."""
        services = "".join(
            f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{binding}" '
            f"Location={quoteattr(address)}/>"
            for binding, address in (("POST", post_address), ("Redirect", redirect_address))
            if address
        )
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><md:EntityDescriptor entityID={quoteattr(self.issuer)} '
            'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"><md:IDPSSODescriptor '
            f'WantAuthnRequestsSigned="{str(wants_signed).lower()}" protocolSupportEnumeration="{PROTOCOL}">'
            '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
            f"<ds:X509Certificate>{encode(self.certificate_der)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
            f"</md:KeyDescriptor>{services}</md:IDPSSODescriptor></md:EntityDescriptor>"
        ).encode()


def _declared(form: Style) -> str:
    return f' xmlns{":" * bool(form.assertion)}{form.assertion}="{ASSERTION}"'


def _attributes(a: str, attributes: Attributes) -> str:
    """An AttributeStatement, or nothing. An empty value becomes an empty AttributeValue, as Okta sends it."""
    if not attributes:
        return ""
    typed = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string"'
    written = ""
    for name, values in attributes.items():
        every = [values] if isinstance(values, str) else values
        inner = "".join(f"<{a}AttributeValue {typed}>{escape(value)}</{a}AttributeValue>" for value in every)
        written += f"<{a}Attribute Name={quoteattr(name)}>{inner}</{a}Attribute>"
    return f"<{a}AttributeStatement>{written}</{a}AttributeStatement>"
