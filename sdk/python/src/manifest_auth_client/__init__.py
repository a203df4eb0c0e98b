"""The Python library for Manifest Auth: signs in, keeps the session, calls the API, verifies tokens.

Begin with :class:`ManifestAuth`, or :class:`AsyncManifestAuth` for asyncio. :class:`SessionAuth`, :class:`ApiKeyAuth`
and :class:`ClientCredentials` are for ``auth=`` of any client of ``httpx2``; :class:`TokenVerifier` is for services
that are shown tokens. Refusals are in ``manifest_auth_client.errors``, a stand-in for the server in
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
