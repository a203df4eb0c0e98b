"""A page with the unmodified oidc-client-ts, in Chromium, signs in, refreshes, loads user data, and signs out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.interop.apps.app_at_server import AUTHOR, register
from tests.interop.apps.entrance import Entrance
from tests.interop.providers import install
from tests.processes.node_client import seconds_until
from tests.support.server import DEMO_PASSWORD

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.needs("node", "npm"),
    pytest.mark.needs_chromium,
]

PACKAGE = {"dependencies": {"oidc-client-ts": "3.5.0"}}
_PAGE = """<!doctype html><title>Reports</title><p id="done"></p>
<script src="oidc-client-ts.min.js"></script>
<script>
const users = new oidc.UserManager(SETTINGS);
const done = (what) => { document.querySelector("#done").textContent = JSON.stringify(what); };
const work = (promise) => promise.then((user) => done(user ?? null), (error) => done({ error: String(error) }));
if (location.pathname === "/callback.html") work(users.signinRedirectCallback());
</script>"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    site = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://localhost:{site.server_port}"
    site.shutdown()
    site.server_close()


def test_it_signs_in_renews_and_signs_out(tmp_path: Path, server: Entrance, home: str) -> None:
    library = install.npm("oidc-client-ts", PACKAGE) / "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"
    (tmp_path / library.name).write_bytes(library.read_bytes())
    with Chromium(tmp_path / "profile", *ONE_BY_ONE) as browser:
        app = register(
            server, "browser", f"{home}/callback.html", postLogoutRedirectUris=[f"{home}/"], allowedOrigins=[home],
            scopes=["openid", "profile", "email", "offline_access"],
        )  # fmt: skip
        settings = {
            "authority": app.issuer, "client_id": app.id, "redirect_uri": f"{home}/callback.html",
            "post_logout_redirect_uri": f"{home}/", "scope": "openid profile email offline_access",
            "loadUserInfo": True,
        }  # fmt: skip
        for name in ("index.html", "callback.html"):
            (tmp_path / name).write_text(_PAGE.replace("SETTINGS", json.dumps(settings)))

        def result() -> dict[str, object]:
            browser.until("!!document.querySelector('#done')?.textContent")
            found: dict[str, object] = json.loads(browser.value("document.querySelector('#done').textContent"))
            return found

        def enter() -> None:
            browser.until("document.activeElement?.id === 'email'")  # the page has finished setting the focus
            browser.type("#email", AUTHOR)
            browser.type("#password", DEMO_PASSWORD)
            browser.press("main form .primary")
            browser.until("location.pathname === '/callback.html'")

        browser.open(f"{home}/")
        browser.until("typeof users === 'object'")
        browser.value("users.signinRedirect() && 1")
        enter()
        first = result()
        assert first["profile"]["email"] == AUTHOR, first  # type: ignore[index]
        browser.value("done('') || work(users.signinSilent()) && 1")
        browser.until("document.querySelector('#done').textContent.length > 9")
        renewed = result()
        assert renewed["access_token"] != first["access_token"], renewed
        assert renewed["refresh_token"] != first["refresh_token"]
        browser.value("users.signoutRedirect() && 1")
        browser.until(f"location.href === '{home}/'")
        browser.until("typeof users === 'object'")
        browser.value("users.signinRedirect() && 1")
        browser.until("document.querySelector('#email') !== null")  # asked to sign in again
        browser.open(f"{home}/")
        browser.until("typeof users === 'object'")
        briefly = json.dumps({**settings, "scope": "openid email"})
        browser.value(f"new oidc.UserManager({briefly}).signinRedirect() && 1")
        enter()
        token = result()["access_token"]
        asks = f"fetch('{app.issuer}/userinfo', {{headers: {{Authorization: 'Bearer {token}'}}}}).then((r) => r.status)"
        assert browser.value(asks) == 200
        assert browser.complaints == []
        browser.open(f"{server.base}/sign-out")
        browser.until("document.querySelector('main form .primary') !== null")
        browser.press("main form .primary")
        browser.shows("You're signed out")
        browser.open(f"{home}/")
        browser.until("typeof users === 'object'")
        assert seconds_until(lambda: bool(browser.value(asks) == 401)) < 5  # pages can't be notified
