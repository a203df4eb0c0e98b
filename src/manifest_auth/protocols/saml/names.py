"""Namespaces and fixed addresses of SAML 2.0, XML Signature and XML Encryption."""

from __future__ import annotations

from typing import Final

PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = f"{DS}enveloped-signature"
XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
XSLT: Final = "http://www.w3.org/1999/XSL/Transform"

HTTP_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
HTTP_REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
RSA_SHA256: Final = f"{MORE}rsa-sha256"


def protocol(name: str) -> str:
    """The qualified name of an element of the protocol namespace."""
    return f"{{{PROTOCOL}}}{name}"


def assertion(name: str) -> str:
    """The qualified name of an element of the assertion namespace."""
    return f"{{{ASSERTION}}}{name}"


def metadata(name: str) -> str:
    """The qualified name of an element of the metadata namespace."""
    return f"{{{METADATA}}}{name}"


def ds(name: str) -> str:
    """The qualified name of an element of the XML Signature namespace."""
    return f"{{{DS}}}{name}"


def xenc(name: str) -> str:
    """The qualified name of an element of the XML Encryption namespace."""
    return f"{{{XENC}}}{name}"
