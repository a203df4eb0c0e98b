"""Unmodified libraries of apps: they sign users in at a client's issuer, refresh, load user data, and sign out.

The programs are printed on the page *Connect applications*. They run against one node with SQLite, and against two
alternating nodes with PostgreSQL, so that one completes what the other started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.architecture import docs_pages
from tests.interop.apps.app_at_server import (
    AUTHOR,
    RegisteredApp,
    is_asked,
    onward,
    register,
    sign_in,
    sign_out_here,
)
from tests.interop.apps.entrance import Entrance
from tests.interop.browser import Browser, Shown, Step
from tests.interop.programs import running
from tests.interop.providers import install
from tests.processes.node_client import seconds_until
from tests.sdk_python import environment
from tests.support.matrix import matrix
from tests.support.processes import free_port

pytestmark = pytest.mark.needs("node", "npm")

PAGE = "apps-frameworks.md"
OAUTH4WEBAPI = {"type": "module", "dependencies": {"oauth4webapi": "3.8.8"}}
EXPRESS = {"express": "5.1.0", "express-session": "1.19.0", "jose": "6.1.0", "openid-client": "6.9.0"}
CALLBACK = "http://127.0.0.1:9/callback"  # no server listens there, so the browser stops before it
FULL = "openid profile email roles offline_access"


def printed(language: str, word: str) -> str:
    """The program on the page that contains the word."""
    [found] = [block for page, block in docs_pages.blocks(language) if page == PAGE and word in block]
    return found


@contextlib.contextmanager
def oauth4webapi(app: RegisteredApp, browser: Browser, scope: str, **given: Any) -> Iterator[dict[str, Any]]:
    """The tokens and claims that the library got from a sign-in. With ``waits``, it keeps running, and ``status`` is
    that of the first failed userinfo call."""
    folder = install.npm("oauth4webapi", OAUTH4WEBAPI)
    shutil.copy(Path(__file__).parent / "app.mjs", folder)
    shown = {"issuer": app.issuer, "clientId": app.id, "secret": app.secret, "callback": CALLBACK, "scope": scope}
    command, pipe = [install.program("node", "install Node.js 20 or newer"), "app.mjs"], subprocess.PIPE
    environ = {**os.environ, "GIVEN": json.dumps({**shown, **given})}
    with subprocess.Popen(command, cwd=folder, text=True, env=environ, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        start = process.stdout.readline().strip()
        assert start, process.communicate()[1]
        back = sign_in(browser, start, CALLBACK)
        assert isinstance(back, Step), back.text
        process.stdin.write(f"{back.url}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        found: dict[str, Any] = json.loads(line)
        yield found
        output, errors = process.communicate(timeout=60)
        found["status"] = int(output or 0)
    assert process.returncode == 0, errors


@matrix(("kind", "algorithm", "more"), [
    ("web", "RS256", {}), ("web", "ES256", {"post": True}), ("browser", "RS256", {}), ("native", "ES256", {}),
])  # fmt: skip
def test_oauth4webapi_signs_in_refreshes_asks_and_revokes(
    server: Entrance, kind: str, algorithm: str, more: dict[str, bool]
) -> None:
    app = register(server, kind, CALLBACK, scopes=FULL.split(), idTokenAlgorithm=algorithm)
    with Browser() as browser, oauth4webapi(app, browser, FULL, **more) as found:
        pass
    assert found["same"] is True
    claims, userinfo = found["claims"], found["userinfo"]
    assert (claims["iss"], claims["aud"], claims["client"]) == (app.issuer, app.id, "acme")
    assert (claims["amr"], claims["acr"], claims["email"], claims["roles"]) == (["pwd"], "pwd", AUTHOR, ["Author"])
    assert (userinfo["sub"], userinfo["email"]) == (claims["sub"], AUTHOR)
    assert found["refreshed"]["refresh_token"] != found["tokens"]["refresh_token"]
    if app.secret:
        assert (found["before"]["active"], found["after"]) == (True, {"active": False})


def test_a_second_app_is_signed_in_without_a_question(server: Entrance) -> None:
    first, second = (register(server, "web", CALLBACK) for _ in range(2))
    with Browser() as browser:
        with oauth4webapi(first, browser, "openid") as found:
            one = found["claims"]
        browser.trail.clear()
        with oauth4webapi(second, browser, "openid") as found:
            other = found["claims"]
        assert not [step for step in browser.trail if "/sign-in" in step]
    assert (one["sub"], one["auth_time"]) == (other["sub"], other["auth_time"])
    assert one["sid"] != other["sid"]


def test_a_sign_out_here_ends_what_the_library_holds(server: Entrance) -> None:
    app = register(server, "web", CALLBACK)
    with Browser() as browser, oauth4webapi(app, browser, "openid", waits=True) as found:
        sign_out_here(browser, server.base)
    assert found["status"] == 401


def _signed_in_as(browser: Browser, address: str) -> str:
    shown = sign_in(browser, address)
    assert isinstance(shown, Shown)
    return str(json.loads(shown.text)["signedInAs"])


def check_program(server: Entrance, home: str, browser: Browser) -> None:
    """Check that a program signs in, refreshes, loads user data, notices a sign-out here, and signs out here."""
    assert _signed_in_as(browser, f"{home}/login") == AUTHOR
    server.calls.clear()
    profile = browser.take(Step("GET", f"{home}/profile"))
    assert json.loads(profile.text)["email"] == AUTHOR, profile.text
    assert server.calls == ["token refresh_token", "userinfo"]
    sign_out_here(browser, server.base)
    assert seconds_until(lambda: browser.take(Step("GET", f"{home}/profile")).status == 401) < 5
    forged = httpx2.post(f"{home}/backchannel", data={"logout_token": "e30.e30.e30"}, timeout=60)
    assert forged.status_code == 400, forged.text
    assert _signed_in_as(browser, f"{home}/login") == AUTHOR
    leaves = browser.onward_from(Step("GET", f"{home}/logout"))
    left = onward(browser, browser.walk(leaves, f"{home}/"), f"{home}/")
    assert isinstance(left, Step), left.text
    assert left.url.partition("?")[0] == f"{home}/"
    assert is_asked(browser.walk(Step("GET", f"{home}/login")))  # also signed out here


@pytest.mark.endurance
def test_express_with_openid_client_as_printed(server: Entrance, tmp_path: Path) -> None:
    program = printed("js", "openid-client").replace(
        "process.env.MANIFEST_CLIENT_SECRET,\n);",
        "process.env.MANIFEST_CLIENT_SECRET,\n  undefined,\n  { execute: [client.allowInsecureRequests] },\n);",
    )
    with _at_home(server, program, "js", tmp_path, EXPRESS) as (home, browser):
        check_program(server, home, browser)


@pytest.mark.endurance
def test_fastapi_with_authlib_as_printed(server: Entrance, tmp_path: Path) -> None:
    environment.install(environment.python(), "authlib", "itsdangerous")
    with _at_home(server, printed("python", "starlette_client"), "python", tmp_path, {}) as (home, browser):
        check_program(server, home, browser)


_DJANGO = """
import os, sys, django
from django.conf import settings
values = {
    "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": ["*"], "ROOT_URLCONF": "program", "USE_TZ": True,
    "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    "MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware",
                   "django.contrib.auth.middleware.AuthenticationMiddleware"],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.db"}}, "os": os,
}
exec(open("printed.py").read(), values)
settings.configure(**{name: value for name, value in values.items() if name.isupper()})
django.setup()
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.http import JsonResponse
from django.urls import include, path
call_command("migrate", verbosity=0)
who = lambda request: JsonResponse({"signedInAs": getattr(request.user, "email", "")})
urlpatterns = [path("oidc/", include("mozilla_django_oidc.urls")), path("", who)]
app = get_asgi_application()
"""


@pytest.mark.endurance
def test_django_with_the_settings_as_printed(server: Entrance, tmp_path: Path) -> None:
    environment.install(environment.python(), "django==5.2.8", "mozilla-django-oidc==5.0.2")
    port = free_port()
    home = f"http://localhost:{port}"
    app = register(
        server,
        "web",
        f"{home}/oidc/callback/",
        scopes=["openid", "profile", "email"],
        postLogoutRedirectUris=[f"{home}/"],
    )
    settings = app.in_program(printed("python", "INSTALLED_APPS"), **{"SECONDS = 300": "SECONDS = 1"})
    (tmp_path / "printed.py").write_text(settings)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "sign_out.py").write_text(printed("python", "oidc_id_token"))
    given = {"MANIFEST_CLIENT_ID": app.id, "MANIFEST_CLIENT_SECRET": app.secret}
    with running(_DJANGO, "python", tmp_path, {}, port, **given), Browser() as browser:

        def user() -> str:
            shown = browser.walk(Step("GET", f"{home}/"))
            assert isinstance(shown, Shown)
            return str(json.loads(shown.text)["signedInAs"])

        assert _signed_in_as(browser, f"{home}/oidc/authenticate/") == AUTHOR
        browser.trail.clear()
        server.calls.clear()
        seconds_until(lambda: user() == AUTHOR and "userinfo" in server.calls)  # without interaction
        assert server.calls[:2] == ["authorize", "token authorization_code"]
        assert not [step for step in browser.trail if "/sign-in" in step]
        sign_out_here(browser, server.base)
        assert seconds_until(lambda: user() == "") < 5
        assert _signed_in_as(browser, f"{home}/oidc/authenticate/") == AUTHOR
        leaves = browser.onward_from(Step("POST", f"{home}/oidc/logout/"))
        left = onward(browser, browser.walk(leaves, f"{home}/"), f"{home}/")
        assert isinstance(left, Step), left.text
        assert is_asked(browser.walk(Step("GET", f"{home}/oidc/authenticate/")))


_AUTH_JS = """
import { ExpressAuth, getSession } from "@auth/express";
import express from "express";
let settings;
const NextAuth = (given) => (settings = given, {});
PRINTED
const app = express();
app.get("/", async (req, res) => res.json({ signedInAs: (await getSession(req, settings))?.user.email ?? "" }));
app.use("/api/auth", ExpressAuth(settings));
app.listen(process.env.PORT);
"""


@pytest.mark.endurance
def test_the_settings_for_next_js_in_auth_js(server: Entrance, tmp_path: Path) -> None:
    """Next.js itself takes minutes to install, but the same library runs on Express."""
    printed_settings = printed("ts", "NextAuth").replace('import NextAuth from "next-auth";', "")
    port = free_port()
    home = f"http://localhost:{port}"
    app = register(server, "web", f"{home}/api/auth/callback/manifest", scopes=["openid", "profile", "email", "roles"])
    program = app.in_program(_AUTH_JS.replace("PRINTED", printed_settings))
    given = {
        "MANIFEST_CLIENT_ID": app.id,
        "MANIFEST_CLIENT_SECRET": app.secret,
        "AUTH_SECRET": "x" * 32,
        "AUTH_URL": f"{home}/api/auth",
        "AUTH_TRUST_HOST": "true",
    }
    packages = {"@auth/express": "0.12.3", "express": "5.1.0"}
    with running(program, "js", tmp_path, packages, port, **given), Browser() as browser:
        csrf = json.loads(browser.take(Step("GET", f"{home}/api/auth/csrf")).text)["csrfToken"]
        fields = (("csrfToken", csrf), ("callbackUrl", f"{home}/"))
        start = browser.onward_from(Step("POST", f"{home}/api/auth/signin/manifest", fields))
        assert _signed_in_as(browser, start.url) == AUTHOR
        browser.walk(Step("POST", f"{home}/api/auth/signout", fields))
        assert _signed_in_as(browser, f"{home}/") == ""


@pytest.mark.endurance
def test_a_desktop_program_on_a_free_port_as_printed(server: Entrance, tmp_path: Path) -> None:
    environment.install(environment.python(), "authlib")
    app = register(server, "native", "http://127.0.0.1/callback", scopes=FULL.split())
    program = app.in_program(printed("python", "webbrowser"))
    command = [str(environment.python()), "-c", program]
    environ = {**os.environ, "BROWSER": "echo %s", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, cwd=tmp_path, env=environ, text=True, stdout=pipe, stderr=pipe) as process,
        Browser() as browser,
    ):
        assert process.stdout is not None
        start = process.stdout.readline().strip()
        assert start, process.communicate()[1]
        shown = sign_in(browser, start)
        assert isinstance(shown, Shown)
        output, errors = process.communicate(timeout=60)
        assert output == f"Signed in as {AUTHOR}\n", errors


@contextlib.contextmanager
def _at_home(
    server: Entrance, program: str, language: str, folder: Path, packages: dict[str, str]
) -> Iterator[tuple[str, Browser]]:
    """A program with its own app and with access tokens that need renewal immediately. The browser uses the name
    localhost, because cookies don't distinguish ports."""
    port = free_port()
    home = f"http://localhost:{port}"
    app = register(
        server,
        "web",
        f"{home}/callback",
        scopes=FULL.split(),
        postLogoutRedirectUris=[f"{home}/"],
        backchannelLogoutUri=f"{home}/backchannel",
        accessTokenSeconds=60,
    )
    given = {
        "MANIFEST_CLIENT_ID": app.id,
        "MANIFEST_CLIENT_SECRET": app.secret,
        "SESSION_SECRET": "x" * 32,
        "APP_URL": home,
    }
    with running(app.in_program(program), language, folder, packages, port, **given), Browser() as browser:
        yield home, browser
