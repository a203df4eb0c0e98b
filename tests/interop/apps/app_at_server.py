"""A client's app on a separate server process, and a browser that signs in to it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol

import httpx2

from tests.interop.browser import Browser, Shown, Step
from tests.support.server import DEMO_PASSWORD

AUTHOR = "author@acme.example"


class Reached(Protocol):
    """A server, or the proxy in front of its nodes."""

    @property
    def base(self) -> str: ...


class RegisteredApp(NamedTuple):
    """``secret`` is empty for a public app."""

    server: Reached
    id: str
    secret: str

    @property
    def issuer(self) -> str:
        return f"{self.server.base}/o/acme"

    def in_program(self, text: str, **changes: str) -> str:
        """A program or settings file as printed in the docs, with this app's values inserted."""
        names = {"https://auth.example.com/o/acme": self.issuer, "app_…": self.id, "mfst_sec_…": self.secret, **changes}
        for before, after in names.items():
            text = text.replace(before, after)
        return text


def administer(server: Reached, path: str, body: Any = None, method: str = "POST") -> Any:
    """Change Acme as a system admin; returns the response's data."""
    with httpx2.Client(base_url=f"{server.base}/api/admin", timeout=60) as http:
        signed_in = http.post("/auth/sign-in", json={"username": "admin", "password": DEMO_PASSWORD}).json()
        http.headers["Authorization"] = f"Bearer {signed_in['data']['token']}"
        done = http.request(method, f"/clients/acme{path}", json=body)
        assert done.is_success, done.text
        return done.json()["data"]


def register(server: Reached, kind: str, callback: str, **members: Any) -> RegisteredApp:
    """A new app of Acme, with a secret if it can have one."""
    app = administer(server, "/apps", {"name": "Reports", "kind": kind, "redirectUris": [callback], **members})["id"]
    secret = administer(server, f"/apps/{app}/secrets")["secret"] if kind == "web" else ""
    return RegisteredApp(server, app, secret)


def sign_in(browser: Browser, start: str, *until: str) -> Shown | Step:
    """Start at an address of the app, and enter the password when asked; returns the last page, or the first step that
    ``until`` names."""
    return onward(browser, browser.walk(Step("GET", start), *until), *until)


def onward(browser: Browser, found: Shown | Step, *until: str) -> Shown | Step:
    """Continue through the server's pages, as a person does."""
    for _ in range(8):
        if isinstance(found, Step):
            return found
        forms = [form for form in found.page.forms if form.of("password")]
        emails = [form for form in found.page.forms if form.of("email") and not form.of("password")]
        if forms:
            typed = dict.fromkeys(forms[0].of("email"), AUTHOR)
            typed |= dict.fromkeys(forms[0].of("password"), DEMO_PASSWORD)
            found = browser.walk(found.send(forms[0], **typed), *until)
        elif emails:
            found = browser.walk(found.send(emails[0], **dict.fromkeys(emails[0].of("email"), AUTHOR)), *until)
        elif asked := [form for form in found.page.forms if form.fields.get("act") == "approve"]:
            found = browser.walk(found.send(asked[0]), *until)
        elif goes_on := re.search(r'<meta http-equiv="refresh" content="[0-9]+; ?url=([^"]+)"', found.text):
            found = browser.walk(found.to(goes_on[1].replace("&amp;", "&")), *until)
        else:
            return found
    return found


def sign_out_here(browser: Browser, base: str) -> None:
    """End the browser's session on the server's page, as a user does who never returns to the app."""
    page = browser.walk(Step("GET", f"{base}/sign-out"))
    assert isinstance(page, Shown)
    [form] = [form for form in page.page.forms if form.action.endswith("/sign-out")]
    browser.walk(page.send(form))


def is_asked(page: Shown | Step) -> bool:
    """Whether the server asks the user to sign in."""
    return isinstance(page, Shown) and any(form.of("email") or form.of("password") for form in page.page.forms)
