"""Keys, rate limits, settings, the audit trail, health, and backups on pages."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.pages.installation.console import TEN_MINUTES, act, prove
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.system_admins import another, enrolled, events, signed_in_admin
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

KEYS, THROTTLES, SETTINGS, AUDIT = (f"/installation/{name}" for name in ("keys", "throttles", "settings", "audit"))
FROM = "192.0.2.1"  # the address of test requests


def rows(page: Page) -> list[str]:
    return [" ".join(row.text_content().split()) for row in page.tree.xpath("//tbody/tr")]


async def keys(app: App, purpose: str) -> list[dict[str, str]]:
    reply = await app.get(f"/api/admin/keys?purpose={purpose}", token=await app.admin_token(fresh=True))
    return list(reply.data["items"])


async def test_keys_are_rotated_for_one_purpose_or_all(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    await app.sign_in()
    before = {purpose: len(await keys(app, purpose)) for purpose in ("access", "refresh")}
    done = await act(visitor, KEYS, act="rotate", purpose="access")
    assert done.location == KEYS
    assert [len(await keys(app, purpose)) - before[purpose] for purpose in before] == [1, 0]
    assert (await act(visitor, KEYS, act="rotate", purpose="")).status == 303
    assert [len(await keys(app, purpose)) - before[purpose] for purpose in before] == [2, 1]
    assert (await act(visitor, KEYS, act="rotate", purpose="x")).status == 400
    assert (await act(visitor, KEYS, act="x", purpose="access")).status == 400


async def test_a_key_is_retired_and_voided(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    token = (await app.sign_in()).data["token"]
    key = next(one for one in await keys(app, "access") if one["state"] == "signing")["id"]
    assert any(key in row for row in rows(await visitor.get(f"{KEYS}?purpose=access")))
    assert (await act(visitor, KEYS, act="retire", key=key)).status == 303
    assert (await app.me(token)).status == 200
    again = await act(visitor, KEYS, act="retire", key=key)
    assert (again.status, again.problems) == (409, ["The key is already retired"])
    assert (await act(visitor, KEYS, act="at-once", key=key)).location == KEYS
    assert (await app.me(token)).status == 401
    assert (await act(visitor, KEYS, act="retire", key="nothing")).status == 404


async def test_the_key_of_forms_can_be_voided_from_a_form(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    key = next(one for one in await keys(app, "forms") if one["state"] == "signing")["id"]
    done = await act(visitor, KEYS, act="at-once", key=key)
    assert done.status == 303
    assert (await visitor.follow(done)).status == 200
    assert (await act(visitor, KEYS, act="rotate", purpose="forms")).status == 303


@matrix("path", ["/installation/account", "/installation/admins", KEYS])
async def test_an_act_that_a_page_does_not_have_changes_nothing(app: App, path: str) -> None:
    named = {"/installation/admins": {"id": "1"}, KEYS: {"key": (await keys(app, "access"))[0]["id"]}}
    visitor = await Visitor(app).system_admin()
    before = await events(app)
    for what in ("", "x", "retired"):
        assert (await act(visitor, path, act=what, **named.get(path, {}))).status == 400
    assert await events(app) == before


@matrix(("path", "fields"), [
    (KEYS, {"act": "rotate", "purpose": "forms"}),
    (KEYS, {"act": "retire", "key": "nothing"}),
    (SETTINGS, {"adminAddresses": ""}),
])  # fmt: skip
async def test_these_want_a_fresh_password(app: App, path: str, fields: dict[str, str]) -> None:
    visitor = await Visitor(app).system_admin()
    app.clock.advance(TEN_MINUTES)
    asked = await act(visitor, path, **fields)
    assert (await prove(visitor, asked)).status in (303, 404)


async def test_who_is_throttled_is_let_go(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    assert "No active rate limits" in (await visitor.get(THROTTLES)).text
    email = "viewer@globex.example"
    while (await app.sign_in(email, "wrong", client="globex")).status != 429:
        pass
    assert rows(await visitor.get(THROTTLES))
    done = await visitor.follow(await act(visitor, THROTTLES, client="globex", email=email, address=FROM))
    assert "cleared." in done.text
    assert (await act(visitor, THROTTLES, address=FROM)).status == 303
    assert (await app.sign_in(email, PASSWORD, client="globex")).status == 200
    nothing = await visitor.follow(await act(visitor, THROTTLES, address="198.51.100.99"))
    assert "No rate limit was active" in nothing.text
    assert (await act(visitor, THROTTLES, act="all")).status == 303


@matrix(("fields", "status"), [
    ({}, 400),
    ({"email": "a@b.example"}, 400),
    ({"client": "acme"}, 400),
    ({"client": "acme", "email": "a@b.example", "username": "root"}, 400),
    ({"address": "nowhere"}, 400),
    ({"client": "nowhere", "email": "a@b.example"}, 404),
])  # fmt: skip
async def test_what_names_no_one_is_rejected_with_what_was_typed(app: App, fields: dict[str, str], status: int) -> None:
    visitor = await Visitor(app).system_admin()
    await act(visitor, THROTTLES, act="all")
    page = await act(visitor, THROTTLES, **fields)
    assert page.status == status
    if status == 400:
        assert len(page.problems) == 1
        assert {name: page.form(THROTTLES).fields[name] for name in fields} == fields


async def test_a_list_of_networks_must_hold_the_callers_own_address(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    refused = await act(visitor, SETTINGS, adminAddresses="10.0.0.0/8")
    assert (refused.status, "192.0.2.1" in refused.problems[0]) == (409, True)
    assert refused.form(SETTINGS).fields["adminAddresses"] == "10.0.0.0/8"
    for wrong in ("10.0.0.0/33", "x", "192.0.2.1/24/1", "1.1.1.1," * 600):
        page = await act(visitor, SETTINGS, adminAddresses=wrong)
        assert (page.status, len(page.problems)) == (400, 1)
    done = await act(visitor, SETTINGS, adminAddresses="192.0.2.0/24\r\n 10.0.0.0/8")
    assert done.location == SETTINGS
    page = await visitor.get(SETTINGS)
    assert page.form(SETTINGS).fields["adminAddresses"] == "192.0.2.0/24, 10.0.0.0/8"
    assert (await act(visitor, SETTINGS, adminAddresses="")).status == 303


async def test_who_requires_a_second_factor_must_have_one(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    refused = await act(visitor, SETTINGS, secondFactorRequired="on", adminAddresses="")
    assert (refused.status, refused.problems) == (409, ["Set up your own second factor first"])
    assert refused.form(SETTINGS).fields["secondFactorRequired"] == "on"
    me = await another(await signed_in_admin(app))
    phone = await enrolled(me)
    strong = Visitor(app)
    step = await strong.submit(
        await strong.get("/installation/sign-in"), "/installation/sign-in", username=me.username, password=PASSWORD
    )
    await strong.submit(step, "/installation/sign-in/code", otp=phone.code())
    assert (await act(strong, SETTINGS, secondFactorRequired="on", adminAddresses="")).status == 303
    assert (await visitor.get("/installation")).location == "/installation/account"
    assert (await act(strong, SETTINGS, adminAddresses="")).status == 303
    assert (await visitor.get("/installation")).status == 200


async def test_the_trail_is_shown_by_client_admin_event_and_day(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    await act(visitor, "/installation/clients", name="Trail Ltd", identifier="trail-ltd")
    page = await visitor.get(f"{AUDIT}?client=trail-ltd")
    assert len(rows(page)) == 1
    assert "Client created" in rows(page)[0]
    assert "root" in rows(page)[0]
    assert any(
        "Signed in" in row and "This server" in row for row in rows(await visitor.get(f"{AUDIT}?client=installation"))
    )
    mine = await visitor.get(f"{AUDIT}?admin=ROOT&event=client_created")
    assert all("Client created" in row for row in rows(mine))
    assert "trail-ltd" in mine.text
    assert "No matching events" in (await visitor.get(f"{AUDIT}?from=2001-01-01&to=2001-01-02")).text
    assert rows(await visitor.get(f"{AUDIT}?from=2001-01-01"))


@matrix(("query", "field"), [
    ("client=nowhere", "client"), ("admin=nobody", "admin"), ("event=x", "event"), ("from=yesterday", "from"),
    ("from=2026-13-01", "from"), ("to=x", "to"), ("from=2027-01-02&to=2027-01-01", "to"),
])  # fmt: skip
async def test_a_filter_that_cannot_be_is_named(app: App, query: str, field: str) -> None:
    page = await (await Visitor(app).system_admin()).get(f"{AUDIT}?{query}")
    assert (page.status, len(page.problems), page.title.startswith("Error: ")) == (400, 1, True)
    assert page.tree.xpath(f"//*[@name='{field}' and @aria-invalid='true']")


async def test_a_long_trail_has_pages(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    for _ in range(60):
        await app.sign_in("author@acme.example")
    seen, page = set[str](), await visitor.get(f"{AUDIT}?client=acme&event=signed_in")
    while True:
        numbers = {str(dd.text) for dd in page.tree.xpath("//tr//dl/div[1]/dd")}
        assert not seen & numbers
        seen |= numbers
        if "Older events" not in page.links():
            break
        page = await visitor.get(page.links()["Older events"])
    assert len(seen) >= 60
    assert (await visitor.get(f"{AUDIT}?after=x")).status == 400


async def test_health_says_what_doctor_finds(app: App) -> None:
    page = await (await Visitor(app).system_admin()).get("/installation/health")
    assert page.status == 200
    for area in ("Clock", "Secret key", "Hashing", "Mail", "Backup"):
        assert area in page.text


async def test_one_person_at_a_time_has_health_examined(app: App) -> None:
    """A health check computes hashes, and reads all encrypted data."""
    visitor, health = await Visitor(app).system_admin(), "/installation/health"
    pages = await asyncio.gather(*(visitor.get(health) for _ in range(3)))
    assert sorted(page.status for page in pages) == [200, 503, 503]
    assert {page.reply.headers.get("retry-after") for page in pages} == {None, "5"}
    assert (await visitor.get(health)).status == 200


async def test_backups_are_explained_and_not_handed_out(app: App) -> None:
    page = await (await Visitor(app).system_admin()).get("/installation/backups")
    assert "No backup recorded" in page.text
    assert "--note" in page.text or "manifest-auth backup" in page.text
    assert not page.tree.xpath("//main//form|//main//a")
