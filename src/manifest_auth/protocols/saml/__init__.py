"""SAML 2.0 as a service provider: reads what providers send, writes what they are sent.

Owns the one XML parser, signatures, decryption and the rules of the browser profile. Hands over whom an assertion
names, a provider's metadata, our metadata and our requests. It never remembers anything (assertion ids and open
requests are the caller's), never reads the clock, never speaks HTTP, and never tells a sender why it refused: the text
of :class:`Refused` is for the log, or for the administrator who imports metadata and certificates.

``read`` says of whom a response claims to be, so that the provider can be found; ``verify`` is the only way to an
:class:`Assertion`. Importing this package loads lxml and signxml, so functions import it where they need it.
"""

from manifest_auth.protocols.saml.certificates import (
    CertificateFacts,
    certificate_facts,
    make_key,
    read_certificate,
)
from manifest_auth.protocols.saml.conditions import Assertion
from manifest_auth.protocols.saml.errors import NotBase64, Refused
from manifest_auth.protocols.saml.metadata import Metadata, check_address, our_metadata, read_metadata
from manifest_auth.protocols.saml.reading import Shown, read
from manifest_auth.protocols.saml.requests import authn_request, post_page, redirect_address
from manifest_auth.protocols.saml.verification import Policy, verify
