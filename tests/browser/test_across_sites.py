"""A real browser signs in through another site's providers over HTTPS, where only ``SameSite=None`` cookies return."""

from __future__ import annotations

import base64
import html
import http.server
import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from zlib import decompress

import pytest
from lxml import etree

from manifest_auth.runtime.clock import Clock
from tests.browser import tls
from tests.browser.chromium import page_after
from tests.support.oidc_op import provider
from tests.support.saml_idp import Idp
from tests.support.server import DEMO_PASSWORD, Server, served

pytestmark = pytest.mark.endurance


class Site(NamedTuple):
    """Our server behind TLS, and another site's provider. ``op`` is the URL of its authorization endpoint."""

    server: Server
    public: str
    idp: Idp
    sso: str
    login: str
    admin: str


class _Pages(http.server.BaseHTTPRequestHandler):
    """The provider's pages. ``/sso`` accepts a request by both bindings. By POST, it redirects to a sign-in page of
    another origin, as providers do, and the page posts the response automatically."""

    idp: Idp
    public: str
    login: str
    op: Any
    asked: dict[str, dict[str, str]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/authorize":
            self._send_on(self.op.visit(self.path))
        elif url.path == "/sso":
            self._respond(decompress(base64.b64decode(query["SAMLRequest"]), -15), query["RelayState"])
        else:
            fields = self.asked[query["number"]]
            self._respond(base64.b64decode(fields["SAMLRequest"]), fields["RelayState"])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        number = str(len(self.asked))
        self.asked[number] = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self._send_on(f"{self.login}/login?number={number}")

    def _send_on(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _respond(self, request: bytes, relay_state: str) -> None:
        acs = f"{self.public}/api/client/auth/okta-saml"
        response = self.idp.response(
            f"{acs}/metadata?client=acme",
            acs,
            name_id="browser@idp.example",
            in_response_to=etree.fromstring(request).get("ID"),
            now_ms=Clock().now_ms(),
        )
        fields = {"SAMLResponse": response, "RelayState": relay_state}
        inputs = "".join(f'<input type="hidden" name="{n}" value="{html.escape(v)}">' for n, v in fields.items())
        page = f'<form method="post" action="{acs}">{inputs}</form><script>document.forms[0].submit()</script>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        pass


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return tls.context(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, secure: ssl.SSLContext) -> Iterator[Site]:
    now = Clock().now_ms()
    ours, theirs = _listener(), _listener()
    public = f"https://auth.example:{ours.getsockname()[1]}"
    sso, login = (f"https://{name}.example:{theirs.getsockname()[1]}" for name in ("idp", "login"))
    idp = Idp(issuer="https://idp.example/entity", not_before_ms=now - 10**9, not_after_ms=now + 10**9)
    with provider() as op:
        members = {"idp": idp, "public": public, "login": login, "op": op, "asked": {}}
        pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Pages", (_Pages,), members))
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        op.announced = {"authorization_endpoint": f"{sso}/authorize"}
        folder = tmp_path_factory.mktemp("server")
        given = {"MANIFEST_PUBLIC_URL": public, "MANIFEST_OUTGOING_PRIVATE": "on"}
        with served(folder, demo=False, **given) as server:  # type: ignore[arg-type]
            _make(folder, "admin", "create", "root", "--password-stdin")
            _make(folder, "client", "create", "acme")
            with tls.in_front(secure, ours, server.port), tls.in_front(secure, theirs, pages.server_port):
                found = Site(server, public, idp, sso, login, "")
                token = _post(found, "/api/admin/auth/sign-in", {"username": "root", "password": DEMO_PASSWORD})
                found = found._replace(admin=token["token"])
                oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
                _add(found, "op", oidc=oidc)
                saml = {"entityId": idp.issuer, "certificates": [idp.certificate_pem]}
                _add(found, "idp", saml={**saml, "redirectUrl": f"{sso}/sso", "postUrl": f"{sso}/sso"})
                yield found
        pages.shutdown()


def _make(folder: Path, *arguments: str) -> None:
    import subprocess
    import sys

    from tests.support.server import environment

    subprocess.run(
        [sys.executable, "-m", "manifest_auth", *arguments],
        env=environment(folder),
        input=DEMO_PASSWORD + "\n",
        text=True,
        check=True,
        capture_output=True,
    )


def _post(site: Site, path: str, body: Any, method: str = "POST") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {site.admin}"}
    if not site.admin:
        del headers["Authorization"]
    request = urllib.request.Request(f"{site.server.base}{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]


def _add(site: Site, name: str, **settings: Any) -> None:
    body = {"name": name, "createUsers": True, "defaultRoles": ["Viewer"], **settings}
    _post(site, "/api/admin/clients/acme/providers", body)


def _start(site: Site, path: str, name: str) -> str:
    return f"{site.public}/api/client/auth/{path}?{urlencode({'client': 'acme', 'provider': name})}"


def test_openid_connect_across_sites(site: Site, tmp_path: Path) -> None:
    shown = page_after(_start(site, "oidc", "op"), tmp_path)
    assert "ada@acme.example" in shown, shown


def test_saml_by_the_redirect_binding_across_sites(site: Site, tmp_path: Path) -> None:
    shown = page_after(_start(site, "okta-saml", "idp"), tmp_path)
    assert "browser@idp.example" in shown, shown


def test_saml_by_our_page_that_posts_to_a_provider_which_redirects(site: Site, tmp_path: Path) -> None:
    _post(site, "/api/admin/clients/acme/providers/idp", {"saml": {"binding": "post"}}, "PATCH")
    try:
        shown = page_after(_start(site, "okta-saml", "idp"), tmp_path)
        assert "browser@idp.example" in shown, shown
    finally:
        _post(site, "/api/admin/clients/acme/providers/idp", {"saml": {"binding": "redirect"}}, "PATCH")
