"""Users with ``audit:read`` read their client's audit trail, and system admins read all clients' trails."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import smaller_limits
from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.team import Team, new_team

MINE, ALL = "/api/client/audit", "/api/admin/audit"
MEMBERS = {"client", "sequence", "at", "event", "actor", "subject", "address", "requestId", "detail", "hash"}
PAGE = """query($first: Int, $after: String, $filter: AuditFilter, $order: AuditOrder) {
  auditEventsPage(first: $first, after: $after, filter: $filter, order: $order) {
    items { sequence at event actor subject address requestId detail hash } nextCursor total } }"""
LIST = """query($first: Int, $after: String, $filter: AuditFilter, $order: AuditOrder) {
  auditEvents(first: $first, after: $after, filter: $filter, order: $order) { sequence actor subject } }"""


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    """A client with some events, one second apart."""
    made = await new_team(app)
    for role in ("Admin", "User Admin", "Viewer"):
        app.clock.advance(1)
        await made.member(role)
    for _ in range(3):
        app.clock.advance(1)
        await app.sign_in("nobody@nowhere.example", "wrong-password-here", client=made.client)
    return made


async def read(app: App, path: str, token: str, **query: Any) -> list[dict[str, Any]]:
    """Read all events, page by page."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        asked = "&".join(f"{name}={value}" for name, value in {**query, "after": after}.items())
        data = check_success(await app.get(f"{path}?{asked}", token=token))
        found += data["items"]
        if data["nextCursor"] is None:
            return found
        after = data["nextCursor"]


def is_met(event: dict[str, Any], name: str, value: Any) -> bool:
    return f"user:{value}" in (event["actor"], event["subject"]) if name == "user" else bool(event[name] == value)


async def test_each_event_has_actor_action_time_and_address(app: App, team: Team) -> None:
    token = (await team.member("Admin")).token
    found = await read(app, MINE, token)
    assert all(set(event) == MEMBERS for event in found)
    assert {event["client"] for event in found} == {team.client}
    numbers = [event["sequence"] for event in found]
    assert numbers == list(range(len(found), 0, -1))  # newest first
    assert found[-1]["event"] == "client_created"
    assert found[-1]["actor"].startswith("admin:")
    failed = next(event for event in found if event["event"] == "sign_in_failed")
    assert failed["address"] == "192.0.2.1"
    assert failed["detail"]["method"] == "password"


@matrix("order", ["newest", "oldest"])
@matrix("first", [1, 3, 100])
async def test_pages_are_complete_and_in_order(app: App, team: Team, order: str, first: int) -> None:
    token = (await team.member("Admin")).token
    numbers = [event["sequence"] for event in await read(app, MINE, token, order=order, first=first)]
    assert numbers == sorted(set(numbers), reverse=order == "newest")
    assert numbers == list(numbers)
    assert len(numbers) == max(numbers)
    assert len(numbers) >= 10


@matrix("step", [1, 2, 5000])
@matrix("order", ["newest", "oldest"])
async def test_filters_narrow_and_add_up(
    app: App, team: Team, monkeypatch: pytest.MonkeyPatch, step: int, order: str
) -> None:
    smaller_limits.audit_search(monkeypatch, step)
    viewer = await team.member("Viewer")
    admin = (await team.member("Admin")).token
    everything = await read(app, MINE, admin, order=order)
    subject = f"user:{viewer.id}"
    for query in (
        {"event": "sign_in_failed"},
        {"event": "signed_in"},
        {"subject": subject},
        {"actor": "anonymous"},
        {"actor": "anonymous", "event": "signed_in", "subject": subject},
        {"actor": "nobody"},
        {"event": "keys_rotated"},
        {"user": viewer.id},
    ):
        expected = [e for e in everything if all(is_met(e, *condition) for condition in query.items())]
        for first in (1, 50):
            assert await read(app, MINE, admin, order=order, first=first, **query) == expected, query
        wanted = {"userId" if name == "user" else name: value for name, value in query.items()}
        page = await team.ask("Admin", PAGE, first=1, filter=wanted, order=order.upper())
        assert page["total"] == len(expected), query
        plain = await team.ask("Admin", LIST, first=100, filter=wanted, order=order.upper())
        assert [one["sequence"] for one in plain] == [one["sequence"] for one in expected]
    middle = everything[len(everything) // 2]["at"]
    later = [e for e in everything if e["at"] >= middle]
    assert 0 < len(later) < len(everything)
    assert await read(app, MINE, admin, order=order, **{"from": middle}) == later
    assert await read(app, MINE, admin, order=order, to=middle) == [e for e in everything if e["at"] < middle]
    assert await read(app, MINE, admin, order=order, first=1, **{"from": middle, "event": "sign_in_failed"}) == [
        e for e in later if e["event"] == "sign_in_failed"
    ]


async def test_a_search_without_results_ends_with_a_cursor(
    app: App, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller_limits.audit_search(monkeypatch, 1, most=3)
    token = (await team.member("Admin")).token
    answer = check_success(await app.get(f"{MINE}?event=client_created", token=token))
    assert answer["items"] == []
    assert answer["nextCursor"] is not None
    assert [e["sequence"] for e in await read(app, MINE, token, event="client_created")] == [1]


async def test_a_total_is_counted_in_steps_up_to_a_limit(app: App, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    await team.member("Admin")
    events = len(await read(app, MINE, (await team.member("Admin")).token))
    smaller_limits.audit_search(monkeypatch, 2, most=-(-events // 2))
    assert (await team.ask("Admin", PAGE, first=1))["total"] == events
    since = (await team.ask("Admin", PAGE, first=6, order="OLDEST"))["items"][5]["at"]
    smaller_limits.audit_search(monkeypatch, 2, most=-(-events // 2) - 1)
    assert (await team.ask("Admin", PAGE, first=1))["total"] is None
    later = await read(app, MINE, (await team.member("Admin")).token, **{"from": since})
    assert len(later) <= events - 2
    assert (await team.ask("Admin", PAGE, first=1, filter={"since": since}))["total"] == len(later)


@matrix("order", ["NEWEST", "OLDEST"])
async def test_the_plain_list_continues_after_the_number_of_its_last_event(app: App, team: Team, order: str) -> None:
    token = (await team.member("Admin")).token
    expected = [event["sequence"] for event in await read(app, MINE, token, order=order.lower())]
    seen: list[int] = []
    while page := await team.ask("Admin", LIST, first=4, after=str(seen[-1]) if seen else None, order=order):
        seen += [event["sequence"] for event in page]
    assert seen == expected
    for after in ("0", str(max(seen) + 1000), "9" * 18):
        assert (await team.refused("Admin", LIST, after=after)).fields == ["after"]
    other = await new_team(app)
    assert {event["sequence"] for event in await other.ask("Admin", LIST, after="1", order="OLDEST")} <= set(
        range(2, 99)
    )


async def test_only_roles_with_audit_read_can_read_it(app: App, team: Team) -> None:
    for role in ("Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer"):
        member = await team.member(role)
        reply, page = await app.get(MINE, token=member.token), await team.send(role, PAGE)
        if role in ("Admin", "User Admin"):
            assert check_success(reply)["items"]
            assert page.json["data"]["auditEventsPage"]["items"]
        else:
            check_refusal(reply, 403, "FORBIDDEN")
            assert page.json["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@rule("AUDIT-TRAIL")
async def test_a_client_sees_nothing_of_another(app: App, team: Team) -> None:
    other = await new_team(app)
    token = (await other.member("Admin")).token
    found = await read(app, MINE, token)
    assert {event["client"] for event in found} == {other.client}
    viewer = await team.member("Viewer")
    assert await read(app, MINE, token, subject=f"user:{viewer.id}") == []
    check_refusal(await app.get(f"{MINE}?client={team.client}", token=token), 400, "VALIDATION_ERROR")
    theirs = check_success(await app.get(f"{MINE}?first=1&order=oldest", token=(await team.member("Admin")).token))
    carried = check_success(await app.get(f"{MINE}?order=oldest&after={theirs['nextCursor']}", token=token))
    assert {event["client"] for event in carried["items"]} <= {other.client}


async def test_admins_and_users_tokens_work_only_on_their_own_routes(app: App, team: Team) -> None:
    check_refusal(await app.get(ALL, token=(await team.member("Admin")).token), 401, "INVALID_TOKEN")
    check_refusal(await app.get(MINE, token=await app.admin_token()), 401, "INVALID_TOKEN")
    check_refusal(await app.get(ALL), 401, "UNAUTHENTICATED")


async def test_system_admins_read_across_clients_and_the_installations_own(app: App, team: Team) -> None:
    admin = await app.admin_token()
    found = await read(app, ALL, admin, order="oldest")
    assert {None, team.client} <= {event["client"] for event in found}
    assert [event["at"] for event in found] == sorted(event["at"] for event in found)
    assert len({(event["client"], event["sequence"]) for event in found}) == len(found)
    mine = await read(app, MINE, (await team.member("Admin")).token, order="oldest")
    number = (
        app.ids.get(team.client) or check_success(await app.get(f"/api/admin/clients/{team.client}", token=admin))["id"]
    )
    assert await read(app, ALL, admin, order="oldest", client=team.client) == mine
    assert await read(app, ALL, admin, order="oldest", client=number) == mine
    own = await read(app, ALL, admin, client=0)
    assert {event["client"] for event in own} == {None}
    assert "signed_in" in {event["event"] for event in own}
    check_refusal(await app.get(f"{ALL}?client=no-such", token=admin), 404, "NOT_FOUND")
    failures = await read(app, ALL, admin, event="sign_in_failed", first=1)
    assert failures
    assert {event["event"] for event in failures} == {"sign_in_failed"}


@matrix(
    "query",
    ["first=0", "first=101", "first=x", "order=random", "event=no_such", "from=yesterday", "to=2026-13-01",
     "after=x", "after=WzFd", "after=" + "A" * 201, "from=2026-01-01&from=2026-01-02"],
)  # fmt: skip
async def test_an_invalid_filter_is_a_validation_error(app: App, team: Team, query: str) -> None:
    check_refusal(await app.get(f"{ALL}?{query}", token=await app.admin_token()), 400, "VALIDATION_ERROR")
    token = (await team.member("Admin")).token
    check_refusal(await app.get(f"{MINE}?{query}", token=token), 400, "VALIDATION_ERROR")


async def test_a_cursor_works_only_with_its_order(app: App, team: Team) -> None:
    token = (await team.member("Admin")).token
    after = check_success(await app.get(f"{MINE}?first=1", token=token))["nextCursor"]
    check_refusal(await app.get(f"{MINE}?order=oldest&after={after}", token=token), 400, "VALIDATION_ERROR")


async def test_graphql_has_the_same_pages(app: App, team: Team) -> None:
    token = (await team.member("Admin")).token
    rest = check_success(await app.get(f"{MINE}?first=2&event=sign_in_failed", token=token))
    page = await team.ask("Admin", PAGE, first=2, filter={"event": "sign_in_failed"})
    assert [one["hash"] for one in page["items"]] == [one["hash"] for one in rest["items"]]
    assert page["nextCursor"] == rest["nextCursor"]
    following = await team.ask("Admin", PAGE, first=2, after=page["nextCursor"], filter={"event": "sign_in_failed"})
    assert len(following["items"]) == 1
    assert following["nextCursor"] is None
    refused = await team.refused("Admin", PAGE, filter={"since": "yesterday"})
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["filter.since"])
    assert (await team.refused("Admin", PAGE, filter={"event": "no_such"})).fields == ["filter.event"]
    assert (await team.refused("Admin", PAGE, filter={"userId": 0})).fields == ["filter.userId"]
    assert (await team.refused("Admin", PAGE, after="x")).fields == ["after"]


async def test_a_system_admins_actions_are_in_the_clients_own_audit_trail(app: App) -> None:
    client = await new_client(app)
    user_id, _ = await new_user(app, client)
    found = await read(app, ALL, await app.admin_token(), client=client, event="user_created")
    assert [(event["subject"], event["actor"].partition(":")[0]) for event in found] == [(f"user:{user_id}", "admin")]
