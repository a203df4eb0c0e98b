"""Foreign texts are only text on every page of the console: names, browsers, domains, queries, and forms."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.accounts import new_user, settle
from tests.support.application import PASSWORD, App
from tests.support.machines import new_account, new_key, of_client
from tests.support.matrix import matrix, some_of
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

#: If unescaped, each text creates an element, an attribute, or a script.
HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "' onfocus=alert(1) x='",
    "</title><script>alert(1)</script>", "</textarea><b id=pwned>", "</code><b id=pwned>", "<!--", "]]>",
    "--><b id=pwned>", "{{ 7 * 7 }}", "{% raw %}", "%(who)s", "%s %d", "${7*7}", "#{7*7}", "javascript:alert(1)",
    "<b id=pwned>x</b>", "&lt;b&gt;", "&#60;b id=pwned&#62;", "\\u003cb id=pwned\\u003e", "a\tb", "`x`",
    "<a href='//evil.example'>x</a>", "<base href='//evil.example/'>", "<meta http-equiv=refresh content=0>",
    "<form action='//evil.example'>", "<input name=form value=x>", "<style>*{display:none}</style>",
    "<iframe src=//evil.example>",
]  # fmt: skip
NAMES = [text for text in HOSTILE if len(text) <= 100 and "\t" not in text]


def elements(page: Page) -> list[str]:
    return [each.tag for each in page.tree.iter() if isinstance(each.tag, str)]


def is_clean(page: Page) -> bool:
    tree = page.tree
    scripts = tree.xpath("//script[not(starts-with(@src, '/assets/'))]")
    odd = tree.xpath("//*[@id='pwned'] | //base | //iframe | //style | //meta[@http-equiv='refresh'] | //*[@onerror]")
    foreign = tree.xpath("//@*[name()='href' or name()='src' or name()='action'][contains(., 'evil')]")
    foreign = [url for url in foreign if not url.startswith("/console/users/export?")]
    handlers = [key for each in tree.iter() if isinstance(each.tag, str) for key in each.attrib if key.startswith("on")]
    return not (scripts or odd or foreign or handlers)


async def a_machine(app: App) -> int:
    """The ID of a service account, created once."""
    if "machine" not in app.ids:
        app.ids["machine"] = (await new_account(app, "acme"))["id"]
    return app.ids["machine"]


@matrix("text", some_of(NAMES, *NAMES[::4]))
async def test_a_users_name_and_browser(app: App, text: str) -> None:
    app.clock.advance(3600)
    visitor = await Visitor(app).signed_in("admin@acme.example")
    number, email = await new_user(app, firstName=text, lastName=text, title=text, password=PASSWORD)
    await app.sign_in(email, headers={"User-Agent": text})
    for path in ("/console", "/console/users?sort=ID_DESC", f"/console/users/{number}", "/console/audit"):
        page = await visitor.get(path)
        assert page.status == 200
        assert is_clean(page)
        assert " ".join(text.split()) in page.text


@matrix("text", some_of(HOSTILE, *HOSTILE[::4]))
async def test_a_query(app: App, text: str) -> None:
    app.clock.advance(3600)
    visitor = await Visitor(app).signed_in("admin@acme.example")
    for path in (
        "/console/users?q=", "/console/users?role=", "/console/users?after=",
        "/console/audit?person=", "/console/audit?event=", "/console/audit?from=", "/console/audit?after=",
        "/console/audit/export?format=csv&person=",
    ):  # fmt: skip
        page = await visitor.get(path + quote(text))
        assert page.status in (200, 400)
        assert is_clean(page)


@matrix("text", some_of(HOSTILE, *HOSTILE[::4]))
async def test_what_is_typed_into_a_form(app: App, text: str) -> None:
    app.clock.advance(3600)
    visitor = await Visitor(app).signed_in("admin@acme.example")
    number, _ = await new_user(app)
    user, machine = f"/console/users/{number}", f"/console/service-accounts/{(await new_account(app, 'acme'))['id']}"
    await app.post("/api/admin/clients/acme/scim", {"name": "okta"}, token=await app.admin_token())
    apps, of_sessions = "/console/rules?page=apps", "/console/rules?page=sessions"
    for path, holds, fields in (
        ("/console/invite", {}, {"people": text}),
        ("/console/invite", {}, {"people": f"{text}\n{text}"}),
        (apps, {}, {"contact": text, "allowedOrigins": text}),
        (of_sessions, {}, {"sessions.maxSeconds": text, "sessions.idleSeconds": text}),
        ("/console/domains", {"act": "claim"}, {"domain": text}),
        ("/console/domains", {"act": "claim-directory"}, {"directory": text}),
        ("/console/service-accounts/new", {}, {"name": text, "description": text, "addresses": text, "jwks": text}),
        (machine, {"act": "change"}, {"name": text, "jwks": text, "addresses": text}),
        (machine, {"act": "make"}, {"label": text, "expiresInDays": text}),
        (machine, {"act": "delete"}, {"confirmName": text}),
        ("/console/scim", {}, {"name": text}),
        ("/console/scim/okta", {"act": "change"}, {"groupRoles": text}),
        ("/console/branding", {"branding.accent": ""}, {"act": "save", "branding.name": text, "branding.accent": "x"}),
        (user, {"act": "details"}, {"firstName": text, "email": text}),
    ):  # fmt: skip
        shown = await visitor.get(path)
        path = path.partition("?")[0]
        page = await visitor.post(path, shown.form(path, **holds).fields | fields)
        assert page.status == 400, (path, page.text)
        assert is_clean(page)
        kept = {value for form in page.forms() for value in form.fields.values()}
        assert any(text.strip() in value for value in kept)


@matrix("text", some_of(NAMES, *NAMES[::4]))
async def test_a_clients_name_and_contact_line(app: App, text: str) -> None:
    app.clock.advance(3600)
    visitor = await Visitor(app).signed_in("admin@globex.example")
    await settle(app, "globex", contact=f"Ask {text}", branding={"name": text})
    for path in ("/console", "/console/rules", "/console/branding", "/console/invite", "/console/usage"):
        page = await visitor.get(path)
        assert page.status == 200
        assert is_clean(page)


@matrix("text", some_of(NAMES, *NAMES[::4]))
async def test_what_is_said_of_a_machine_and_its_key(app: App, text: str) -> None:
    app.clock.advance(3600)
    visitor = await Visitor(app).signed_in("admin@acme.example")
    base, token = of_client("acme"), await app.admin_token()
    number = (await new_account(app, "acme", description=text))["id"]
    await new_key(app, "acme", number, label=text)
    for path in ("/console/service-accounts", f"/console/service-accounts/{number}", "/console/audit"):
        page = await visitor.get(path)
        assert page.status == 200
        assert is_clean(page)
        assert " ".join(text.split()) in page.text
    await app.send("DELETE", f"{base}/{number}", token=token)  # a client has at most 50
