"""``FakeManifestAuth``: an ASGI application that responds like the server, for application tests."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import httpx2

from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client.errors import InternalError, MethodNotAllowed, NotFound, ValidationError
from manifest_auth_client.testing import _apps, _oauth
from manifest_auth_client.testing._apps import FakeApp
from manifest_auth_client.testing._state import FakeService, FakeUser, State
from manifest_auth_client.testing._users import ROUTES, Asked

_Message = MutableMapping[str, Any]
_TABLE = {**ROUTES, **_oauth.ROUTES}
_GRAPHQL = ("POST", "/api/client/graphql")
_KNOWN = {*_TABLE, _GRAPHQL}


class FakeManifestAuth:
    """Replaces the server in tests: sign-in, second factors, refresh token rotation with reuse detection, ``me``, some
    GraphQL, API keys, ``/oauth2/token`` and ``/oauth2/introspect``, and OpenID Connect for apps. It keeps everything in
    memory and enforces no limits.

    It is an ASGI application. ``transport`` connects sync and async ``httpx2`` clients to it without a port.
    ``access_seconds`` and ``refresh_seconds`` are the lifetimes of tokens. GraphQL supports ``users`` and ``me`` with
    simple fields. All other documents go to ``on_graphql``, a function that gets the query and variables, and returns
    ``data``. All other routes of ``/api/client`` go to ``on_rest``, a function of method, path with query, and body.
    Except below ``/api/client/auth``, they require a valid credential. If these functions raise an error of
    ``manifest_auth_client.errors``, the response is the same as the server's.

    >>> fake = FakeManifestAuth()
    >>> user = fake.add_user("ada@acme.example", "kestrel-harbor-21", roles=["Author"])
    >>> with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
    ...     _ = auth.sign_in("ada@acme.example", "kestrel-harbor-21")
    ...     fake.expire_access_tokens()
    ...     auth.me()["user"]["email"], fake.refreshes
    ('ada@acme.example', 1)
    """

    def __init__(
        self,
        base_url: str = "http://auth.example",
        *,
        access_seconds: float = 3600,
        refresh_seconds: float = 30 * 86400,
        on_graphql: Callable[[str, Mapping[str, Any]], dict[str, Any]] | None = None,
        on_rest: Callable[[str, str, Mapping[str, Any]], Any] | None = None,
    ) -> None:
        self.base_url = base_url
        self._state = State(base_url, access_seconds, refresh_seconds)
        self._on_graphql, self._on_rest = on_graphql, on_rest
        self.transport = httpx2.MockTransport(self._handle)

    @property
    def refreshes(self) -> int:
        """The number of refreshes that returned new tokens."""
        return self._state.refreshes

    @property
    def reuses(self) -> int:
        """The number of sessions that ended because a replaced refresh token was reused."""
        return self._state.reuses

    def add_user(
        self, email: str, password: str, *, roles: Iterable[str] = ("Viewer",), client: str = "acme",
        otp: str | None = None, first_name: str = "", last_name: str = "",
    ) -> FakeUser:  # fmt: skip
        """Adds a user. ``otp`` is the code of a second factor, which is then required."""
        user = FakeUser(
            id=self._state.number(), email=email, password=password, roles=list(roles), client=client,
            first_name=first_name, last_name=last_name, otp=otp, changed_at=int(self._state.now),
        )  # fmt: skip
        self._state.users.append(user)
        return user

    def add_service(
        self, name: str, *, roles: Iterable[str] = ("Viewer",), scopes: Iterable[str] | None = None,
        client: str = "acme", may_introspect: bool = False,
    ) -> FakeService:  # fmt: skip
        """Adds a service account with an API key and a client secret."""
        service = FakeService(
            id=self._state.number(), name=name, roles=list(roles), scopes=None if scopes is None else list(scopes),
            client=client, may_introspect=may_introspect, secret=f"mfst_sec_{secrets.token_hex(24)}A",
            key=f"mfst_key_{secrets.token_hex(24)}A",
        )  # fmt: skip
        self._state.services.append(service)
        return service

    def add_app(
        self, *redirect_uris: str, client: str = "acme", has_secret: bool = True,
        scopes: Iterable[str] = ("openid", "profile", "email", "roles", "offline_access"),
        post_logout_redirect_uris: Iterable[str] = (),
    ) -> FakeApp:  # fmt: skip
        """Adds an app that signs in users with OpenID Connect at its ``issuer``. Needs the extra ``[verify]``."""
        app = FakeApp(
            client_id=f"app_{secrets.token_hex(11)}", client=client, issuer=f"{self.base_url}/o/{client}",
            redirect_uris=list(redirect_uris), scopes=list(scopes),
            post_logout_redirect_uris=list(post_logout_redirect_uris),
            secret=f"mfst_sec_{secrets.token_hex(24)}A" if has_secret else "",
        )  # fmt: skip
        self._state.apps.append(app)
        return app

    def at_browser(self, user: FakeUser | None) -> None:
        """Sets the user who is signed in to the browser that an app sends to ``authorize``; None for nobody."""
        self._state.at_browser = user

    def code_for(self, user: FakeUser) -> str:
        """Returns a one-time code, like the one that single sign-on gives to an application."""
        code = secrets.token_urlsafe(32)
        self._state.codes[code] = user
        return code

    def advance(self, seconds: float) -> None:
        """Moves the clock of the fake server forward."""
        self._state.moved += seconds

    def expire_access_tokens(self) -> None:
        """Moves the clock past the expiry of every access token that was issued."""
        self.advance(self._state.lives[0] + 1)

    def end_sessions(self, user: FakeUser) -> None:
        """Ends all sessions of a user, as an administrator would."""
        for session in self._state.sessions.values():
            session.is_over = session.is_over or session.user is user

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        status, headers, body = self._answer(request.method, path, request.headers, request.content)
        return httpx2.Response(status, headers=headers, content=body)

    async def __call__(
        self, scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]],
    ) -> None:  # fmt: skip
        """Handles ASGI requests. Only HTTP is supported."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path = "?".join(filter(None, (scope["path"], scope.get("query_string", b"").decode())))
        status, headers, content = self._answer(scope["method"], path, httpx2.Headers(scope["headers"]), body)
        headers["content-length"] = str(len(content))
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": content})

    def _answer(
        self, method: str, path: str, headers: httpx2.Headers, content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        request_id = secrets.token_hex(8)
        more = {"content-type": "application/json", "x-request-id": request_id, "cache-control": "no-store"}
        try:
            with self._state.lock:
                status, body = 200, self._act(method, path, headers, content)
            if isinstance(body, _apps.Redirect):
                more["location"] = body.address
                status, body = 302, {}
        except ManifestAuthError as refused:
            status, body = _oauth.refusal(refused, request_id) or (refused.status, _envelope(refused, request_id))
            if status == 401:
                more["www-authenticate"] = "Basic" if "error_description" in body else "Bearer"
        return status, more, json.dumps(body).encode()

    def _act(self, method: str, target: str, headers: httpx2.Headers, content: bytes) -> Any:
        path, _, query = target.partition("?")
        if path.startswith(("/o/", _apps.METADATA)):
            form = {k: v[0] for k, v in parse_qs(content.decode()).items()}
            return _apps.act(method, path, query, Asked(self._state, headers, form))
        if (method, path) not in _KNOWN:
            return self._rest(method, target, Asked(self._state, headers, _json(headers, content)))
        try:
            is_form = path.startswith("/oauth2/")
            body = {k: v[0] for k, v in parse_qs(content.decode()).items()} if is_form else json.loads(content or b"{}")
        except ValueError:
            raise ValidationError from None
        if (method, path) == _GRAPHQL:
            return self._graphql(Asked(self._state, headers, body))
        return _TABLE[method, path](Asked(self._state, headers, body))

    def _rest(self, method: str, target: str, asked: Asked) -> dict[str, Any]:
        path = target.partition("?")[0]
        if self._on_rest is None or not path.startswith("/api/client/"):
            if any(path == known for _, known in _KNOWN):
                raise MethodNotAllowed
            raise NotFound(f"FakeManifestAuth does not know {path}: give on_rest")
        if "authorization" in asked.headers or not path.startswith("/api/client/auth/"):
            asked.member()
        return {"success": True, "data": self._on_rest(method, target, asked.body)}

    def _graphql(self, asked: Asked) -> dict[str, Any]:
        me, query = asked.member(), str(asked.body.get("query", ""))
        if self._on_graphql is not None:
            return {"data": self._on_graphql(query, asked.body.get("variables") or {})}
        found = re.fullmatch(r"\s*(?:query\s*)?\{\s*(users|me)\s*\{([\w\s]+)\}\s*\}\s*", query)
        if found is None:
            raise InternalError("FakeManifestAuth answers { users { … } } and { me { … } }: give on_graphql")
        rows = [_fields(user, found[2]) for user in self._state.users if user.client == me.client]
        mine = next((row for row, user in zip(rows, self._state.users, strict=False) if user is me), None)
        return {"data": {found[1]: rows if found[1] == "users" else mine}}


def _json(headers: httpx2.Headers, content: bytes) -> dict[str, Any]:
    """Parses the body of a request; returns no members for a file. Raises ValidationError."""
    if not content or headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return {}
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ValidationError("The body must be a JSON object")
    return body


def _fields(user: FakeUser, names: str) -> dict[str, Any]:
    shown = {"id": user.id, "email": user.email, "firstName": user.first_name, "lastName": user.last_name}
    return {name: shown.get(name) for name in names.split()}


def _envelope(refused: ManifestAuthError, request_id: str) -> dict[str, Any]:
    error = {"message": refused.message, "code": refused.code, "requestId": request_id, **refused.given}
    return {"success": False, "error": error}
