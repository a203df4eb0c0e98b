"""With a server that signs with ES256, users' tokens are verified by its public keys, without a call for each token."""

from __future__ import annotations

import pytest

from manifest_auth_client import ManifestAuth, TokenVerifier, errors
from tests.sdk_python.suite.servers import EMAIL, PASSWORD, real


async def test_users_tokens_are_verified_by_the_servers_keys() -> None:
    server = real()
    assert server is not None
    verifier = TokenVerifier(server.base_url, "manifest-api", mode="jwks", client="acme")
    elsewhere = TokenVerifier(server.base_url, "manifest-api", mode="jwks", client="globex")
    with ManifestAuth(server.base_url, client="acme") as auth:
        signed_in = auth.sign_in(EMAIL, PASSWORD)
        token = signed_in.tokens.access_token
        for caller in (verifier.verify(token), await verifier.averify(token)):
            assert (caller.subject, caller.client) == (str(signed_in.user["id"]), "acme")
        with pytest.raises(errors.InvalidToken):
            elsewhere.verify(token)
        auth.sign_out()
    assert verifier.verify(token)  # until it expires, as documented
    for other in (signed_in.tokens.refresh_token, f"{token[:-8]}AAAAAAAA"):
        with pytest.raises(errors.InvalidToken):
            verifier.verify(other)
