"""``SessionAuth``: renews the tokens of a user's session, and stores them so that none are lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace

import httpx2

from manifest_auth_client._answers import data_of
from manifest_auth_client._connection import Connection
from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client.auth import RenewingAuth
from manifest_auth_client.errors import InvalidToken, Unauthenticated
from manifest_auth_client.stores import LockingTokenStore, MemoryTokenStore, TokenStore
from manifest_auth_client.tokens import Tokens

#: By default, the server still accepts a replaced refresh token for ten seconds. If a response is lost, the request is
#: repeated within that time, and no attempt lasts so long that the next one would be too late.
_REPEAT_WITHIN_S, _ONE_TRY_S, _PAUSE_S = 9.0, 8.0, 0.2


class SessionAuth(RenewingAuth[Tokens]):
    """Sends a session's access token and renews it, for any ``httpx2`` client.

    ``tokens`` are those of a sign-in. Omit them if ``store`` already has some. ``origins`` lists other servers that
    accept the token. ``connection`` replaces the default connection to the server.

    A new refresh token is stored before it is used, so a killed process loses no session. If processes share a store,
    one of them refreshes, and the others use the tokens that it stored. Raises InvalidToken if the session has ended,
    and Unauthenticated if there is none.

    >>> tokens = auth.sign_in("ada@acme.example", "kestrel-harbor-21").tokens
    >>> session = SessionAuth(tokens, connection=connection)
    >>> with httpx2.Client(auth=session, transport=fake.transport) as http:
    ...     http.get(f"{URL}/api/client/auth/me").status_code
    200
    """

    def __init__(
        self,
        tokens: Tokens | None = None,
        *,
        store: TokenStore | None = None,
        origins: Iterable[str] = (),
        connection: Connection | None = None,
    ) -> None:
        self._store: TokenStore = MemoryTokenStore() if store is None else store
        kept = tokens or self._store.load()
        if connection is None:
            if kept is None:
                raise ValueError("the store has no tokens yet: pass the tokens of a sign-in")
            connection = Connection(kept.base_url)
        self._connection = replace(connection, client=None, timeout=min(connection.timeout, _ONE_TRY_S))
        super().__init__(connection.base_url, origins, None)
        if tokens is not None:
            self.tokens = tokens
        else:
            self._held.put(self._of_this_server(kept))

    @property
    def tokens(self) -> Tokens | None:
        """The tokens for the next request; None after a sign-out. Setting them stores them first."""
        return self._held.value

    @tokens.setter
    def tokens(self, tokens: Tokens | None) -> None:
        self._of_this_server(tokens)
        with self._locked():
            self._store.save(tokens, replaces=self._store.load())
            self._held.put(tokens)

    def _of_this_server(self, tokens: Tokens | None) -> Tokens | None:
        if tokens is not None and httpx2.URL(tokens.base_url).origin != httpx2.URL(self._connection.base_url).origin:
            raise ValueError(f"these are tokens of another server: {tokens.base_url}")
        return tokens

    def refresh(self) -> Tokens:
        """Returns new tokens now, or the ones that another process has stored in the meantime."""
        return self._held.after(self._held.value)

    async def arefresh(self) -> Tokens:
        """The async version of :meth:`refresh`."""
        return await self._held.after_async(self._held.value)

    def _locked(self) -> AbstractContextManager[object]:
        return self._store.lock() if isinstance(self._store, LockingTokenStore) else contextlib.nullcontext()

    def _renew(self, stale: Tokens | None) -> Tokens:
        with self._locked():
            kept = self._of_this_server(self._store.load())
            if kept is None:
                self._held.put(None)
                raise Unauthenticated("No one is signed in")
            if not _same(kept, stale) and not kept.is_due:
                return kept  # another process was first
            try:
                child = self._ask(kept)
            except InvalidToken:
                newer = self._store.load()
                if newer is None or _same(newer, kept):
                    raise
                return newer
            if self._store.save(child, replaces=kept):  # before they are used
                return child
            return self._store.load() or child

    def _ask(self, kept: Tokens) -> Tokens:
        """Requests new tokens. If the response is lost, repeats the request with the same token."""
        until, is_lost = time.monotonic() + _REPEAT_WITHIN_S, False
        body = {"refreshToken": kept.refresh_token}
        with self._connection.open() as http:
            while True:
                try:
                    answer = http.post(self._connection.url("/api/client/auth/refresh"), json=body)
                    return Tokens.of_answer(kept.base_url, data_of(answer))
                except (httpx2.TransportError, ManifestAuthError) as failed:
                    unsent = isinstance(failed, httpx2.ConnectError | httpx2.ConnectTimeout)
                    refused = isinstance(failed, ManifestAuthError) and (failed.code or failed.status < 500)
                    if refused or (unsent and not is_lost) or time.monotonic() + _PAUSE_S >= until:
                        raise
                    is_lost = True
                time.sleep(_PAUSE_S)


def _same(one: Tokens, other: Tokens | None) -> bool:
    return other is not None and one.refresh_token == other.refresh_token
