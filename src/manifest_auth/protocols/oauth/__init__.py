"""OAuth 2.0 as an authorization server for service accounts (RFC 6749, section 4.4): requests, assertions, errors.

Reads what a caller sends and checks what it proves by itself. Never reads the store: which account it is, whether its
secret is right and whether an assertion was used before is for others.
"""

from manifest_auth.protocols.oauth.assertions import read_assertion, verify
from manifest_auth.protocols.oauth.authentication import (
    BasicSecret,
    ClientAssertion,
    account_of,
    client_id_of,
    read_authentication,
)
from manifest_auth.protocols.oauth.client_keys import read_keys
from manifest_auth.protocols.oauth.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    TokenRefused,
    UnauthorizedClient,
    error_of,
)
from manifest_auth.protocols.oauth.metadata import metadata
from manifest_auth.protocols.oauth.requests import (
    DEVICE_CODE,
    OF_DEVICES,
    REFRESH_TOKEN,
    RESOURCE,
    TokenRequest,
    check_resource,
    read_form,
    read_grant,
    read_token,
    read_token_request,
    required,
)
