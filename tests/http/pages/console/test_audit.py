"""The audit trail on a page: one day, filtered, page by page, in plain language, and as a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.accounts import new_client, new_user, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/audit"


async def admin(app: App, client: str = "acme") -> Visitor:
    return await Visitor(app).signed_in(f"admin@{client}.example")


def sentences(page: Page) -> list[str]:
    return [" ".join(each.text_content().split()) for each in page.tree.xpath("//table//td[@class='what']//p")]


def facts_in(row: Any) -> dict[str, str]:
    """The details of an event."""
    return {pair.findtext("dt"): " ".join(pair.find("dd").text_content().split()) for pair in row.xpath(".//dl/div")}


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
    assert "No matching events" in page.text
    page = await visitor.get(f"{PATH}?event=domain_claimed")
    assert "No matching events" in page.text


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
        ("person=nobody%40acme.example", "No user has this email address"),
        ("person=admin%40globex.example", "No user has this email address"),
        ("from=yesterday", "Enter a date. For example, 2026-01-31."),
        ("from=2026-02-30", "Enter a date. For example, 2026-01-31."),
        ("from=2026-03-02&to=2026-03-01", "The last day must not be before the first day"),
        ("event=made_up", "Unknown event"),
    ],
)
async def test_an_invalid_filter_appears_beside_its_field(app: App, query: str, problem: str) -> None:
    page = await (await admin(app)).get(f"{PATH}?{query}")
    assert (page.status, page.problems) == (400, [problem])
    assert page.title.startswith("Error: ")
    [label] = page.tree.xpath("//*[@role='alert']//strong/text()")
    field = query.rpartition("&")[2].partition("=")[0]
    assert page.tree.xpath(f"//*[@id='{field}'][@aria-invalid='true'][@aria-describedby='{field}-error']")
    assert page.tree.xpath(f"string(//label[@for='{field}'])").startswith(label)


@matrix("query", ["after=x", "from=1&from=2", "event=" + "x" * 101, "result=good", "zone=" + "x" * 65])
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


async def test_the_last_day_of_all_is_rejected_beside_its_field(app: App) -> None:
    visitor = await admin(app)
    page = await visitor.get(f"{PATH}?to=9999-12-31")
    assert (page.status, len(page.problems)) == (400, 1)
    assert (await visitor.get(f"{PATH}/export?format=csv&to=9999-12-31")).status == 400


async def test_everything_as_a_file_is_in_the_order_that_verify_reads(app: App) -> None:
    visitor = await admin(app)
    page = await visitor.get(PATH)
    everything = await visitor.get(page.links()["All events"])
    assert everything.status == 200
    assert "All recorded events" in everything.text
    answer = await visitor.follow(await visitor.get(everything.links()["Export JSON Lines: all events"]))
    numbers = [json.loads(line)["sequence"] for line in answer.reply.text.splitlines()]
    assert numbers == list(range(1, len(await trail(app, "acme")) + 1))


async def test_the_zone_stands_beside_times_and_days(app: App) -> None:
    page = await (await admin(app)).get(PATH)
    assert "Times are in UTC." in page.text
    assert "First day (UTC)" in page.text
    [field] = page.tree.xpath("//input[@name='zone']")
    assert (field.get("type"), field.get("value")) == ("hidden", "")


async def test_a_day_is_that_of_the_time_zone_that_is_named(app: App) -> None:
    """At two in the morning in London, it's still the day before in New York, in any season."""
    app.clock.advance((86_400_000 - app.clock.now_ms() % 86_400_000) // 1000 + 7200)
    visitor = await admin(app)
    await new_user(app, firstName="Late", lastName="Evening")
    today = datetime.fromtimestamp(app.clock.now_ms() / 1000, UTC).date()
    made = "A system admin added Late Evening"
    for zone, is_yesterday in (("America/New_York", True), ("", False), ("Asia/Tokyo", False)):
        for day in (today - timedelta(1), today):
            query = f"event=user_created&from={day}&to={day}&zone={zone.replace('/', '%2F')}"
            page = await visitor.get(f"{PATH}?{query}")
            assert (made in sentences(page)) is ((day != today) is is_yesterday)
            assert f"Days are in {zone or 'UTC'}." in page.text
    href = (await visitor.get(f"{PATH}?from={today}&zone=Asia%2FTokyo")).links()["Export CSV: selected days"]
    assert "zone=Asia%2FTokyo" in href
    location = (await visitor.get(href)).location
    assert f"from={today - timedelta(1)}T15%3A00%3A00" in location


@matrix("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/", ".", "Europe\\Berlin"])
async def test_days_are_in_utc_where_the_zone_is_none(app: App, zone: str) -> None:
    page = await (await admin(app)).get(f"{PATH}?from=2027-01-01&{urlencode({'zone': zone})}")
    assert page.status == 200
    assert "Days are in UTC." in page.text


async def test_failures_are_a_filter_and_both_are_counted(app: App) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, roles=["Admin"], password=PASSWORD)
    for password in ("wrong", "wrong again", PASSWORD):
        reply = await app.sign_in(email, password, client)
    visitor = Visitor(app, {"session": reply.cookie("session")})
    page = await visitor.get(PATH)
    assert page.tree.xpath("string(//main//p[@role='status'])") == "Events: 5 · Failures and warnings: 2"
    page = await visitor.get(page.links()["Failures and warnings: 2"])
    assert sentences(page) == [f"A sign-in failed: {email}"] * 2
    said = [cell.text_content().split() for cell in page.tree.xpath("//td[@data-label='About']")]
    assert said == [["Sign-in", "Failed"]] * 2
    assert page.tree.xpath("//select[@name='result']/option[@selected]/@value") == ["failed"]
    answer = await visitor.follow(await visitor.get(page.links()["Export JSON Lines: last 24 hours"]))
    assert [json.loads(line)["event"] for line in answer.reply.text.splitlines()] == ["sign_in_failed"] * 2
    assert json.loads((await trail(app, client))[-1].detail)["filters"]["result"] == "failed"


async def test_what_changed_is_told_in_words(app: App) -> None:
    number, _ = await new_user(app, firstName="Grace", lastName="Hopper", roles=["Viewer"])
    path, root = f"/api/admin/clients/acme/users/{number}", await app.admin_token()
    assert (await app.send("PUT", f"{path}/roles", {"roles": ["Author", "Viewer"]}, token=root)).status == 200
    assert (await app.send("PATCH", path, {"title": "Rear Admiral"}, token=root)).status == 200
    lengths = {"sessions": {"idleSeconds": 5400}, "returnAddresses": ["https://a.example/in"]}
    await settle(app, "acme", sessions={"idleSeconds": 0}, returnAddresses=[])
    await settle(app, "acme", **lengths)
    providers = "/api/admin/clients/acme/providers"
    given = {"name": "told", "displayName": "Told", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    assert (await app.post(providers, given, token=root)).status == 201
    change = {"createUsers": True, "groupRoles": [{"group": "staff", "roles": ["Author", "Viewer"]}]}
    assert (await app.send("PATCH", f"{providers}/told", change, token=root)).status == 200
    page = await (await admin(app)).get(PATH)
    rows = {
        " ".join(row.xpath("string(.//td[@class='what']//p)").split()): facts_in(row)
        for row in page.tree.xpath("//tbody/tr")[::-1]
    }
    assert rows["A system admin changed the roles of Grace Hopper"]["Change"] == "Viewer → Author, Viewer"
    assert rows["A system admin changed the details of Grace Hopper"]["Title"] == "none → Rear Admiral"
    changed = rows["A system admin changed the settings"]
    assert changed["Idle timeout"] == "none → 1 h 30 min"
    assert "none → https://a.example/in" in changed.values()
    provider = rows["A system admin changed the provider Told"]
    assert (provider["Create users"], provider["Roles of groups"]) == (
        "no → yes", "none → Group: staff, Roles: Author, Viewer",
    )  # fmt: skip
    assert not [text for each in rows.values() for text in each.values() if text.startswith(("{", "["))]
