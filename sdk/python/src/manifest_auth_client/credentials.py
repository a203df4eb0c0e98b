"""Credentials of machines at ``/oauth2``: a client secret, or a private key."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote_plus

import httpx2

from manifest_auth_client._answers import seconds_of
from manifest_auth_client._connection import Connection
from manifest_auth_client._extras import extra
from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client.auth import RenewingAuth

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_RENEW_AT = 0.8  # of a token's lifetime


class OAuthError(ManifestAuthError):
    """An error from ``/oauth2``. ``code`` is a code of RFC 6749, section 5.2, such as ``invalid_client``.

    >>> try:
    ...     ClientCredentials(URL, "svc_2", connection=connection, secret="mfst_sec_wrong").token()
    ... except OAuthError as refused:
    ...     print(refused.code)
    invalid_client
    """


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A machine's access token. Times are seconds since 1970. ``repr`` omits the token.

    >>> ClientCredentials(URL, "svc_2", connection=connection, secret=secret).token().scope
    ('users:read',)
    """

    access_token: str = field(repr=False)
    expires_at: float
    renew_at: float
    scope: tuple[str, ...]

    @property
    def is_due(self) -> bool:
        """Whether to renew the token before using it."""
        return time.time() >= self.renew_at


class ClientCredentials(RenewingAuth[ServiceToken]):
    """Sends a service token, obtained with a client secret or a private key (RFC 6749, 4.4; RFC 7523). Renews it after
    80% of its lifetime.

    ``base_url`` is the server's public address and its issuer, and ``client_id`` is ``svc_…``. Pass either ``secret``
    (``mfst_sec_…``) or ``private_key``, a JWK or PEM for ES256 or PS256, which needs ``manifest-auth-client[verify]``.
    ``key_id`` is the key's ``kid`` on the server. ``scope`` lists the permissions to request, by default all.
    ``origins`` lists other servers that accept the token. ``connection`` replaces the default connection to the server.

    >>> machine = ClientCredentials(URL, "svc_2", connection=connection, secret=secret, scope=["users:read"])
    >>> with httpx2.Client(auth=machine, transport=fake.transport) as http:
    ...     http.get(f"{URL}/api/client/auth/me").status_code
    200
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        *,
        secret: str | None = None,
        private_key: str | bytes | Mapping[str, Any] | None = None,
        key_id: str | None = None,
        scope: Iterable[str] = (),
        origins: Iterable[str] = (),
        connection: Connection | None = None,
    ) -> None:
        if (secret is None) == (private_key is None):
            raise ValueError("give either a secret or a private key")
        self._connection = replace(connection or Connection(base_url), client=None)
        self._issuer = Connection(base_url).base_url
        self._client_id, self._secret, self._scope = client_id, secret, tuple(scope)
        self._key = None if private_key is None else _Key(private_key, key_id)
        super().__init__(self._connection.base_url, origins, None)

    def token(self) -> ServiceToken:
        """Returns the token for the next request, and gets a new one if there is none or it is due for renewal. Raises
        OAuthError."""
        held = self._held.value
        return self._held.after(held) if held is None or held.is_due else held

    def authentication(self) -> tuple[dict[str, str], dict[str, str]]:
        """Returns the headers and form members that authenticate the client at an ``/oauth2`` endpoint."""
        if self._key is not None:
            assertion = self._key.assertion(self._client_id, self._issuer)
            return {}, {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret or '')}"  # RFC 6749, 2.3.1
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {}

    def _renew(self, stale: ServiceToken | None) -> ServiceToken:
        headers, form = self.authentication()
        form |= {"grant_type": "client_credentials", **({"scope": " ".join(self._scope)} if self._scope else {})}
        with self._connection.open() as http:
            now = time.time()
            answer = oauth_answer(http.post(self._connection.url("/oauth2/token"), data=form, headers=headers))
        life = float(answer["expires_in"])
        return ServiceToken(
            access_token=str(answer["access_token"]),
            expires_at=now + life,
            renew_at=now + life * _RENEW_AT,
            scope=tuple(str(answer.get("scope", "")).split()),
        )


class _Key:
    """A private key that signs assertions."""

    def __init__(self, key: str | bytes | Mapping[str, Any], key_id: str | None) -> None:
        with extra("verify", "private_key"):
            from joserfc import jwk
            from joserfc.errors import JoseError

        self._key: Any = None
        if not isinstance(key, Mapping) and key.strip()[:1] in ("{", b"{"):  # a JWK as text
            key = json.loads(key)
        if isinstance(key, Mapping):
            self._key = jwk.import_key(dict(key))
        else:
            for kind in (jwk.ECKey, jwk.RSAKey):
                with contextlib.suppress(ValueError, JoseError):
                    self._key = self._key or kind.import_key(key)
        if self._key is None or self._key.key_type not in ("EC", "RSA") or not self._key.is_private:
            raise ValueError("this is no private key of kind EC or RSA")
        self._algorithm = "ES256" if self._key.key_type == "EC" else "PS256"
        self._key_id = key_id or self._key.get("kid")

    def assertion(self, client_id: str, issuer: str) -> str:
        """Creates an assertion that can be used once, within a minute, for this issuer and any of its endpoints."""
        from joserfc import jwt

        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": issuer, "iat": now, "exp": now + 60}
        header = {"alg": self._algorithm, "typ": "client-authentication+jwt"}
        if self._key_id:
            header["kid"] = self._key_id
        return jwt.encode(header, {**claims, "jti": secrets.token_urlsafe(24)}, self._key, [self._algorithm])


def oauth_answer(response: httpx2.Response) -> dict[str, Any]:
    """Returns the members of an ``/oauth2`` response. Raises OAuthError."""
    try:
        body = response.json()
    except ValueError:
        body = None
    found: dict[str, Any] = body if isinstance(body, dict) else {}
    if response.is_success and "error" not in found:
        return found
    code = found.get("error")
    raise OAuthError(
        str(found.get("error_description") or f"The answer is not the server's: {response.status_code}"),
        code=code if isinstance(code, str) else "",
        status=response.status_code,
        request_id=str(found.get("request_id", "")),
        retry_after=seconds_of(response),
    )
