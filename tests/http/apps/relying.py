"""An app that signs users in through a client's issuer, as an OpenID Connect library does, and its back channel."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_success
from tests.support.oauth_callers import basic, form
from tests.support.visitor import Page, Visitor

CALLBACK = "https://reports.example/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Relying:
    """``secret`` is empty for a public app."""

    app: App
    client: str
    id: str
    secret: str = ""
    callback: str = CALLBACK
    asks: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/o/{self.client}"

    @property
    def issuer(self) -> str:
        return self.app.public_url.rstrip("/") + self.path

    def request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of a valid request, with changes; None omits one."""
        right: dict[str, str | None] = {
            "client_id": self.id, "redirect_uri": self.callback, "response_type": "code", "scope": "openid",
            "state": "a state", "nonce": "a nonce", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            **self.asks,
        }  # fmt: skip
        return {name: value for name, value in {**right, **changes}.items() if value is not None}

    async def authorize(self, visitor: Visitor, **changes: str | None) -> Page:
        """Start a sign-in; returns the first response."""
        return await visitor.get(f"{self.path}/authorize?{urlencode(self.request(**changes))}")

    async def sign_in(self, visitor: Visitor, email: str, **changes: str | None) -> Page:
        """Sign in as a person does; returns the page with the response to the app."""
        page = await visitor.follow(await self.authorize(visitor, **changes))
        return await self.enter(visitor, page, email)

    async def enter(self, visitor: Visitor, page: Page, email: str) -> Page:
        """Enter the password on the sign-in page; the return takes a browser a moment."""
        typed = await visitor.submit(page, "/sign-in/password", email=email, password=PASSWORD)
        self.app.clock.ms += 1
        return await visitor.follow(typed)

    async def redeem(self, told: dict[str, str], **changes: str | None) -> Reply:
        """Exchange a response's code for tokens."""
        right: dict[str, str | None] = {
            "grant_type": "authorization_code", "code": told.get("code", ""), "redirect_uri": self.callback,
            "code_verifier": VERIFIER, **changes,
        }  # fmt: skip
        return await self.post("token", **right)

    async def post(self, endpoint: str, **fields: str | None) -> Reply:
        """Post a form with the app's own authentication."""
        sent = {name: value for name, value in fields.items() if value is not None}
        headers = basic(self.id, self.secret) if self.secret else None
        return await form(
            self.app, f"{self.path}/{endpoint}", sent if headers else {"client_id": self.id, **sent}, headers
        )

    async def tokens(self, visitor: Visitor, email: str = "", **changes: str | None) -> Any:
        """Get tokens from a sign-in; without an address, for the user who is already signed in."""
        page = await (self.sign_in(visitor, email, **changes) if email else self.authorize(visitor, **changes))
        reply = await self.redeem(told(page))
        assert reply.status == 200, reply.text
        return reply.json

    async def refresh(self, token: str, **fields: str) -> Reply:
        return await self.post("token", grant_type="refresh_token", refresh_token=token, **fields)

    async def userinfo(self, token: str) -> Reply:
        return await self.app.get(f"{self.path}/userinfo", token=token)

    async def claims(self, token: str) -> Any:
        """The claims of an ID token or logout token, after checking its signature."""
        keys = KeySet.import_key_set((await self.app.get(f"{self.path}/jwks")).json)
        return jwt.decode(token, keys, algorithms=["RS256", "ES256"]).claims


async def relying(app: App, client: str, kind: str = "web", callback: str = CALLBACK, **members: Any) -> Relying:
    """A new app of a client, with a secret if it can have one, and without keys."""
    body = {"name": f"App {kind}", "kind": kind, "redirectUris": [callback], **members}
    base = f"/api/admin/clients/{client}/apps"
    made = check_success(await app.post(base, body, token=await app.admin_token()), 201)
    secret = ""
    if kind == "web" and "jwks" not in members:
        shown = await app.post(f"{base}/{made['id']}/secrets", token=await app.admin_token())
        secret = check_success(shown, 201)["secret"]
    return Relying(app, client, made["id"], secret, callback)


def told(page: Page) -> dict[str, str]:
    """The response parameters for the app, from a redirect, or from a page that redirects or posts automatically."""
    if page.status == 302:
        address = page.location
    elif fields := [form.fields for form in page.forms() if form.action.startswith("http")]:
        return fields[0]
    else:
        [refresh] = page.tree.xpath("//main//a[contains(@class, 'primary')]/@href")
        address = str(refresh)
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query, keep_blank_values=True).items()}


def parts(token: str) -> tuple[Any, Any]:
    """Header and claims of a token, unverified."""
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return head, claims


@dataclass
class BackChannel:
    """``heard`` contains the logout tokens in order; ``answers`` are the next statuses, then 200."""

    uri: str
    heard: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@contextlib.contextmanager
def back_channel() -> Iterator[BackChannel]:
    """An app's endpoint for logout tokens, on a separate socket."""
    found = BackChannel("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert re.fullmatch(r"logout_token=[\w.-]+", body), body
            found.heard.append(body.partition("=")[2])
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.uri = f"http://127.0.0.1:{server.server_port}/back"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
