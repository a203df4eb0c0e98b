"""The audit trail on a page: a day of it, filtered, page by page, in plain words, and as a file."""

from __future__ import annotations

import json

import pytest

from tests.support.accounts import new_user, trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/audit"


async def admin(app: App, client: str = "acme") -> Visitor:
    return await Visitor(app).signed_in(f"admin@{client}.example")


def sentences(page: Page) -> list[str]:
    return [" ".join(each.text_content().split()) for each in page.tree.xpath("//table//td[@class='what']//p")]


async def test_a_day_by_default(app: App) -> None:
    visitor = await admin(app)
    await new_user(app, firstName="Old", lastName="Event")
    app.clock.advance(2 * 86_400)
    visitor = await admin(app)
    page = await visitor.get(PATH)
    assert sentences(page) == ["Admin Tester signed in"]
    assert "the last 24 hours" in page.text


async def test_days_people_and_events_are_filters(app: App) -> None:
    _, email = await new_user(app, firstName="Grace", lastName="Hopper")
    visitor, today = await admin(app), "2027-01-17"
    app.clock.advance(0)
    page = await visitor.get(f"{PATH}?event=user_created&person={email.replace('@', '%40')}&from=2027-01-01")
    assert sentences(page) == ["A system admin added Grace Hopper"]
    assert page.links()["Grace Hopper"].startswith("/console/users/")
    page = await visitor.get(f"{PATH}?to={today[:4]}-01-01")
    assert "No event fits" in page.text
    page = await visitor.get(f"{PATH}?event=domain_claimed")
    assert "No event fits" in page.text


async def test_no_event_is_offered_that_a_clients_trail_never_has(app: App) -> None:
    page = await (await admin(app)).get(PATH)
    offered = set(page.tree.xpath("//select[@name='event']//option/@value"))
    assert {"signed_in", "user_created", "client_changed", "mail_failed", "audit_swept", "audit_exported"} <= offered
    never = {"keys_made", "keys_rotated", "key_retired", "secrets_reencrypted", "license_installed", "license_refused",
             "license_state_changed", "backed_up", "restored", "schema_upgraded", "setup_code_made",
             "setup_code_failed", "admin_created", "admin_disabled", "admin_enabled", "admin_password_reset",
             "installation_changed", "client_deleted", "provider_name_pinned"}  # fmt: skip
    assert offered & never == set()
    visitor = await Visitor(app).system_admin()
    page = await visitor.get("/installation/audit")
    assert never <= set(page.tree.xpath("//select[@name='event']//option/@value"))


async def test_a_day_is_a_whole_one(app: App) -> None:
    visitor = await admin(app, "globex")
    day = (await visitor.get(PATH)).tree.xpath("//table//time")[0].get("datetime")[:10]
    assert sentences(await visitor.get(f"{PATH}?from={day}&to={day}&event=signed_in"))
    assert not sentences(await visitor.get(f"{PATH}?to={int(day[:4]) - 1}-12-31"))


async def test_page_by_page(app: App) -> None:
    for number in range(60):
        await new_user(app, firstName=f"Paged{number:02}", lastName="X")
    visitor = await admin(app)
    page = await visitor.get(f"{PATH}?event=user_created&from=2027-01-01")
    first = sentences(page)
    assert len(first) == 50
    page = await visitor.get(page.links()["Older events"])
    assert not set(first) & set(sentences(page)) or len(set(first)) == 50
    assert page.links()["Newest events"] == f"{PATH}?event=user_created&from=2027-01-01"
    assert any("Paged" in each for each in sentences(page))


@matrix(
    ("query", "problem"),
    [
        ("person=nobody%40acme.example", "No user here has this e-mail address"),
        ("person=admin%40globex.example", "No user here has this e-mail address"),
        ("from=yesterday", "Must be a day like 2026-01-31"),
        ("from=2026-02-30", "Must be a date or time like 2026-01-31T09:30:00Z"),
        ("from=2026-03-02&to=2026-03-01", "Must not be before the first day"),
        ("event=made_up", "No such event"),
    ],
)
async def test_what_is_no_filter_stands_beside_its_field(app: App, query: str, problem: str) -> None:
    page = await (await admin(app)).get(f"{PATH}?{query}")
    assert (page.status, page.problems) == (400, [problem])
    assert page.title.startswith("Error: ")
    field = query.rpartition("&")[2].partition("=")[0]
    assert page.tree.xpath(f"//*[@id='{field}'][@aria-invalid='true'][@aria-describedby='{field}-error']")


@matrix("query", ["after=x", "from=1&from=2", "event=" + "x" * 101])
async def test_what_no_form_of_ours_sends(app: App, query: str) -> None:
    assert (await (await admin(app)).get(f"{PATH}?{query}")).status == 400


@matrix(("form", "kind"), [("csv", "text/csv"), ("jsonl", "application/jsonl")])
async def test_the_filtered_trail_as_a_file(app: App, form: str, kind: str) -> None:
    _, email = await new_user(app, firstName="Exported", lastName="User")
    visitor = await admin(app)
    page = await visitor.get(f"{PATH}?event=user_created&person={email.replace('@', '%40')}")
    href = page.links()[{"csv": "Export CSV: last 24 hours", "jsonl": "Export JSON Lines: last 24 hours"}[form]]
    answer = await visitor.follow(await visitor.get(href))
    assert answer.status == 200
    assert answer.reply.headers["content-type"].startswith(kind)
    assert email in answer.reply.text
    assert answer.reply.text.count("user_created") == 1
    assert (await trail(app, "acme"))[-1].event == "audit_exported"


@matrix("query", ["", "format=exe", "format=csv&from=x", "format=csv&person=nobody%40x.example"])
async def test_no_file_of_what_there_is_not(app: App, query: str) -> None:
    visitor = await admin(app)
    before = len(await trail(app, "acme"))
    assert (await visitor.get(f"{PATH}/export?{query}")).status == 400
    assert len(await trail(app, "acme")) == before


async def test_the_trail_of_another_client_is_not_there(app: App) -> None:
    await new_user(app, "globex", firstName="Globexian", lastName="Person")
    assert "Globexian" not in (await (await admin(app)).get(f"{PATH}?from=2027-01-01")).text
    assert "Globexian" in (await (await admin(app, "globex")).get(f"{PATH}?from=2027-01-01")).text


async def test_the_last_day_of_all_is_refused_beside_its_field(app: App) -> None:
    visitor = await admin(app)
    page = await visitor.get(f"{PATH}?to=9999-12-31")
    assert (page.status, len(page.problems)) == (400, 1)
    assert (await visitor.get(f"{PATH}/export?format=csv&to=9999-12-31")).status == 400


async def test_everything_as_a_file_is_in_the_order_that_verify_reads(app: App) -> None:
    visitor = await admin(app)
    page = await visitor.get(PATH)
    everything = await visitor.get(page.links()["Everything"])
    assert everything.status == 200
    assert "Everything that is kept" in everything.text
    answer = await visitor.follow(await visitor.get(everything.links()["Export JSON Lines: everything"]))
    numbers = [json.loads(line)["sequence"] for line in answer.reply.text.splitlines()]
    assert numbers == list(range(1, len(await trail(app, "acme")) + 1))


async def test_the_zone_stands_beside_times_and_days(app: App) -> None:
    page = await (await admin(app)).get(PATH)
    assert "Times are in UTC, days in UTC." in page.text
    assert "First day (UTC)" in page.text
