"""Pages that load the installed JavaScript client in Chromium, on a different origin than the server."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.browser.driver import Chromium
from tests.processes.node_client import Node
from tests.support.server import DEMO_PASSWORD, served

CLIENT, EMAIL = "pages", "one@pages.example"
_PAGE = """<!doctype html><title>A page</title><p>ready<script type="module">
import * as sdk from "/index.js";
window.sdk = sdk;
window.calls = {};
window.ended = [];
const counting = async (url, init) => {
  const { pathname } = new URL(url.url ?? url);
  calls[pathname] = (calls[pathname] ?? 0) + 1;
  return fetch(url, init);
};
window.made = (given) => window.client = sdk.createClient({
  client: "pages", fetch: counting, onSessionOver: (error) => ended.push(error?.code ?? null), ...given,
});
</script>"""


class _Files(http.server.SimpleHTTPRequestHandler):
    """The client's modules; ``/to?ADDRESS`` redirects, ``/echo`` returns the token, and any other path is a page."""

    extensions_map = {".js": "text/javascript"}  # noqa: RUF012

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.endswith(".js"):
            super().do_GET()
        elif path == "/to":
            self._say(307, "", Location=query)
        elif path == "/echo":
            self._say(200, str(self.headers.get("Authorization")))
        else:
            self._say(200, _PAGE)

    def do_OPTIONS(self) -> None:
        self._say(204, "")

    def _say(self, status: int, text: str, **headers: str) -> None:
        """Send a response that lets every origin send anything."""
        self.send_response(status)
        allowed = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "authorization"}
        for name, value in {"Content-Type": "text/html", **allowed, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


class Place(NamedTuple):
    """The server, and two origins of pages: on another site, and on the same site."""

    node: Node
    cross_site: str
    same_site: str

    def open(self, browser: Chromium, origin: str, mode: str, **options: Any) -> None:
        """Open a page with a client in the current tab."""
        browser.open(origin + "/page")
        browser.until(f"location.origin === {json.dumps(origin)} && Boolean(window.made)")
        given = {"baseUrl": self.node.server.base, "mode": mode, **options}
        browser.value(f"void made({json.dumps(given)})")

    def sign_in(self, browser: Chromium) -> Any:
        return browser.value(f"client.signIn({json.dumps({'email': EMAIL, 'password': DEMO_PASSWORD})})")


@contextlib.contextmanager
def place(folder: Path, prefix: Path, **settings: str) -> Iterator[Place]:
    """A server with a client that lists both origins, and one Operator."""
    modules = prefix / "node_modules/manifest-auth-client/src"
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(modules)))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    given: Any = {"MANIFEST_RATE_LIMITS": "off", **settings}
    with served(folder, **given) as server:
        node = Node(server)
        made = Place(node, f"http://localhost:{pages.server_port}", f"http://127.0.0.1:{pages.server_port}")
        body = {"identifier": CLIENT, "name": CLIENT, "settings": {"allowedOrigins": [*made[1:]]}}
        node.admin("POST", "/clients", body)
        node.admin(
            "POST", f"/clients/{CLIENT}/users", {"email": EMAIL, "roles": ["Operator"], "password": DEMO_PASSWORD}
        )
        yield made
    pages.shutdown()
