"""Stand-in for Microsoft's login service, for every directory and ``common``.

It has discovery, key, authorize, and token endpoints.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.interop.microsoft import error_bodies, tokens
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OUR_URI, OURS, Directory
from tests.interop.microsoft.tokens import ISSUER, SHARED, STS
from tests.support.oidc_socket import Answer, Asked

if TYPE_CHECKING:
    from tests.interop.microsoft.stand_in import Standin

_PATH = re.compile(
    r"/(?P<name>[^/]+)(?P<rest>/(?:oauth2/v2\.0/(?:authorize|token)|discovery(?:/v2\.0)?/keys"
    r"|(?:v2\.0/)?\.well-known/openid-configuration))\Z"
)
_TEMPLATES = ("common", "organizations")
_ON_BEHALF = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Code:
    """The data behind an authorization code."""

    directory: str
    user: str
    app: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    scopes: list[str]


@dataclass
class Registration:
    """An app registration."""

    secret: str | None
    redirect_uris: list[str] = field(default_factory=list)
    consented: bool = True


def endpoint_of(path: str) -> str:
    """``discovery``, ``keys``, ``authorize``, or ``token``; empty for everything else."""
    found = _PATH.match(path)
    rest = found["rest"] if found else ""
    return "discovery" if rest.endswith("configuration") else rest.rpartition("/")[2]


class Login:
    """Responds for its stand-in, and reads the stand-in's attributes again for each request."""

    def __init__(self, owner: Standin) -> None:
        self._owner = owner
        self.codes: dict[str, Code] = {}
        self.redeemed: set[str] = set()
        self.registrations: dict[str, Registration] = {OURS: Registration(OUR_SECRET)}

    def answer(self, asked: Asked) -> Answer:
        """Respond to a discovery, keys, authorize, or token request."""
        found = _PATH.match(asked.path)
        assert found is not None
        name = found["name"]
        directory = self._owner.find(name)
        if directory is None and name not in _TEMPLATES:
            return error_bodies.aadsts(90002, self._now)
        if asked.endpoint == "discovery":
            return self._discovery(name, directory, v2="/v2.0/" in found["rest"])
        if asked.endpoint == "keys":
            return Answer.json({"keys": self.keys(directory)})
        if asked.endpoint == "authorize":
            return self.authorize(directory, asked.query)
        return self._token(directory, asked)

    @property
    def _now(self) -> int:
        return self._owner.clock.now_ms()

    def _discovery(self, name: str, directory: Directory | None, *, v2: bool) -> Answer:
        """Discovery as recorded: without PKCE, without ``iss`` in redirects, and with the template if no directory is
        named."""
        owner, where = self._owner, "{tenantid}" if directory is None else directory.id
        base, version = f"{owner.base}/{name}", "/v2.0" if v2 else ""
        document = {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery{version}/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{ISSUER}/{where}/v2.0" if v2 else f"{STS}/{where}/",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"{owner.base}/oidc/userinfo",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "ver",
                                 "at_hash", "c_hash", "email"],
            "tenant_region_scope": None if directory is None else "EU",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
            "rbac_url": "https://pas.windows.net",
        }  # fmt: skip
        return Answer.json({**document, **owner.announced})

    def keys(self, directory: Directory | None) -> list[dict[str, Any]]:
        """Keys of several directories in one document, in any order; each key names the directory that it signs for."""
        template = f"{ISSUER}/{{tenantid}}/v2.0"
        shared = tokens.published(SHARED, template)
        own = [tokens.published(one.id, f"{ISSUER}/{one.id}/v2.0") for one in self._owner.directories]
        return [shared, *sorted(own, key=lambda one: directory is not None and directory.id in one["issuer"])]

    def authorize(self, directory: Directory | None, query: dict[str, str]) -> Answer:
        """Sign :attr:`Standin.user` in without a page. The redirect contains ``session_state`` instead of ``iss``."""
        app = query.get("client_id", "")
        registered = self.registrations.get(app)
        if registered is None:
            return error_bodies.sign_in_page(700016)
        address = query.get("redirect_uri", "")
        if registered.redirect_uris and address not in registered.redirect_uris:
            return error_bodies.sign_in_page(500112)
        owner = self._owner
        home = directory or owner.home_of(query.get("login_hint", ""))
        told: dict[str, Any] = {"state": query.get("state"), "session_state": error_bodies.guid()}
        scopes = query.get("scope", "").split()
        if query.get("response_type") != "code" or "openid" not in scopes:
            told |= {"error": "invalid_request", "error_description": "AADSTS900144: the request body is incomplete."}
        elif owner.refuses is not None:
            told |= {"error": owner.refuses, "error_subcode": "cancel", "session_state": None,
                     "error_description": "AADSTS65004: User declined to consent to access the app."}  # fmt: skip
        else:
            code = f"0.{secrets.token_urlsafe(60)}"
            self.codes[code] = Code(
                home.id, owner.user, app, address, query.get("code_challenge", ""), query.get("nonce"), scopes
            )
            told["code"] = code
        told |= owner.redirect
        given = urlencode({name: text for name, text in told.items() if text is not None})
        return Answer(302, {"Location": f"{address}?{given}"})

    def _token(self, directory: Directory | None, asked: Asked) -> Answer:
        form = asked.form
        app, secret = form.get("client_id", ""), form.get("client_secret")
        scheme, _, pair = asked.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            app, _, secret = base64.b64decode(pair).decode().partition(":")
        registered = self.registrations.get(app)
        if registered is None:
            return self._refuse(700016)
        if registered.secret is not None and secret is None:
            return self._refuse(7000218)
        if registered.secret != secret:
            return self._refuse(7000215)
        if form.get("grant_type") == "authorization_code":
            return self._redeem(directory, app, form)
        if form.get("grant_type") == _ON_BEHALF:
            return self._on_behalf(directory, app, registered, form)
        return self._refuse(70003)

    def _redeem(self, directory: Directory | None, app: str, form: dict[str, str]) -> Answer:
        text = form.get("code", "")
        if text in self.redeemed:
            return self._refuse(54005)
        code = self.codes.pop(text, None)
        if code is None or code.app != app or (directory is not None and directory.id != code.directory):
            return self._refuse(9002313 if code is None else 70008)
        self.redeemed.add(text)
        if form.get("redirect_uri") != code.redirect_uri:
            return self._refuse(500112)
        proof = tokens.b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if code.challenge and proof != code.challenge:
            return self._refuse(501481)
        owner = self._owner
        resource = next((scope for scope in code.scopes if "://" in scope), "")
        kind = "dataverse" if resource.startswith(ORGANIZATION) else "api" if app in resource else "graph"
        claims = {"nonce": code.nonce, "sub": owner.named(code.directory).subject(code.user, app), **owner.id_claims}
        body = {
            "token_type": "Bearer",
            "scope": " ".join(scope for scope in code.scopes if scope != "offline_access"),
            "expires_in": 4500,
            "ext_expires_in": 4500,
            "access_token": owner.mint(kind, code.directory, code.user, app=app),
            "id_token": owner.mint("id", code.directory, code.user, app=app, claims=claims, key_of=owner.id_key),
        }
        if "offline_access" in code.scopes:
            body["refresh_token"] = f"0.{secrets.token_urlsafe(90)}"
        return Answer.json({**body, **owner.token})

    def _on_behalf(
        self, directory: Directory | None, app: str, registered: Registration, form: dict[str, str]
    ) -> Answer:
        """Exchange a token for an app of ours for one for Graph, for the same person."""
        assertion = form.get("assertion", "")
        try:
            _, claims = tokens.parts(assertion)
        except ValueError:
            return self._refuse(50027)
        owner = self._owner
        issued_by = owner.find(str(claims.get("tid")))
        if issued_by is None or issued_by is not directory or not owner.is_genuine(assertion):
            return self._refuse(50013)
        if claims.get("aud") not in (app, f"api://{app}", OUR_URI):
            return self._refuse(500131)
        if not self._now / 1000 < claims["exp"]:
            return self._refuse(500133)
        user = next((name for name, one in issued_by.people.items() if one.oid == claims.get("oid")), None)
        if not registered.consented or user is None or form.get("requested_token_use") != "on_behalf_of":
            return self._refuse(65001)
        minted = owner.mint("graph", issued_by.id, user, app=app)
        body = {"token_type": "Bearer", "scope": "User.Read", "expires_in": 4200, "access_token": minted}
        return Answer.json({**body, **owner.token})

    def _refuse(self, number: int) -> Answer:
        return error_bodies.aadsts(number, self._now)
