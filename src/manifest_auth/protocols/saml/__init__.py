"""SAML 2.0 as a service provider: verifies responses, writes requests and metadata.

Owns the only XML parser, signatures, decryption, and the rules of the browser profile. Results are the assertion's
content, a provider's metadata, our metadata, and our requests. It stores nothing (the caller stores assertion IDs and
open requests), never reads the clock, never uses HTTP, and never tells a sender why a response was rejected. The text
of :class:`SamlRefused` is for the log, or for the administrator who imports metadata and certificates.

``read`` returns the claimed issuer of a response, so that the caller can find the provider. Only ``verify`` returns an
:class:`Assertion`. Importing this package loads lxml and signxml, so functions import it where they need it.
"""

from manifest_auth.protocols.saml.document import RESPONSE, NotBase64, SamlRefused, read_time
from manifest_auth.protocols.saml.metadata import (
    CertificateFacts,
    Metadata,
    authn_request,
    certificate_facts,
    check_address,
    make_key,
    post_page,
    read_certificate,
    read_metadata,
    redirect_address,
    sp_metadata,
)
from manifest_auth.protocols.saml.shape import UnverifiedResponse, read_response
from manifest_auth.protocols.saml.verification import Assertion, Policy, verify
