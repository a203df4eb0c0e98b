"""The Python library for Manifest Auth: signs in, keeps the session, calls the API, verifies tokens.

Start with :class:`ManifestAuth`, or with :class:`AsyncManifestAuth` for asyncio. Pass :class:`SessionAuth`,
:class:`ApiKeyAuth`, or :class:`ClientCredentials` to ``auth=`` of any ``httpx2`` client. Services that receive tokens
use :class:`TokenVerifier`. Errors are in ``manifest_auth_client.errors``, and a fake server for tests is in
``manifest_auth_client.testing``.
"""

from manifest_auth_client._connection import Connection
from manifest_auth_client._failure import Detail, ManifestAuthError
from manifest_auth_client._keys import OfflineVerificationUnavailable
from manifest_auth_client.auth import ApiKeyAuth, BoundAuth, RenewingAuth
from manifest_auth_client.client import AsyncManifestAuth, ManifestAuth
from manifest_auth_client.credentials import ClientCredentials, OAuthError, ServiceToken
from manifest_auth_client.session import SessionAuth
from manifest_auth_client.stores import FileTokenStore, LockingTokenStore, MemoryTokenStore, TokenStore
from manifest_auth_client.tokens import SignedIn, Tokens
from manifest_auth_client.verifier import Caller, TokenVerifier

__all__ = [
    "ApiKeyAuth",
    "AsyncManifestAuth",
    "BoundAuth",
    "Caller",
    "ClientCredentials",
    "Connection",
    "Detail",
    "FileTokenStore",
    "LockingTokenStore",
    "ManifestAuth",
    "ManifestAuthError",
    "MemoryTokenStore",
    "OAuthError",
    "OfflineVerificationUnavailable",
    "RenewingAuth",
    "ServiceToken",
    "SessionAuth",
    "SignedIn",
    "TokenStore",
    "TokenVerifier",
    "Tokens",
]
