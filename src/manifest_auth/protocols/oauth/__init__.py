"""OAuth 2.0 as an authorization server for service accounts (RFC 6749, section 4.4): requests, assertions, errors.

Reads what a caller sends and checks what it proves by itself. Never reads the store: which account it is, whether its
secret is right and whether an assertion was used before is for others.
"""

from manifest_auth.protocols.oauth.authentication import (
    BasicSecret,
    ClientAssertion,
    account_of,
    client_id_of,
    read_assertion,
    read_authentication,
    read_keys,
    verify,
)
from manifest_auth.protocols.oauth.metadata import metadata
from manifest_auth.protocols.oauth.requests import (
    DEVICE_CODE,
    OF_DEVICES,
    REFRESH_TOKEN,
    RESOURCE,
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    TokenRefused,
    TokenRequest,
    UnauthorizedClient,
    check_resource,
    error_of,
    read_form,
    read_grant,
    read_token,
    read_token_request,
    required,
)
