"""The client console with much data, in each of its states, reached as an Admin would."""

from __future__ import annotations

import contextlib
import itertools
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyotp

from tests.browser.driver import Chromium
from tests.browser.pages import open_, press, send
from tests.http.pages.console.rules_pages import PAGES
from tests.support.server import DEMO_PASSWORD, Server, served

_numbers = itertools.count(1)


class Setup(NamedTuple):
    """``session`` is an Admin's cookie, ``user`` the ID of a user with a session, and ``machine`` the ID of a service
    account with keys."""

    server: Server
    session: str
    user: int
    machine: int
    others: tuple[str, ...] = ()

    def let_in(self, browser: Chromium) -> None:
        """Sign the browser in as an Admin."""
        browser._call("Network.setCookie", name="session", value=self.session, url=self.server.base)


def signed_in(server: Server, email: str) -> tuple[str, str]:
    """The session cookie and the access token."""
    body = json.dumps({"email": email, "password": DEMO_PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.base}/api/client/auth/sign-in", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [line for line in answer.headers.get_all("set-cookie") if line.startswith("session=")]
        return lines[0].partition(";")[0].removeprefix("session="), json.load(answer)["data"]["token"]


def _with_app(server: Server, token: str) -> None:
    """Enroll an authenticator app, so that the user's page offers its reset."""
    own = "/api/client/auth/second-factors/totp"
    secret = send(server, own, {}, token)["data"]["secret"]
    send(server, f"{own}/confirm", {"otp": pyotp.TOTP(secret).now()}, token)


def _machines(server: Server, token: str) -> int:
    """Create service accounts, one with keys and client secrets. Returns its ID."""
    base, described = "/api/client/service-accounts", "Exports the jobs of the day " + "long " * 10
    for name in ("a" * 63, "nightly-export"):
        made = {"name": name, "description": described, "roles": ["Viewer", "Operator"], "addresses": ["127.0.0.0/8"]}
        number = send(server, base, made, token)["data"]["id"]
    for kind, label in (("keys", "cron on host-7"), ("keys", "Long" * 20), ("secrets", "")):
        secret = send(server, f"{base}/{number}/{kind}", {"label": label, "expiresInDays": 10}, token)["data"]["id"]
    send(server, f"{base}/{number}/secrets/{secret}/rotate", {}, token)
    return int(number)


def _badges(server: Server, token: str, user: int) -> None:
    """Enroll devices, leave a code open, and give the user a badge and a PIN."""
    send(server, "/api/client/settings", {"badge": {"enabled": True}}, token, "PATCH")
    for name, place in (("Kiosk 4", "Hall B"), ("Long" * 20, "x" * 80), ("Kiosk 5", "")):
        code = send(server, "/api/client/devices/enrolments", {"name": name, "place": place}, token)["data"]["code"]
        if place:
            send(server, "/api/client/auth/devices/enrol", {"code": code})
    send(server, f"/api/client/users/{user}/badges", {"kind": "standard"}, token)
    send(server, f"/api/client/users/{user}/badge-pin", None, token)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Setup]:
    """Users, claims, and settings to show."""
    with served(folder) as server:
        session, token = signed_in(server, "admin@acme.example")
        root = {"username": "admin", "password": DEMO_PASSWORD}
        admin = send(server, "/api/admin/auth/sign-in", root)["data"]["token"]
        numbers = []
        for name in ("Grace Hopper", "Edsger Dijkstra", "Barbara " + "Long" * 20):
            first, last = name.split()
            email = f"{first}.{last}"[:50].lower() + "@acme.example"
            made = {
                "email": email,
                "firstName": first,
                "lastName": last,
                "roles": ["Author", "Operator"],
                "password": DEMO_PASSWORD,
            }
            numbers.append(send(server, "/api/admin/clients/acme/users", made, admin)["data"]["id"])
            signed_in(server, email)
        for domain in ("acme-labs.example", "a" * 60 + ".example"):
            send(server, "/api/client/domains", {"domain": domain}, token)
        directory = {"directory": "aaaabbbb-0000-cccc-1111-dddd2222eeee"}
        send(server, "/api/client/directories", directory, token)
        origins = {"allowedOrigins": ["https://app.acme.example"], "contact": "IT help desk"}
        send(server, "/api/client/settings", origins, signed_in(server, "user-admin@acme.example")[1], "PATCH")
        machine = _machines(server, token)
        group = {"group": "Line leads", "roles": ["Operator"]}
        send(server, "/api/client/scim", {"name": "okta", "groupRoles": [group]}, token)
        _badges(server, token, numbers[0])
        _with_app(server, signed_in(server, "grace.hopper@acme.example")[1])
        yield Setup(server, session, numbers[0], machine)


def console(setup: Setup, browser: Chromium, path: str) -> None:
    open_(browser, f"{setup.server.base}/console{path}")


def fill(browser: Chromium, **typed: str) -> None:
    for name, text in typed.items():
        browser.value(f"document.getElementsByName({json.dumps(name)})[0].value = {json.dumps(text)}")


def _selected(setup: Setup, browser: Chromium, act: str = "invite") -> None:
    console(setup, browser, "/users")
    browser.value("document.querySelectorAll('.pick input').forEach((each, at) => { each.checked = at < 3; })")
    fill(browser, act=act)
    press(browser, "#selected ~ .filters button")


def _done(setup: Setup, browser: Chromium) -> None:
    _selected(setup, browser)
    press(browser, "main form .button.danger")


def _invited(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/invite")
    fill(browser, people=f"new-{next(_numbers)}@acme.example\nno address\n" + "x" * 60 + "@acme.example")
    press(browser)


def _not_invited(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/invite")
    fill(browser, people="no address")
    press(browser)


def _previewed(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/rules?page=apps")
    fill(browser, contact="Desk", allowedOrigins="https://" + "long" * 40 + ".example")
    press(browser, "main form.stack > div > .primary")


def wrong_rule(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/rules")
    fill(browser, **{"password.minLength": "2"})
    press(browser, "main form.stack > div > .primary")


def _reset(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, f"/users/{setup.user}")
    press(browser, "input[value=reset] ~ button")


def _colour(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/branding")
    fill(browser, **{"branding.accent": "#ffcc00", "branding.name": "A " + "long " * 15 + "name"})
    press(browser, "button[value=preview]")


def _looked(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/domains")
    press(browser, "input[value=check] ~ button")


def _no_domain(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/domains")
    fill(browser, domain="no domain")
    press(browser, "form:has([name=domain]) .primary")


def _no_machine(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/service-accounts/new")
    fill(browser, name="No Name", addresses="nowhere", jwks="{")
    press(browser)


def _new_app(setup: Setup, browser: Chromium, uris: str) -> None:
    console(setup, browser, "/apps/new?kind=web")
    fill(browser, name="Reports", redirectUris=uris)
    press(browser)


def _secret(setup: Setup, browser: Chromium) -> None:
    _new_app(setup, browser, "https://reports.example.com/callback")
    press(browser, "#secrets ~ form .primary")


def _no_connection(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/scim")
    fill(browser, name="No Name")
    press(browser)


def _no_group(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/scim/okta")
    fill(browser, groupRoles="Line leads")
    press(browser, "#change ~ form .primary")


def _shared(setup: Setup, browser: Chromium, name: str) -> None:
    console(setup, browser, "/devices")
    fill(browser, name=name)
    press(browser, "#enrol ~ form .primary")


def _badge(button: str) -> Callable[[Setup, Chromium], None]:
    def go(setup: Setup, browser: Chromium) -> None:
        console(setup, browser, f"/users/{setup.user}/badge")
        press(browser, f"input[value={button}] ~ button")

    return go


def _rotated(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, f"/service-accounts/{setup.machine}")
    browser.value("document.querySelector('details:has([value=rotate]):has([value=key])').open = true")
    browser.value("document.querySelectorAll('[name=overlapHours]').forEach(each => { each.value = '0'; })")
    press(browser, "details[open] form:has([value=rotate]) .primary")


def _no_days(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, f"/service-accounts/{setup.machine}")
    fill(browser, expiresInDays="1000")
    press(browser, "#make ~ form .primary")


def _rotating(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, f"/service-accounts/{setup.machine}")
    browser.value("document.querySelectorAll('details').forEach(each => { each.open = true; })")


def _no_person(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/audit?person=no-one")


def _details(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/audit")
    browser.value("document.querySelectorAll('details.more').forEach(each => { each.open = true; })")


def _at(path: str) -> Callable[[Setup, Chromium], None]:
    return lambda setup, browser: console(setup, browser, path.format(user=setup.user, machine=setup.machine))


_PAGES: dict[str, Callable[[Setup, Chromium], None]] = {
    "GET /console": _at(""),
    "GET /console/users": _at("/users"),
    "GET /console/users nothing": _at("/users?q=nothing-is-found"),
    "POST /console/users": lambda setup, browser: _selected(setup, browser, ""),
    "POST /console/users asked": _selected,
    "GET /console/users done": _done,
    "GET /console/users/{id}": _at("/users/{user}"),
    "POST /console/users/{id} link": _reset,
    "POST /console/invite some": _invited,
    "POST /console/invite": _not_invited,
    "POST /console/service-accounts/new": _no_machine,
    "GET /console/service-accounts/{id}": _at("/service-accounts/{machine}"),
    "GET /console/service-accounts/{id} to rotate": _rotating,
    "POST /console/service-accounts/{id} rotated": _rotated,
    "POST /console/service-accounts/{id}": _no_days,
    "GET /console/scim": _at("/scim"),
    "POST /console/scim": _no_connection,
    "POST /console/scim/{connection}": _no_group,
    "GET /console/scim/{connection}": _at("/scim/okta"),
    "GET /console/apps": _at("/apps"),
    "GET /console/apps/new": _at("/apps/new"),
    "GET /console/apps/new native": _at("/apps/new?kind=native"),
    "POST /console/apps/new": lambda setup, browser: _new_app(setup, browser, "http://nowhere.example/"),
    "GET /console/apps/{app}": lambda setup, browser: _new_app(
        setup, browser, "https://one.example/\nhttps://two.example/"
    ),
    "POST /console/apps/{app} secret": _secret,
    "GET /console/devices": _at("/devices"),
    "GET /console/devices nothing": _at("/devices?q=nothing-is-found"),
    "POST /console/devices code": lambda setup, browser: _shared(setup, browser, "Kiosk 6"),
    "POST /console/devices": lambda setup, browser: _shared(setup, browser, ""),
    "GET /console/users/{id}/badge": _at("/users/{user}/badge"),
    "POST /console/users/{id}/badge": _badge("temporary"),
    "POST /console/users/{id}/badge PIN": _badge("pin"),
    **{f"GET /console/rules {page}": _at(f"/rules?page={page}") for page in PAGES},
    "POST /console/rules previewed": _previewed,
    "POST /console/rules": wrong_rule,
    "POST /console/domains looked at": _looked,
    "POST /console/domains": _no_domain,
    "POST /console/branding previewed": _colour,
    "GET /console/audit": _at("/audit"),
    "GET /console/audit no such user": _no_person,
    "GET /console/audit details": _details,
}


def _admins(go: Callable[[Setup, Chromium], None]) -> Callable[[Setup, Chromium], None]:
    def let_in_first(setup: Setup, browser: Chromium) -> None:
        setup.let_in(browser)
        go(setup, browser)

    return let_in_first


def at(path: str) -> Callable[[Setup, Chromium], None]:
    """Return the state of an address below ``/console``, opened by an Admin."""
    return _admins(_at(path))


#: Name → steps to reach it as an Admin. A page that no list names has a state at its address (`all_parts.py`).
STATES = {name: _admins(go) for name, go in _PAGES.items()}
