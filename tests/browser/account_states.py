"""The account pages in each of their states, reached as a user would."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

from manifest_auth.runtime.clock import Clock
from tests.browser.driver import Chromium
from tests.browser.pages import Setup, admin_token, open_, press, send, sign_in
from tests.support.oidc_op import Op, provider
from tests.support.server import DEMO_PASSWORD

_numbers = itertools.count(1)
#: A server that uses a nonexistent mail server.
WITH_MAIL = {"MANIFEST_SMTP_URL": "smtp://127.0.0.1:9", "MANIFEST_MAIL_FROM": "auth@example.com"}
#: Each sign-in uses a separate user, so that no state depends on another one.
_PEOPLE = "/api/admin/clients/acme/users"


def new_person(setup: Setup, *roles: str) -> str:
    """The email address of a new user with the usual password."""
    email = f"account-{next(_numbers)}@acme.example"
    body = {"email": email, "password": DEMO_PASSWORD, "roles": roles or ["Author", "Viewer"], "firstName": "Ada"}
    send(setup.server, _PEOPLE, body, admin_token(setup.server))
    return email


def elsewhere(setup: Setup, email: str, password: str = DEMO_PASSWORD) -> None:
    """Another session of the user, or a failed sign-in."""
    body = {"email": email, "password": password}
    try:
        send(setup.server, "/api/client/auth/sign-in", body)
    except OSError:
        assert password != DEMO_PASSWORD


@contextlib.contextmanager
def linked(setup: Setup, browser: Chromium) -> Iterator[str]:
    """Link an identity at a provider to the signed-in user, and return to the page that lists it. Returns the
    issuer."""
    with provider(Clock()) as op:
        button = _offered(setup, op)
        open_(browser, f"{setup.server.base}/account/identities")
        browser.press(button)
        browser.until("document.querySelectorAll('input[name=unlink]').length === 1")
        yield op.issuer


def _offered(setup: Setup, op: Op) -> str:
    """The button that links an identity at this new provider."""
    name = f"company-{next(_numbers)}"
    oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
    made = {"name": name, "displayName": "The <b>Company</b>", "oidc": oidc}
    send(setup.server, "/api/admin/clients/acme/providers", made, admin_token(setup.server))
    return f".offers form:has(input[value='{name}']) button"


def _linked(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, email=new_person(setup))
    with linked(setup, browser) as issuer:
        browser.requests[:] = [each for each in browser.requests if not each.startswith(issuer)]


def _leaving(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, email=new_person(setup))
    with provider(Clock()) as op:
        button = _offered(setup, op)
        open_(browser, f"{setup.server.base}/account/identities")
        browser.hold(op.base)
        press(browser, button)


def at(path: str, *roles: str) -> Callable[[Setup, Chromium], None]:
    def go(setup: Setup, browser: Chromium) -> None:
        email = new_person(setup, *roles)
        elsewhere(setup, email)
        sign_in(setup, browser, email=email)
        elsewhere(setup, email, "not-the-password")
        open_(browser, setup.server.base + path)

    return go


def _then(path: str, *steps: Callable[[Chromium], None]) -> Callable[[Setup, Chromium], None]:
    def go(setup: Setup, browser: Chromium) -> None:
        at(path)(setup, browser)
        for step in steps:
            step(browser)

    return go


def _badged(setup: Setup, browser: Chromium) -> None:
    """A user with a badge, in a client that uses badges."""
    root = admin_token(setup.server)
    send(setup.server, "/api/admin/clients/acme", {"settings": {"badge": {"enabled": True}}}, root, "PATCH")
    sign_in(setup, browser, email=new_person(setup, "Operator"))
    me = browser.value("fetch('/api/client/auth/me').then(answer => answer.json()).then(found => found.data.user.id)")
    send(setup.server, f"{_PEOPLE}/{me}/badges", {"kind": "standard"}, root)
    open_(browser, f"{setup.server.base}/account/badge")


def _no_pin(setup: Setup, browser: Chromium) -> None:
    _badged(setup, browser)
    browser.type("#pin", "123456")
    press(browser)


def _forgot(setup: Setup, browser: Chromium, email: str) -> None:
    open_(browser, f"{setup.server.base}/forgot")
    browser.type("#email", email)
    press(browser)


def _typed(field: str, text: str) -> Callable[[Chromium], None]:
    return lambda browser: browser.type(f"#{field}", text)


def _pressed(element: str = "main form .primary") -> Callable[[Chromium], None]:
    return lambda browser: press(browser, element)


def _changed(element: str, value: str) -> Callable[[Chromium], None]:
    """Submit the form of a page that is older than the server."""

    def step(browser: Chromium) -> None:
        browser.value(f"document.querySelector({element!r}).value = {value!r}")

    return step


#: The app's consent page has been open for a moment.
SEEN = "document.querySelector('[data-seen]').dataset.seen !== 'no'"


def asked_by_app(setup: Setup, browser: Chromium) -> str:
    """Let an app request access. Returns its client ID."""
    body = {"name": "Torque <b>", "kind": "native", "redirectUris": ["com.example.app:/cb"], "consent": True}
    body["scopes"] = ["profile", "email", "jobs:execute", "offline_access"]
    made = send(setup.server, "/api/admin/clients/acme/apps", body, admin_token(setup.server))["data"]["id"]
    sign_in(setup, browser, email=new_person(setup))
    asked = f"client_id={made}&redirect_uri=com.example.app:/cb&scope=openid+profile+email+jobs:execute"
    challenge = f"response_type=code&code_challenge={'a' * 43}&code_challenge_method=S256"
    open_(browser, f"{setup.server.base}/o/acme/authorize?{asked}&{challenge}")
    return str(made)


def _asks(setup: Setup, browser: Chromium) -> None:
    asked_by_app(setup, browser)


def _let_in(setup: Setup, browser: Chromium) -> None:
    asked_by_app(setup, browser)
    browser.until(SEEN)
    press(browser)


def _with_access(setup: Setup, browser: Chromium) -> None:
    _let_in(setup, browser)
    open_(browser, f"{setup.server.base}/account/apps")


def _app_gone(setup: Setup, browser: Chromium) -> None:
    _with_access(setup, browser)
    _changed("tbody input[name=app]", "x" * 9000)(browser)
    press(browser, "tbody button")


def _signs_out(setup: Setup, browser: Chromium) -> None:
    app = asked_by_app(setup, browser)
    open_(browser, f"{setup.server.base}/o/acme/logout?client_id={app}")


def _signed_out(setup: Setup, browser: Chromium) -> None:
    _signs_out(setup, browser)
    press(browser)


#: Name → steps to reach it. A page that no list names has a state at its address (`all_parts.py`).
STATES: dict[str, Callable[[Setup, Chromium], None]] = {
    "GET /account": at("/account"),
    "GET /account manager": at("/account", "Admin"),
    "GET /account/profile": at("/account/profile"),
    "GET /account/profile saved": _then("/account/profile", _typed("title", "Head"), _pressed()),
    "POST /account/profile": _then("/account/profile", _typed("firstName", "a\u200bb"), _pressed()),
    "GET /account/email": at("/account/email"),
    "GET /account/email pending": _then(
        "/account/email", _typed("newEmail", "n@acme.example"), _typed("currentPassword", DEMO_PASSWORD), _pressed()
    ),
    "POST /account/email": _then("/account/email", _pressed()),
    "POST /account/password": _then(
        "/account/password", _typed("currentPassword", "wrong"), _typed("newPassword", "x"), _pressed()
    ),
    "GET /account/second-factor": at("/account/second-factor"),
    "GET /account/second-factor app": _then("/account/second-factor", _pressed("main form .primary")),
    "POST /account/second-factor": _then(
        "/account/second-factor", _pressed("main form .primary"), _typed("otp", "nonsense"), _pressed()
    ),
    "GET /account/codes none": at("/account/codes"),
    "GET /account/devices none": at("/account/devices"),
    "GET /account/passkeys off": at("/account/passkeys"),
    "GET /reauthenticate": at("/reauthenticate?returnTo=/account/codes"),
    "POST /reauthenticate": _then("/reauthenticate?returnTo=/account/codes", _pressed()),
    "GET /account/badge none": at("/account/badge", "Author"),
    "GET /account/badge": _badged,
    "POST /account/badge": _no_pin,
    "GET /account/apps": _with_access,
    "GET /account/apps none": at("/account/apps"),
    "POST /account/apps": _app_gone,
    "GET /o/{client}/consent": _asks,
    "POST /o/{client}/consent": _let_in,
    "GET /o/{client}/sign-out": _signs_out,
    "POST /o/{client}/sign-out": _signed_out,
    "GET /account/sessions": at("/account/sessions"),
    "GET /account/sessions alone": _then("/account/sessions", _pressed("main .danger"), _pressed("main .danger")),
    "POST /account/sessions asks": _then("/account/sessions", _pressed("main .danger")),
    "POST /account/sessions": _then(
        "/account/sessions", _changed("tbody input[name=id]", "gone"), _pressed("tbody button")
    ),
    "GET /account/identities": at("/account/identities"),
    "GET /account/identities linked": _linked,
    "GET /account/identities/provider": _leaving,
    "POST /account/identities": _then("/account/identities", _pressed(".offers form:has(input[value=okta]) button")),
    "POST /account/language": _then("/account/language", _changed("#language-none", "xx"), _pressed()),
    "GET /forgot mails": lambda setup, browser: open_(browser, f"{setup.server.base}/forgot"),
    "GET /forgot sent": lambda setup, browser: _forgot(setup, browser, "someone@nowhere.example"),
    "POST /forgot": lambda setup, browser: _forgot(setup, browser, "nobody"),
}
