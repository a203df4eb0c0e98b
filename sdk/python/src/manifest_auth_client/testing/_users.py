"""The fake server's routes for users."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from manifest_auth_client.errors import (
    AccountDisabled,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    SsoFailed,
    Unauthenticated,
    ValidationError,
)
from manifest_auth_client.testing._state import FakeService, FakeUser, Session, State

_AUTH = "/api/client/auth"


@dataclass
class Asked:
    """A request: the server's state, the headers, and the members of the body."""

    state: State
    headers: httpx2.Headers
    body: dict[str, Any]

    def text(self, name: str) -> str:
        """Returns a member of the body. Raises ValidationError if it is missing."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise ValidationError(given={"details": [{"field": name, "message": "It is missing"}]})
        return value

    def bearer(self) -> str:
        """Returns the bearer token. Raises Unauthenticated."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
        return token.strip()

    def session(self) -> Session:
        """Returns the caller's session. Raises InvalidToken, TokenExpired, and Forbidden for a machine."""
        token = self.bearer()
        if token.startswith("mfst_") or self._service_of(token) is not None:
            raise Forbidden
        session = self.state.alive(self.state.read(token, "JWT")["sid"])
        if self.headers.get("x-client-id", session.user.client) != session.user.client:
            raise Forbidden
        return session

    def member(self) -> FakeUser | FakeService:
        """Returns the user or machine that sent the request."""
        return self._service_of(self.bearer()) or self.session().user

    def scope(self, who: FakeService) -> tuple[str, ...]:
        """Returns the permissions of a service account's credential."""
        token = self.bearer()
        return who.permissions if token == who.key else tuple(self.state.read(token, "at+jwt")["scope"].split())

    def _service_of(self, token: str) -> FakeService | None:
        if token.startswith("mfst_key_"):
            found = next((service for service in self.state.services if service.key == token), None)
            if found is None or found.is_disabled:
                raise InvalidToken
            return found
        try:
            claims = self.state.read(token, "at+jwt")
        except InvalidToken:
            return None
        found = next(service for service in self.state.services if service.client_id == claims["sub"])
        if found.is_disabled:
            raise InvalidToken
        return found


def _ok(data: Any) -> dict[str, Any]:
    return {"success": True, "data": data}


def _sign_in(asked: Asked) -> dict[str, Any]:
    email, password = asked.text("email"), asked.text("password")
    client = asked.headers.get("x-client-id")
    users = [user for user in asked.state.users if user.email == email and client in (None, user.client)]
    if not users or users[0].password != password:
        raise InvalidCredentials
    if users[0].otp is not None and users[0].otp != asked.body.get("otp"):
        challenge = secrets.token_urlsafe(32)
        asked.state.challenges[challenge] = users[0]
        raise _second_factor(challenge)
    return _begun(asked, users[0])


def _second_factor(challenge: str) -> MfaRequired:
    details = [{"field": "otp", "message": "A code from your authenticator app"}]
    return MfaRequired(given={"challenge": challenge, "expiresIn": 600, "details": details})


def _continue(asked: Asked) -> dict[str, Any]:
    user = asked.state.challenges.get(asked.text("challenge"))
    if user is None:
        raise InvalidToken
    if user.otp != asked.body.get("otp"):
        raise _second_factor(asked.text("challenge"))
    del asked.state.challenges[asked.text("challenge")]
    return _begun(asked, user)


def _exchange(asked: Asked) -> dict[str, Any]:
    user = asked.state.codes.pop(asked.text("code"), None)
    if user is None:
        raise SsoFailed("The code is no longer valid")
    return _begun(asked, user)


def _begun(asked: Asked, user: FakeUser) -> dict[str, Any]:
    if user.is_disabled:
        raise AccountDisabled
    return _ok({**asked.state.begin(user), "user": _shown(user)})


def _shown(user: FakeUser) -> dict[str, Any]:
    names = {"firstName": user.first_name, "lastName": user.last_name}
    return {"id": user.id, "email": user.email, **names, "roles": user.roles, "clientId": user.client}


def _refresh(asked: Asked) -> dict[str, Any]:
    pair = asked.state.rotate(asked.text("refreshToken"))
    return {**_ok(pair), "token": pair["token"], "refreshToken": pair["refreshToken"]}


def _sign_out(asked: Asked) -> dict[str, Any]:
    asked.session().is_over = True
    return _ok({})


def _me(asked: Asked) -> dict[str, Any]:
    who = asked.member()
    client = {"id": 1, "identifier": who.client, "name": who.client}
    if isinstance(who, FakeService):
        shown = {"id": who.id, "name": who.name, "roles": who.roles, "clientId": who.client}
        held = [name for name in who.permissions if name in asked.scope(who)]
        return _ok({"service": shown, "client": client, "roles": who.roles, "permissions": held})
    data = {"user": _shown(who), "client": client, "roles": who.roles, "permissions": list(who.permissions)}
    return _ok({**data, "session": {"id": asked.session().id, "by": "token"}})


ROUTES: dict[tuple[str, str], Callable[[Asked], Any]] = {
    ("POST", f"{_AUTH}/sign-in"): _sign_in,
    ("POST", f"{_AUTH}/sign-in/continue"): _continue,
    ("POST", f"{_AUTH}/exchange"): _exchange,
    ("POST", f"{_AUTH}/refresh"): _refresh,
    ("POST", f"{_AUTH}/sign-out"): _sign_out,
    ("GET", f"{_AUTH}/me"): _me,
}
