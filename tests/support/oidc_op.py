"""An OpenID provider on a real socket of the loopback address, as correct or as hostile as a test needs.

It runs in its own threads, so that any test can use it, even one with a waiting event loop or with a server in another
process. Its settings are plain attributes, read again for each request::

    with provider(app.clock) as op:
        op.user["email"] = "ada@acme.example"
        op.claims["groups"] = ["staff"]           # replaces claims of ID tokens; None takes one away
        address = op.visit(authorization_address) # what a browser would be sent to: redirect_uri?code=…&state=…&iss=…
        assert op.count("token") == 1
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from manifest_auth.runtime.clock import Clock
from tests.support.oidc_socket import Answer, Asked, Gates, Socket, with_changes

WELL_KNOWN = "/.well-known/openid-configuration"
_MAKING = threading.Lock()  # requests come in many threads, which must share one key
_MOST = 24  # RSA keys; after this many, the first one is used again
_numbers = itertools.count()
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def _rsa_key(size: int, number: int) -> rsa.RSAPrivateKey:
    """One of a fixed number of keys, since creating one takes a tenth of a second."""
    return rsa.generate_private_key(65537, size)


def new_key(alg: str, kid: str | None = None, size: int = 2048, curve: str = "") -> RSAKey | ECKey | OKPKey:
    """A key pair for an algorithm. ``kid`` None is random, and empty is none; ``curve`` replaces the usual one."""
    named = {"kid": secrets.token_hex(4) if kid is None else kid} if kid != "" else {}
    marks: Any = {**named, "alg": alg, "use": "sig"}
    if alg[:2] in ("RS", "PS"):
        key = _rsa_key(size, next(_numbers) % _MOST)
        return RSAKey(key, key, marks)
    if alg[:2] == "ES":
        return ECKey.generate_key(curve or _CURVES[alg], marks)
    return OKPKey.generate_key(curve or _CURVES.get(alg, alg), marks)  # type: ignore[arg-type]  # a curve's name


def signed(header: dict[str, Any] | str, payload: dict[str, Any] | str, key: Any, alg: str) -> str:
    """A compact JWS over exactly this header and payload, even if they are invalid."""
    parts = (part if isinstance(part, str) else json.dumps(part) for part in (header, payload))
    text = ".".join(b64(part.encode()) for part in parts)
    return f"{text}.{b64(JWSRegistry.algorithms[alg].sign(text.encode(), key))}"


def half_hash(alg: str, text: str) -> str:
    """``at_hash`` of an access token (OpenID Connect Core, section 3.1.3.6)."""
    if alg == "Ed448":
        return b64(hashlib.shake_256(text.encode()).digest(114)[:57])
    digest = hashlib.new("sha512" if alg in ("EdDSA", "Ed25519") else f"sha{alg[2:]}", text.encode()).digest()
    return b64(digest[: len(digest) // 2])


@dataclass
class Grant:
    """The data behind an authorization code."""

    redirect_uri: str
    challenge: str
    nonce: str | None
    scope: str = "openid"


@dataclass
class Op:
    """The provider. All attributes can be changed at any time."""

    base: str
    clock: Clock
    issuer: str  # can end in "/" or have a path; discovery is served below it
    client_id: str = "manifest"
    client_secret: str | None = "s%cret/+ of öne"  # characters that form-encoding changes; None for a public client
    methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")  # how a client can authenticate
    alg: str = "RS256"
    user: dict[str, Any] = field(
        default_factory=lambda: {"sub": "subject-1", "email": "ada@acme.example", "email_verified": True}
    )
    people: dict[str, dict[str, Any]] = field(default_factory=dict)  # by code: who signed in with it, if not ``user``
    only_in_userinfo: set[str] = field(default_factory=set)  # claims of the user that ID tokens leave out
    userinfo: dict[str, Any] | None = None  # the userinfo response, if not the user's claims
    without_userinfo: bool = False
    claims: dict[str, Any] = field(default_factory=dict)  # replaces claims of the ID token; None omits one
    header: dict[str, Any] = field(default_factory=dict)  # the same for its header
    audience: Any = None  # if not the client ID
    id_token: str | None = None  # exactly this text instead of a generated token
    lifetime: int = 300
    without_iss: bool = False  # no ``iss`` in redirects, and not announced (RFC 9207)
    redirect: dict[str, Any] = field(default_factory=dict)  # replaces parameters of the redirect; None omits one
    registered: set[str] | None = None  # allowed redirect URIs; None allows any
    code_first: bool = False  # the token endpoint checks the code before the client
    error: str | None = None  # the authorization endpoint redirects with this error
    token_error: str | None = None  # the token endpoint returns this error, with status 400 or ``token_status``
    token_status: int = 200
    token: dict[str, Any] = field(
        default_factory=dict
    )  # replaces members of the token endpoint's response; None omits one
    announced: dict[str, Any] = field(default_factory=dict)  # replaces members of discovery; None omits one
    published: Any = None  # the whole key document, if not the public keys of ``keys``
    delay: dict[str, float] = field(default_factory=dict)  # seconds, by endpoint: discovery, keys, token, userinfo …
    gates: Gates = field(default_factory=Gates)
    answers: dict[str, Answer] = field(default_factory=dict)  # exact responses, by endpoint
    keys: list[Any] = field(default_factory=list)  # the last one with the right algorithm signs
    asked: list[Asked] = field(default_factory=list)  # all requests so far
    grants: dict[str, Grant] = field(default_factory=dict)  # codes that haven't been redeemed yet
    access_tokens: set[str] = field(default_factory=set)

    def count(self, endpoint: str) -> int:
        """The number of requests to an endpoint."""
        return sum(asked.endpoint == endpoint for asked in self.asked)

    def rotate(self, keep: bool = False) -> None:
        """Create a new signing key. The old keys leave the key document unless ``keep`` is set."""
        self.keys = [*(self.keys if keep else ()), new_key(self.alg)]

    @property
    def key(self) -> Any:
        """The current signing key, created if there is none for the algorithm."""
        with _MAKING:
            fitting = [key for key in self.keys if key.alg in (None, self.alg)]
            if not fitting:
                self.rotate(keep=True)
            return fitting[-1] if fitting else self.keys[-1]

    def visit(self, address: str) -> str:
        """The URL to which the authorization endpoint redirects a browser that opens this address."""
        answer = self._authorize(dict(parse_qsl(urlsplit(address).query)))
        return answer.headers["Location"]

    def code(self, redirect_uri: str, challenge: str, nonce: str | None) -> str:
        """A code, as if a browser had signed in here."""
        code = secrets.token_urlsafe(12)
        self.grants[code] = Grant(redirect_uri, challenge, nonce)
        return code

    def mint(self, nonce: str | None, access_token: str | None = None, user: dict[str, Any] | None = None) -> str:
        """An ID token based on the attributes."""
        now = self.clock.now_ms() // 1000
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.client_id if self.audience is None else self.audience,
            "iat": now,
            "exp": now + self.lifetime,
            "auth_time": now - 5,
            **{name: value for name, value in (user or self.user).items() if name not in self.only_in_userinfo},
            "nonce": nonce,
            "at_hash": access_token and half_hash(self._hash, access_token),
        }
        header = {"alg": self.alg, "kid": self.key.kid, "typ": "JWT"}
        return signed(with_changes(header, self.header), with_changes(claims, self.claims), self.key, self.alg)

    @property
    def _hash(self) -> str:
        return "Ed448" if getattr(self.key, "curve_name", "") == "Ed448" else self.alg

    def answer(self, asked: Asked) -> Answer:
        """Respond to a request; called by the socket, in its own thread."""
        known = {
            self._discovery_path: "discovery",
            "/authorize": "authorize",
            "/token": "token",
            "/keys": "keys",
            "/userinfo": "userinfo",
        }
        asked.endpoint = known.get(asked.path, "unknown")
        self.asked.append(asked)
        self.gates.wait(asked.endpoint)
        time.sleep(self.delay.get(asked.endpoint, 0))
        if asked.endpoint in self.answers:
            return self.answers[asked.endpoint]
        if asked.endpoint == "unknown":
            return Answer.json({"error": "not_found"}, 404)
        found: Answer = getattr(self, f"_{asked.endpoint}")(asked if asked.endpoint != "authorize" else asked.query)
        return found

    @property
    def _discovery_path(self) -> str:
        return urlsplit(self.issuer).path.rstrip("/") + WELL_KNOWN

    def _discovery(self, asked: Asked) -> Answer:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "jwks_uri": f"{self.base}/keys",
            "userinfo_endpoint": None if self.without_userinfo else f"{self.base}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", self.alg, "none", "HS256"],
            "token_endpoint_auth_methods_supported": list(self.methods),
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": None if self.without_iss else True,
        }
        return Answer.json(with_changes(document, self.announced))

    def _keys(self, asked: Asked) -> Answer:
        _ = self.key
        own = {"keys": [key.as_dict(private=False) for key in self.keys]}
        return Answer.json(own if self.published is None else self.published)

    def _authorize(self, query: dict[str, str]) -> Answer:
        if self.registered is not None and query.get("redirect_uri") not in self.registered:
            return Answer(400, {"Content-Type": "text/html"}, b"<h1>redirect_uri is not registered</h1>")
        usual = {"state": query.get("state"), "iss": None if self.without_iss else self.issuer}
        wrong = query.get("response_type") != "code" or query.get("code_challenge_method") != "S256"
        if wrong or "openid" not in query.get("scope", "").split() or query.get("client_id") != self.client_id:
            usual["error"] = "invalid_request"
        elif query.get("prompt") == "none":
            usual["error"] = "login_required"
        elif self.error:
            usual |= {"error": self.error, "error_description": "<script>the provider's own words</script>"}
        else:
            code = self.code(query["redirect_uri"], query["code_challenge"], query.get("nonce"))
            self.grants[code].scope = query["scope"]
            usual["code"] = code
        address = f"{query['redirect_uri']}?{urlencode(with_changes(usual, self.redirect))}"
        return Answer(302, {"Location": address})

    def _token(self, asked: Asked) -> Answer:
        if self.code_first and asked.form.get("code", "") not in self.grants:
            return Answer.json({"error": "invalid_grant"}, 400)
        if not self._is_our_client(asked):
            return Answer.json({"error": "invalid_client"}, 401)
        if self.token_error or self.token_status != 200:
            return Answer.json({"error": self.token_error or "server_error"}, max(self.token_status, 400))
        code = asked.form.get("code", "")
        grant, user = self.grants.pop(code, None), self.people.get(code)
        proof = b64(hashlib.sha256(asked.form.get("code_verifier", "").encode()).digest())
        if grant is None or grant.challenge != proof or grant.redirect_uri != asked.form.get("redirect_uri"):
            return Answer.json({"error": "invalid_grant", "error_description": "the provider's own words"}, 400)
        access = secrets.token_urlsafe(24)
        self.access_tokens.add(access)
        usual = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.id_token or self.mint(grant.nonce, access, user),
        }
        return Answer.json(with_changes(usual, self.token))

    def _is_our_client(self, asked: Asked) -> bool:
        scheme, _, coded = asked.headers.get("authorization", "").partition(" ")
        given: tuple[str | None, str | None] = (asked.form.get("client_id"), asked.form.get("client_secret"))
        method = "client_secret_post" if given[1] is not None else "none"
        if scheme == "Basic":
            if "client_secret" in asked.form:  # RFC 6749, section 2.3: one method at a time
                return False
            name, _, secret = base64.b64decode(coded).decode().partition(":")
            given, method = (unquote_plus(name), unquote_plus(secret)), "client_secret_basic"
        is_allowed = method in self.methods or (method == "none" and self.client_secret is None)
        return is_allowed and given == (self.client_id, self.client_secret)

    def _userinfo(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access_tokens:
            return Answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return Answer.json(self.user if self.userinfo is None else self.userinfo)


@contextlib.contextmanager
def provider(clock: Clock | None = None, **attributes: Any) -> Iterator[Op]:
    """Run a provider on a free port until the block ends. It uses the real clock unless one is given."""
    with Socket() as socket:
        op = Op(socket.base, clock or Clock(), socket.base)
        for name, value in attributes.items():
            assert hasattr(op, name), name
            setattr(op, name, value)
        socket.answer = op.answer
        threading.Thread(target=socket.serve, daemon=True).start()
        yield op
