"""Libraries of apps, unmodified: they sign users in at a client's issuer, refresh, ask who it is, and sign out.

The programs are those of the page *Connect applications*, as printed.
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

import pytest

from tests.architecture import docs_pages
from tests.interop.apps.app_at_server import AUTHOR, RegisteredApp, onward, register, sign_in
from tests.interop.browser import Browser, Shown, Step
from tests.interop.programs import running
from tests.interop.providers import install
from tests.sdk_python import environment
from tests.support.matrix import matrix
from tests.support.processes import free_port
from tests.support.server import Server, served

pytestmark = [pytest.mark.one_store, pytest.mark.needs("node", "npm")]

PAGE = "apps-frameworks.md"
OAUTH4WEBAPI = {"type": "module", "dependencies": {"oauth4webapi": "3.8.8"}}
EXPRESS = {"express": "5.1.0", "express-session": "1.19.0", "openid-client": "6.9.0"}
CALLBACK = "http://127.0.0.1:9/callback"  # where nothing listens: the browser stops before it
FULL = "openid profile email roles offline_access"


def printed(language: str, word: str) -> str:
    """The program of the page that has the word."""
    [found] = [block for page, block in docs_pages.blocks(language) if page == PAGE and word in block]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("apps"), database_url) as running_server:
        yield running_server


def oauth4webapi(app: RegisteredApp, browser: Browser, scope: str, **given: Any) -> dict[str, Any]:
    """The tokens and claims that the library got after a sign-in."""
    folder = install.npm("oauth4webapi", OAUTH4WEBAPI)
    shutil.copy(Path(__file__).parent / "app.mjs", folder)
    shown = {
        "issuer": app.issuer,
        "clientId": app.id,
        "secret": app.secret,
        "callback": CALLBACK,
        "scope": scope,
        **given,
    }
    command, pipe = [install.program("node", "install Node.js 20 or newer"), "app.mjs"], subprocess.PIPE
    environ = {**os.environ, "GIVEN": json.dumps(shown)}
    with subprocess.Popen(command, cwd=folder, text=True, env=environ, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        start = process.stdout.readline().strip()
        assert start, process.communicate()[1]
        back = sign_in(browser, start, CALLBACK)
        assert isinstance(back, Step), back.text
        output, errors = process.communicate(f"{back.url}\n", timeout=60)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


@matrix(("kind", "algorithm", "more"), [
    ("web", "RS256", {}), ("web", "ES256", {"post": True}), ("browser", "RS256", {}), ("native", "ES256", {}),
])  # fmt: skip
def test_oauth4webapi_signs_in_refreshes_asks_and_revokes(
    server: Server, kind: str, algorithm: str, more: dict[str, bool]
) -> None:
    app = register(server, kind, CALLBACK, scopes=FULL.split(), idTokenAlgorithm=algorithm)
    with Browser() as browser:
        found = oauth4webapi(app, browser, FULL, **more)
    assert found["same"] is True
    claims, userinfo = found["claims"], found["userinfo"]
    assert (claims["iss"], claims["aud"], claims["client"]) == (app.issuer, app.id, "acme")
    assert (claims["amr"], claims["acr"], claims["email"], claims["roles"]) == (["pwd"], "pwd", AUTHOR, ["Author"])
    assert (userinfo["sub"], userinfo["email"]) == (claims["sub"], AUTHOR)
    assert found["refreshed"]["refresh_token"] != found["tokens"]["refresh_token"]
    if app.secret:
        assert (found["before"]["active"], found["after"]) == (True, {"active": False})


def test_a_second_app_is_signed_in_without_a_question(server: Server) -> None:
    first, second = (register(server, "web", CALLBACK) for _ in range(2))
    with Browser() as browser:
        one = oauth4webapi(first, browser, "openid")["claims"]
        browser.trail.clear()
        other = oauth4webapi(second, browser, "openid")["claims"]
        assert not [step for step in browser.trail if "/sign-in" in step]
    assert (one["sub"], one["auth_time"]) == (other["sub"], other["auth_time"])
    assert one["sid"] != other["sid"]


@pytest.mark.endurance
def test_express_with_openid_client_as_printed(server: Server, tmp_path: Path) -> None:
    program = printed("js", "openid-client").replace(
        "process.env.MANIFEST_CLIENT_SECRET,\n);",
        "process.env.MANIFEST_CLIENT_SECRET,\n  undefined,\n  { execute: [client.allowInsecureRequests] },\n);",
    )
    with _at_home(server, program, "js", tmp_path, EXPRESS) as (home, browser):
        shown = sign_in(browser, f"{home}/login")
        assert isinstance(shown, Shown)
        assert json.loads(shown.text) == {"signedInAs": AUTHOR}
        leaves = browser.onward_from(Step("GET", f"{home}/logout"))
        left = onward(browser, browser.walk(leaves, f"{home}/"), f"{home}/")
        assert isinstance(left, Step), left.text
        assert left.url == f"{home}/"
        asked = browser.walk(Step("GET", f"{home}/login"))
        assert isinstance(asked, Shown)
        assert [form for form in asked.page.forms if form.of("email") or form.of("password")]  # signed out here too


@pytest.mark.endurance
def test_fastapi_with_authlib_as_printed(server: Server, tmp_path: Path) -> None:
    environment.install(environment.python(), "authlib", "itsdangerous")
    with _at_home(server, printed("python", "authlib"), "python", tmp_path, {}) as (home, browser):
        shown = sign_in(browser, f"{home}/login")
        assert isinstance(shown, Shown)
        assert json.loads(shown.text) == {"signedInAs": AUTHOR}


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
def test_django_with_the_settings_as_printed(server: Server, tmp_path: Path) -> None:
    environment.install(environment.python(), "django==5.2.8", "mozilla-django-oidc==4.0.1")
    port = free_port()
    home = f"http://localhost:{port}"
    app = register(server, "web", f"{home}/oidc/callback/", scopes=["openid", "profile", "email"])
    (tmp_path / "printed.py").write_text(app.in_program(printed("python", "mozilla_django_oidc")))
    given = {"MANIFEST_CLIENT_ID": app.id, "MANIFEST_CLIENT_SECRET": app.secret}
    with running(_DJANGO, "python", tmp_path, {}, port, **given), Browser() as browser:
        shown = sign_in(browser, f"{home}/oidc/authenticate/")
        assert isinstance(shown, Shown)
        assert json.loads(shown.text) == {"signedInAs": AUTHOR}


@contextlib.contextmanager
def _at_home(
    server: Server, program: str, language: str, folder: Path, packages: dict[str, str]
) -> Iterator[tuple[str, Browser]]:
    """A program with an app of its own. The browser knows it as localhost: cookies don't tell ports apart."""
    port = free_port()
    home = f"http://localhost:{port}"
    app = register(server, "web", f"{home}/callback", scopes=FULL.split(), postLogoutRedirectUris=[f"{home}/"])
    given = {
        "MANIFEST_CLIENT_ID": app.id,
        "MANIFEST_CLIENT_SECRET": app.secret,
        "SESSION_SECRET": "x" * 32,
        "APP_URL": home,
    }
    with running(app.in_program(program), language, folder, packages, port, **given), Browser() as browser:
        yield home, browser
