"""Users, machines, sessions, and tokens of the fake server, with the server's rotation rule."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from manifest_auth_client.errors import InvalidToken, TokenExpired
from manifest_auth_client.testing._roles import PERMISSIONS

_GRACE_S = 10


@dataclass
class FakeUser:
    """A user of the fake server. Tests can change its members at any time.

    ``otp`` is the code of a second factor, which is then required. ``is_disabled`` rejects sign-ins and invalidates
    sessions. ``changed_at`` is the claim ``updated_at``, in seconds since 1970.

    >>> fake.add_user("grace@acme.example", "kestrel-harbor-22", roles=["Operator"]).roles
    ['Operator']
    """

    id: int
    email: str
    password: str = field(repr=False)
    roles: list[str]
    client: str
    first_name: str = ""
    last_name: str = ""
    otp: str | None = None
    is_disabled: bool = False
    changed_at: int = 0

    @property
    def permissions(self) -> tuple[str, ...]:
        """The permissions of the roles, in the server's order."""
        return permissions_of(self.roles)


@dataclass
class FakeService:
    """A service account of the fake server: ``client_id`` and ``secret`` for ``/oauth2``, and ``key`` as an API key.

    ``scopes`` limits the permissions of the roles. ``jwks`` contains the public keys for ``private_key_jwt``.

    >>> fake.add_service("importer", roles=["Operator"], scopes=["jobs:read"]).permissions
    ('jobs:read',)
    """

    id: int
    name: str
    roles: list[str]
    scopes: list[str] | None
    client: str
    secret: str = field(repr=False)
    key: str = field(repr=False)
    may_introspect: bool = False
    is_disabled: bool = False
    jwks: dict[str, Any] | None = None

    @property
    def client_id(self) -> str:
        """The service account's client ID for ``/oauth2``."""
        return f"svc_{self.id}"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The account's permissions."""
        return tuple(name for name in permissions_of(self.roles) if self.scopes is None or name in self.scopes)


def permissions_of(roles: list[str]) -> tuple[str, ...]:
    """The permissions of roles, in the server's order."""
    return tuple(name for name in PERMISSIONS["Admin"] if any(name in PERMISSIONS[role] for role in roles))


@dataclass
class Session:
    """A session. ``current`` and ``previous`` are IDs of refresh tokens. ``changed_at`` is when the current one
    replaced the previous one."""

    id: str
    user: FakeUser
    current: str
    previous: str = ""
    changed_at: float = float("-inf")
    is_over: bool = False


class State:
    """The state of the fake server. ``now`` is this machine's clock plus the time that tests moved it by."""

    def __init__(self, base_url: str, access_seconds: float, refresh_seconds: float) -> None:
        self.base_url, self.lives = base_url, (access_seconds, refresh_seconds)
        self.users: list[FakeUser] = []
        self.services: list[FakeService] = []
        self.sessions: dict[str, Session] = {}
        self.challenges: dict[str, FakeUser] = {}
        self.codes: dict[str, FakeUser] = {}
        self.apps: list[Any] = []  # the lists below hold their codes and sessions, see _apps.py
        self.app_codes: dict[str, Any] = {}
        self.granted: dict[str, Any] = {}
        self.redeemed: dict[str, str] = {}  # session ID by code
        self.at_browser: FakeUser | None = None
        self.used: set[str] = set()
        self.refreshes = self.reuses = 0
        self.moved = 0.0
        self.lock = threading.RLock()
        self._key = secrets.token_bytes(32)

    def number(self) -> int:
        """The ID of the next user or machine."""
        return len(self.users) + len(self.services) + 1

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.moved

    def sign(self, kind: str, life: float, **claims: Any) -> str:
        """Signs claims as a JWT (HS256), like a server without a key pair for users' tokens."""
        full = {"iss": self.base_url, "exp": self.now + life, "jti": secrets.token_urlsafe(9), **claims}
        parts = [_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": kind}, full)]
        return ".".join([*parts, self._signature(".".join(parts))])

    def read(self, token: str, *kinds: str) -> dict[str, Any]:
        """Returns the claims of a token of one of these kinds. Raises InvalidToken and TokenExpired."""
        signed, _, signature = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(signature, self._signature(signed)):
            raise InvalidToken
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split("."))
        if header["typ"] not in kinds:
            raise InvalidToken
        if claims["exp"] <= self.now:
            raise TokenExpired
        found: dict[str, Any] = claims
        return found

    def _signature(self, signed: str) -> str:
        return _encode(hmac.digest(self._key, signed.encode(), "sha256"))

    def begin(self, user: FakeUser) -> dict[str, Any]:
        """Opens a session, and returns its tokens."""
        session = Session(secrets.token_urlsafe(9), user, current=secrets.token_urlsafe(9))
        self.sessions[session.id] = session
        return self._pair(session, session.current, "")

    def rotate(self, token: str) -> dict[str, Any]:
        """Exchanges a refresh token for new tokens. It becomes invalid ten seconds after one of its successors is first
        used."""
        shown = self.read(token, "refresh")
        session = self.alive(shown["sid"])
        own, parent = shown["own"], shown["parent"]
        if parent == session.current:
            session.previous, session.current, session.changed_at = parent, own, self.now
        elif own != session.current:
            is_late = self.now - session.changed_at > _GRACE_S
            if is_late or not session.previous or session.previous not in (own, parent):
                session.is_over, self.reuses = True, self.reuses + 1
                raise InvalidToken
        self.refreshes += 1
        return self._pair(session, secrets.token_urlsafe(9), session.current)

    def session_of(self, token: str) -> str:
        """Returns the ID of a refresh token's session. Raises InvalidToken and TokenExpired."""
        return str(self.read(token, "refresh")["sid"])

    def alive(self, session_id: str) -> Session:
        """Returns the session if it is open. Raises InvalidToken."""
        session = self.sessions.get(session_id)
        if session is None or session.is_over or session.user.is_disabled:
            raise InvalidToken
        return session

    def _pair(self, session: Session, own: str, parent: str) -> dict[str, Any]:
        access, refresh = self.lives
        user = session.user
        claims = {"aud": "manifest-api", "sub": str(user.id), "id": user.id, "client": user.client}
        return {
            "token": self.sign("JWT", access, sid=session.id, **claims),
            "refreshToken": self.sign("refresh", refresh, sid=session.id, own=own, parent=parent),
            "expiresIn": int(access),
        }


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
