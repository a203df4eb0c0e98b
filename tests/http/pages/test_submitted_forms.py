"""Every form of a page takes effect once, is never lost, and leads to a redirect, even if a secret is shown."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import new_client, new_user, settle
from tests.support.application import PASSWORD, App, running
from tests.support.background_jobs import sweep_expired
from tests.support.faults import store_fails_after
from tests.support.forged_tokens import former_token, right_token, right_tokens
from tests.support.machines import new_account
from tests.support.matrix import matrix
from tests.support.routes import PAGES, Route, filled
from tests.support.rows import rows
from tests.support.single_sign_on import add_provider
from tests.support.smaller_limits import form_waits
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.timeout(600)]
POST = [route for route in PAGES if route.method == "POST"]
#: Pages for everyone. Anonymous posts leave no rows, and each has steps that work once. Other tests cover apps.
OPEN = (
    "/language",
    "/o/",
    "/sign-in",
    "/sign-out",
    "/forgot",
    "/welcome",
    "/installation/sign-",
    "/installation/setup",
)
#: Forms that change only the session's authentication; a repeated one is checked again.
JUDGED_ANEW = ("/reauthenticate", "/installation/reauthenticate", "/console/providers/{name}/test")
PERSONAL = [route for route in POST if not route.path.startswith(OPEN) and route.path not in JUDGED_ANEW]
NEW = "a longer password than before"
#: Field values, by the page that they are posted to. Other pages reject an empty form.
TYPED = {
    "/account/profile": {"firstName": "Ada"},
    "/account/language": {"language": "de"},
    "/account/password": {"currentPassword": PASSWORD, "newPassword": NEW},
    "/account/second-factor": {"act": "begin"},
    "/account/devices/pair": {"act": "begin"},
    "/console/users/{id}": {"act": "invite"},
    "/console/invite": {"people": "one@new.example\ntwo@new.example", "roleViewer": "on"},
    "/console/users/{id}/badge": {"act": "standard"},
    "/console/devices": {"act": "enrol", "name": "Headset 1"},
    "/console/apps/new": {"kind": "web", "name": "Reports", "redirectUris": "https://reports.example.com/"},
    "/console/apps/{app}": {"act": "secret"},
    "/console/scim": {"name": "press"},
    "/console/scim/{connection}": {"act": "token"},
    "/console/service-accounts/new": {"name": "press", "roleViewer": "on"},
    "/console/service-accounts/{id}": {"act": "make", "kind": "key", "label": "first"},
    "/console/providers/{name}/theirs": {
        "oidc.issuer": "https://y.okta.example",
        "oidc.clientId": "d",
        "oidc.clientAuthentication": "none",
        "oidc.unchecked": "on",
    },
    "/console/providers/{name}/delete": {"confirmed": "okta"},
    "/console/providers/{name}/switch-off": {"confirmed": "yes"},
    "/console/domains": {"act": "claim", "domain": "new.example"},
    "/console/rules": {"act": "save", "contact": "IT desk"},
    "/console/branding": {"act": "save", "name": "Acme"},
    "/installation/throttles": {"act": "all"},
    "/installation/clients": {"identifier": "initech", "name": "Initech"},
    "/installation/clients/{client}": {"act": "invite", "email": "boss@new.example"},
    "/installation/clients/{client}/rules": {"act": "save", "contact": "IT desk"},
    "/installation/admins": {"act": "make", "username": "grace"},
    "/installation/account": {"act": "add"},
    "/installation/keys": {"act": "rotate", "purpose": "service"},
}
#: Forms that submit all other fields of the page that shows them, by that page.
WHOLE: dict[str, Callable[[str], str]] = {
    "/console/providers/{name}/theirs": lambda path: f"{path.removesuffix('/theirs')}?step=theirs",
    "/console/rules": lambda path: f"{path}?page=apps",
    "/installation/clients/{client}/rules": lambda path: f"{path}?page=apps",
}
#: Forms that lead to a secret.
SECRETS = (
    "/account/devices/pair", "/console/users/{id}", "/console/invite", "/console/users/{id}/badge",
    "/console/devices", "/console/apps/{app}", "/console/scim", "/console/scim/{connection}",
    "/console/service-accounts/{id}", "/installation/clients/{client}",
    "/installation/admins", "/installation/account",
)  # fmt: skip


class World(NamedTuple):
    """``visitor`` is a client's Admin and a system admin; ``email`` is the Admin's address."""

    app: App
    client: str
    email: str
    visitor: Visitor
    names: dict[str, object]

    def path(self, route: Route) -> str:
        return filled(route.path, **self.names)

    async def sent(self, route: Route) -> dict[str, str]:
        """A form with its own token."""
        path, typed = self.path(route), dict(TYPED.get(route.path, {}))
        if route.path in WHOLE:
            page = await self.visitor.get(WHOLE[route.path](path))
            shown = next(form for form in page.forms() if form.action == path)
            typed = shown.fields | typed
        for name in ("identifier", "username", "email"):
            if name in typed:
                typed[name] = f"{secrets.token_hex(5)}{typed[name]}"
        return typed | {"form": await right_token(self.visitor, path)}

    async def events(self) -> Counter[str]:
        """Count each kind of event among the last hundred of all clients and of the installation, except sign-ins and
        the server's background work."""
        found = await self.app.get("/api/admin/audit?first=100", token=await self.app.admin_token())
        items = [one for one in found.data["items"] if one["actor"] != "system"]
        return Counter(one["event"] for one in items if "signed" not in one["event"])


async def world(app: App) -> World:
    client = await new_client(app)
    await settle(app, client, pairing={"scan": True}, badge={"enabled": True})
    _, email = await new_user(app, client, password=PASSWORD, roles=["Admin", "Author", "Operator", "Viewer"])
    await new_user(app, client, password=PASSWORD, roles=["Admin", "Author", "Operator", "Viewer"])
    number, _ = await new_user(app, client)
    await add_provider(app, client, name="okta", oidc={"issuer": "https://x.okta.example", "clientId": "c"})
    machine = (await new_account(app, client))["id"]
    visitor = Visitor(app, {"session": (await app.sign_in(email, PASSWORD, client=client)).cookie("session")})
    at, body = f"/api/admin/clients/{client}/apps", {"name": "A", "kind": "web", "redirectUris": ["https://a.example/"]}
    web = (await app.post(at, body, token=await app.admin_token())).data["id"]
    await app.post(f"/api/admin/clients/{client}/scim", {"name": "okta"}, token=await app.admin_token())
    names: dict[str, object] = {"client": client, "id": number, "name": "okta", "machine": machine, "app": web}
    names["connection"] = "okta"
    return World(app, client, email, await visitor.system_admin(), names)


async def world_of(app: App, route: Route) -> World:
    made = await world(app)
    if "/service-accounts/" in route.path:
        made.names["id"] = made.names["machine"]
    return made


def copy_of(visitor: Visitor, app: App | None = None) -> Visitor:
    """The same browser with its earlier cookies, as if it hadn't received the first response."""
    return Visitor(app or visitor.app, dict(visitor.cookies))


def answer(page: Page) -> tuple[int, str | None]:
    return page.status, page.reply.headers.get("location")


async def check_once(app: App, other: App, route: Route) -> int:
    """Post one form twice at the same time, and a third time afterward; returns the status."""
    one = await world_of(app, route)
    path, fields = one.path(route), await one.sent(route)
    before, browser = await one.events(), dict(one.visitor.cookies)
    pages = await asyncio.gather(*(Visitor(at, dict(browser)).post(path, fields) for at in (app, other, app)))
    assert {answer(page)[0] for page in pages} == {pages[0].status}, [page.reply.text for page in pages]
    if pages[0].status != 303:
        return pages[0].status
    assert len({answer(page) for page in pages}) == 1
    made = await one.events() - before
    assert all(many == 1 for name, many in made.items() if name != "user_invited"), made
    assert made["user_invited"] <= fields.get("people", "").count("@") + 1
    again = await Visitor(app, dict(browser)).post(path, fields)
    if again.location.startswith(("/sign-in?", "/installation/sign-in?")):  # the action ended this session
        return 303
    assert answer(again) == answer(pages[0])
    assert await one.events() - before <= made
    return 303


@matrix("route", PERSONAL)
async def test_sent_twice_it_is_carried_out_once(app: App, database_url: str, route: Route) -> None:
    """On a single node, and on two."""
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        assert (await check_once(app, other, route)) < 500


@matrix("route", [route for route in PERSONAL if route.path in TYPED])
async def test_it_is_answered_with_a_redirect_and_a_reload_does_nothing(app: App, route: Route) -> None:
    one = await world_of(app, route)
    page = await one.visitor.post(one.path(route), await one.sent(route))
    assert page.status == 303, page.problems or page.text
    before = await one.events()
    shown = [await one.visitor.get(page.location) for _ in range(2)]
    assert shown[0].status == shown[1].status
    assert await one.events() - before == Counter()


def secret_on(page: Page) -> list[str]:
    return [
        " ".join(found.text_content().split())
        for found in page.tree.xpath("//code|//*[@class='qr-code']")
        if found.get("id") or found.get("class")
    ]


@matrix("route", [route for route in PERSONAL if route.path in SECRETS])
async def test_a_secret_is_shown_for_ten_minutes_in_this_session_or_until_it_is_saved(app: App, route: Route) -> None:
    one = await world_of(app, route)
    page = await one.visitor.post(one.path(route), await one.sent(route))
    assert page.status == 303, page.problems or page.text
    address, plain = page.location, page.location.partition("?")[0]
    first = await one.visitor.get(address)
    assert secret_on(first) != secret_on(await one.visitor.get(plain))
    assert secret_on(await one.visitor.get(address)) == secret_on(first)
    again = await Visitor(
        app, {"session": (await app.sign_in(one.email, PASSWORD, client=one.client)).cookie("session")}
    ).system_admin()
    assert secret_on(await again.get(address)) == secret_on(await again.get(plain))  # another session of the person
    app.clock.advance(599)
    assert secret_on(await one.visitor.get(address)) == secret_on(first)
    dismissing = [form for form in first.forms() if "dismiss" in form.fields]
    if dismissing:
        done = await copy_of(one.visitor).post(dismissing[0].action, dismissing[0].fields)
        assert (done.status, "shown=" in done.location) == (303, False)
    else:
        app.clock.advance(1)
    assert secret_on(await one.visitor.get(address)) == secret_on(await one.visitor.get(plain))


def waiting_in(page: Page) -> str:
    """The URL that a sign-in leads to in order to continue with the form."""
    assert page.location.partition("?")[0] in ("/sign-in", "/installation/sign-in"), page.location
    [back] = parse_qs(urlsplit(page.location).query)["returnTo"]
    assert "/continue?form=" in back
    return back


async def signed_out(one: World) -> None:
    """End both sessions, as an administrator would."""
    await one.app.post("/api/client/auth/sign-out", cookie=one.visitor.cookies["session"])
    page = await copy_of(one.visitor).get("/installation/account")
    await copy_of(one.visitor).submit(page, "/installation/sign-out")


@matrix("route", PERSONAL)
async def test_it_waits_for_its_person_after_the_session_has_ended(app: App, route: Route) -> None:
    one = await world_of(app, route)
    fields = await one.sent(route)
    await signed_out(one)
    before = await one.events()
    sent = await one.visitor.post(one.path(route), fields)
    back = waiting_in(sent)
    twice = await one.visitor.post(one.path(route), fields)
    assert answer(twice) == answer(sent)
    stranger = await Visitor(app).signed_in()
    assert (await stranger.get(back)).location in (
        "/account",
        f"/installation/sign-in?returnTo={back}".replace(
            "/installation/continue?form=", "%2Finstallation%2Fcontinue%3Fform%3D"
        ),
    )
    me = await Visitor(
        app, {"session": (await app.sign_in(one.email, PASSWORD, client=one.client)).cookie("session")}
    ).system_admin()
    page = await me.get(back)
    assert await one.events() - before == Counter()
    is_shown = any(form.action == one.path(route) for form in page.forms()) if page.status == 409 else False
    assert is_shown or page.status in (303, 404, 409), page.problems or page.text
    if is_shown:
        assert page.problems == [
            "Nothing was saved because your session expired. Check the form, enter passwords and other secrets again, "
            "and then submit it."
        ]
        shown = {
            name: text for form in page.forms() if form.action == one.path(route) for name, text in form.fields.items()
        }
        kept = {
            name: text
            for name, text in fields.items()
            if name in shown and name not in ("form", "act", "typed") and "assword" not in name and shown[name] != text
        }
        assert kept == {}
    assert PASSWORD not in page.reply.text
    assert NEW not in page.reply.text


@matrix("route", [route for route in PERSONAL if route.path in TYPED])
async def test_it_is_carried_out_after_a_recent_proof(app: App, route: Route) -> None:
    """On a page that requires re-authentication, by the same person in the same session."""
    one = await world_of(app, route)
    await settle(app, one.client, stepUp="management")
    app.clock.advance(601)
    fields = await one.sent(route)
    page = await one.visitor.post(one.path(route), fields)
    if "/reauthenticate?" not in page.location:
        return
    before, question = await one.events(), await one.visitor.get(page.location)
    assert PASSWORD not in question.reply.text
    named = {"proofPassword": PASSWORD} if route.path.startswith("/installation") else {"currentPassword": PASSWORD}
    proof = page.location.partition("?")[0]
    proved = await one.visitor.submit(question, proof, None, **named)
    elsewhere = await copy_of(one.visitor).get(proved.location, Sec_Fetch_Site="cross-site")
    assert elsewhere.status == 409 or not elsewhere.location.startswith("/account/continue")
    assert await one.events() - before <= Counter(reauthenticated=1)
    done = await one.visitor.get(proved.location, Sec_Fetch_Site="same-origin")
    assert done.status == 303, done.reply.text
    assert sum((await one.events() - before).values()) >= 1
    assert answer(await one.visitor.get(proved.location, Sec_Fetch_Site="same-origin")) == answer(done)


async def test_the_form_of_another_person_is_rejected(app: App) -> None:
    one = await world(app)
    page = await one.visitor.get("/account/profile")
    fields = page.form("/account/profile").fields | {"firstName": "Eve"}
    other = await Visitor(app).signed_in()
    await other.get("/account")
    refused = await other.post("/account/profile", fields)
    assert (refused.status, refused.heading) == (403, "This page has expired")
    assert "Your changes weren't saved. Go back and try again." in refused.text


async def test_a_second_tab_after_a_sign_in_leads_to_where_the_person_is(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.get("/sign-in")
    second = page.form("/sign-in").fields
    await visitor.follow(await visitor.submit(page, "/sign-in", email="author@acme.example"))
    await visitor.signed_in()
    visitor.cookies["form"] = (await Visitor(app).get("/sign-in")).reply.cookie("form")
    sent = await visitor.post("/sign-in", second | {"email": "author@acme.example"})
    assert (sent.status, sent.location) == (303, "/sign-in")
    assert (await visitor.follow(sent)).status == 200


async def test_a_page_that_was_open_for_more_than_a_day_is_shown_again(app: App) -> None:
    visitor = await (await Visitor(app).signed_in()).system_admin()
    page = await visitor.get("/account/profile")
    app.clock.advance(86_400)
    visitor.cookies["session"] = (await app.sign_in("author@acme.example", PASSWORD)).cookie("session")
    sent = await visitor.submit(page, "/account/profile", firstName="Grace")
    assert sent.status == 409
    assert sent.form("/account/profile").fields["firstName"] == "Grace"
    assert (await visitor.submit(sent, "/account/profile")).status == 303


NOT_SAVED = "These changes weren't saved. Check the form, enter passwords and other secrets again, and then submit it."
UNKNOWN = (
    "This form was already submitted, but the result isn't known. "
    "Check whether it was saved before you submit it again."
)
MAKE = "/console/service-accounts/new"


@matrix("is_ended", [False, True])
async def test_where_its_answer_is_not_stored_no_page_says_that_nothing_was_done(
    app: App, monkeypatch: pytest.MonkeyPatch, *, is_ended: bool
) -> None:
    """The action is stored, and then the database fails for a while, or the request is canceled."""
    one, name = await world(app), secrets.token_hex(5)
    fields = {"name": name, "roleViewer": "on", "form": await right_token(one.visitor, MAKE)}
    form_waits(monkeypatch, tries=(0.0,), wait=0.1)
    with store_fails_after(app, 1, is_ended=is_ended):
        page = await one.visitor.post(MAKE, fields)
    again = await one.visitor.post(MAKE, fields)
    assert [(each.status, each.problems) for each in (page, again)] == [(409, [UNKNOWN])] * 2
    assert (await one.visitor.get("/console/service-accounts")).text.count(name) == 1


async def test_its_answer_is_stored_though_the_store_fails_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await world(app)
    fields = {"name": "press", "roleViewer": "on", "form": await right_token(one.visitor, MAKE)}
    form_waits(monkeypatch, tries=(0.0,))
    with store_fails_after(app, 1, times=1):
        page = await one.visitor.post(MAKE, fields)
    assert page.status == 303
    assert answer(await one.visitor.post(MAKE, fields)) == answer(page)


async def test_changed_and_sent_again_it_is_shown_and_not_dropped(app: App) -> None:
    """As after Back to the unchanged page."""
    visitor = await Visitor(app).signed_in()
    fields = (await visitor.get("/account/profile")).form("/account/profile").fields
    assert (await visitor.post("/account/profile", fields | {"firstName": "Ada"})).status == 303
    page = await visitor.post("/account/profile", fields | {"firstName": "Grace"})
    assert (page.status, page.problems) == (409, [NOT_SAVED])
    assert page.form("/account/profile").fields["firstName"] == "Grace"
    stored = await visitor.get("/account/profile")
    assert stored.form("/account/profile").fields["firstName"] == "Ada"
    assert (await visitor.submit(page, "/account/profile")).status == 303
    stored = await visitor.get("/account/profile")
    assert stored.form("/account/profile").fields["firstName"] == "Grace"


@matrix("kind", ["another browser", "no cookie", "old"])
async def test_only_a_browser_with_a_form_of_today_leaves_one_behind(app: App, kind: str) -> None:
    visitor = await Visitor(app).signed_in()
    fields = (await visitor.get("/account/profile")).form("/account/profile").fields
    before = len(await rows(app, "submitted_forms"))
    del visitor.cookies["session"]
    if kind == "another browser":
        visitor.cookies["form"] = (await Visitor(app).get("/sign-in")).reply.cookie("form")
    elif kind == "no cookie":
        del visitor.cookies["form"]
    else:
        app.clock.advance(86_400)
    page = await visitor.post("/account/profile", fields)
    assert page.location == "/sign-in?returnTo=%2Faccount%2Fprofile"
    assert len(await rows(app, "submitted_forms")) == before


async def test_only_the_fields_of_the_form_wait(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    fields = (await visitor.get("/account/profile")).form("/account/profile").fields
    del visitor.cookies["session"]
    waiting_in(await visitor.post("/account/profile", fields | {f"x{number}": "y" * 600 for number in range(20)}))
    assert max(len(kept or b"") for [kept] in await rows(app, "submitted_forms", "kept")) < 1000


async def waiting_for_proof(app: App, path: str, **typed: str) -> tuple[World, Page, str]:
    """The page that requires re-authentication, and the address that it leads to."""
    one = await world(app)
    await settle(app, one.client, stepUp="management")
    app.clock.advance(601)
    route = next(route for route in POST if route.path == path)
    question = await one.visitor.get((await one.visitor.post(one.path(route), await one.sent(route) | typed)).location)
    proved = await copy_of(one.visitor).submit(question, "/reauthenticate", currentPassword=PASSWORD)
    return one, question, proved.location


async def test_a_secret_in_it_is_entered_again_after_a_recent_proof(app: App) -> None:
    """Otherwise, the page would confirm the change, although the old secret would still be in use."""
    path = "/console/providers/{name}/theirs"
    one, _, there = await waiting_for_proof(app, path, **{"oidc.clientSecret": "new-secret-of-theirs"})
    page = await one.visitor.get(there, Sec_Fetch_Site="same-origin")
    assert (page.status, page.problems) == (409, [NOT_SAVED])
    fields = page.form("/console/providers/okta/theirs").fields
    assert (fields["oidc.clientId"], fields["oidc.clientSecret"]) == ("d", "")


async def test_after_cancel_it_is_not_carried_out_any_longer(app: App) -> None:
    one, question, there = await waiting_for_proof(app, "/console/rules")
    before = await one.events()
    page = await one.visitor.get(question.links()["Back"])
    assert page.form("/console/rules").fields["contact"] == "IT desk"
    page = await one.visitor.get(there, Sec_Fetch_Site="same-origin")
    assert (page.status, page.location) == (303, "/account")
    assert await one.events() - before == Counter()


async def test_it_waits_though_the_store_fails_after_one_write(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    fields = (await visitor.get("/account/profile")).form("/account/profile").fields
    del visitor.cookies["session"]
    with store_fails_after(app, 1):
        waiting_in(await visitor.post("/account/profile", fields))


async def test_what_it_keeps_is_deleted_after_an_hour(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    page = await visitor.get("/account/profile")
    del visitor.cookies["session"]
    waiting_in(await visitor.submit(page, "/account/profile"))
    app.clock.advance(3601)
    await sweep_expired(app)
    now = app.clock.now_ms()
    kept = await rows(app, "submitted_forms", "kept", "made_at")
    assert [one for one, made_at in kept if made_at < now - 3_600_000 and one is not None] == []
    assert kept != []


async def test_no_one_waits_for_an_act_that_must_have_ended(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process was killed in the middle."""
    one = await world(app)
    fields = {"name": "press", "roleViewer": "on", "form": await right_token(one.visitor, MAKE)}
    form_waits(monkeypatch, tries=(), wait=3600.0)
    with store_fails_after(app, 1):
        await one.visitor.post(MAKE, fields)
    app.clock.advance(300)
    async with asyncio.timeout(60):
        assert (await one.visitor.post(MAKE, fields)).problems == [UNKNOWN]


async def test_a_secret_is_shown_by_its_own_page_alone(app: App) -> None:
    one = await world(app)
    route = next(route for route in POST if route.path == "/account/devices/pair")
    page = await one.visitor.post(one.path(route), await one.sent(route))
    key = page.location.partition("?")[2]
    plain, shown = [await one.visitor.get(f"/console/users/{one.names['id']}{query}") for query in ("", f"?{key}")]
    assert shown.status == 200
    assert secret_on(shown) == secret_on(plain)


async def test_two_forms_of_one_page_that_differ_both_wait(app: App) -> None:
    """As after Back from the sign-in page, with something changed before the form is submitted again; also after the
    first one took effect."""
    for kept in ("nothing", "the first"):
        visitor = await Visitor(app).signed_in()
        fields = (await visitor.get("/account/profile")).form("/account/profile").fields
        if kept == "nothing":
            assert (await visitor.post("/account/profile", fields | {"firstName": "Ada"})).status == 303
        del visitor.cookies["session"]
        first, second = [
            waiting_in(await visitor.post("/account/profile", fields | {"firstName": name}))
            for name in ("Eve", "Grace")
        ]
        again = await Visitor(app).signed_in()
        for back, name in ((first, "Eve"), (second, "Grace")):
            page = await again.get(back)
            assert page.form("/account/profile").fields["firstName"] == name


async def test_once_it_went_on_its_fields_are_kept_no_longer(app: App) -> None:
    one, _, there = await waiting_for_proof(app, "/console/rules")
    before = [kept for [kept] in await rows(app, "submitted_forms", "kept") if kept is not None]
    done = await one.visitor.get(there, Sec_Fetch_Site="same-origin")
    assert done.status == 303
    after = [kept for [kept] in await rows(app, "submitted_forms", "kept") if kept is not None]
    assert len(before) - len(after) == 1
    assert answer(await one.visitor.get(there, Sec_Fetch_Site="same-origin")) == answer(done)
    elsewhere = Visitor(app, {"session": (await app.sign_in(one.email, PASSWORD, client=one.client)).cookie("session")})
    assert (await elsewhere.get(there)).location == "/account"


async def test_a_person_has_no_more_than_two_hundred_of_them(app: App) -> None:
    one = await world(app)
    fields = (await one.visitor.get("/account/profile")).form("/account/profile").fields
    tokens, had = await right_tokens(one.visitor, "/account/profile"), len(await rows(app, "submitted_forms"))
    for _ in range(205):
        app.clock.advance(0.001)
        assert (await one.visitor.post("/account/profile", fields | {"form": tokens()})).status == 303
    assert len(await rows(app, "submitted_forms")) - had <= 201
    assert (await one.visitor.post("/account/profile", fields | {"form": fields["form"]})).status == 303


@matrix("route", [route for route in POST if route.path in JUDGED_ANEW])
async def test_a_proof_and_a_preview_leave_nothing_behind(app: App, route: Route) -> None:
    one = await world(app)
    before = len(await rows(app, "submitted_forms"))
    typed = {"currentPassword": PASSWORD, "proofPassword": PASSWORD, "returnTo": "/account"}
    fields = typed | {"form": await right_token(one.visitor, one.path(route))}
    for _ in range(2):
        assert (await one.visitor.post(one.path(route), fields)).status in (200, 303)
    wrong = await one.visitor.post(one.path(route), fields | {"currentPassword": "x", "proofPassword": "x"})
    assert wrong.status != 409  # a changed repeat is a different form
    assert len(await rows(app, "submitted_forms")) == before


async def test_a_form_of_a_node_that_is_not_upgraded_yet_is_carried_out_once(app: App) -> None:
    one = await world(app)
    fields = {"name": "press", "roleViewer": "on", "form": await former_token(one.visitor, MAKE)}
    pages = [await one.visitor.post(MAKE, fields) for _ in range(2)]
    assert answer(pages[0]) == answer(pages[1])
    assert pages[0].status == 303
    assert (await one.visitor.get("/console/service-accounts")).text.count("press") == 1
    elsewhere = await one.visitor.post("/account/profile", fields)
    another = await Visitor(app).signed_in("admin@acme.example")
    another.cookies["form"] = one.visitor.cookies["form"]
    assert [page.status for page in (elsewhere, await another.post(MAKE, fields))] == [403, 403]
