"""If two users change one template at the same time over HTTP, one succeeds and the other gets CONFLICT."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support import templates as t
from tests.support.matrix import matrix
from tests.support.team import Team, refusal
from tests.support.templates import moves, read, template_at

#: The action, its user, the required state, whether it's for the template or its version, and its log entry.
ACTS: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    "edit": ("Author", t.EDIT, "DRAFT", {"input": {"revision": 1, "steps": [{"title": "New"}]}}, "EDITED"),
    "submit": ("Author", t.SUBMIT, "DRAFT", {}, "SUBMITTED"),
    "approve": ("Approver", t.APPROVE, "SUBMITTED", {}, "APPROVED"),
    "reject": ("Approver", t.REJECT, "SUBMITTED", {"comment": "No"}, "REJECTED"),
    "publish": ("Publisher", t.PUBLISH, "APPROVED", {}, "PUBLISHED"),
    "next": ("Author", t.NEXT, "PUBLISHED", {}, "VERSION_ADDED"),
    "archive": ("Publisher", t.ARCHIVE, "DRAFT", {}, "ARCHIVED"),
    "restore": ("Publisher", t.RESTORE, "DRAFT", {}, "RESTORED"),
}
ON_TEMPLATES = {"next", "archive", "restore"}


async def at_once(team: Team, *calls: tuple[str, str, dict[str, Any]]) -> list[bool]:
    """Run the calls concurrently; returns the winner, and checks that all others got CONFLICT."""
    for role, _, _ in calls:
        await team.member(role)
    replies = await asyncio.gather(*(team.send(role, document, **variables) for role, document, variables in calls))
    won = ["errors" not in reply.json for reply in replies]
    assert {refusal(reply).code for reply, has_won in zip(replies, won, strict=True) if not has_won} <= {"CONFLICT"}
    return won


@matrix("act", ACTS)
@matrix("many", [2, 8])
async def test_the_same_act_is_done_once(team: Team, act: str, many: int) -> None:
    role, document, status, variables, move = ACTS[act]
    template = await template_at(team, status)
    if act == "restore":
        await team.ask("Publisher", t.ARCHIVE, id=template["id"])
    target = template["id"] if act in ON_TEMPLATES else template["latestVersion"]["id"]
    before = await moves(team, template["id"])
    won = await at_once(team, *[(role, document, {"id": target, **variables})] * many)
    assert won.count(True) == 1
    after = await moves(team, template["id"])
    assert [name for name, _ in after[len(before) :]] == [move]


MEETINGS = [("SUBMITTED", "approve", "reject"), ("APPROVED", "publish", "reject"), ("DRAFT", "edit", "submit")]


@matrix(("status", "one", "two"), MEETINGS)
async def test_two_different_acts_leave_what_the_log_says(team: Team, status: str, one: str, two: str) -> None:
    """They can still run one after the other; nothing is half done, and the loser leaves no trace."""
    for acts in ((one, two), (two, one), (one, two, one, two)):
        template = await template_at(team, status)
        version_id = template["latestVersion"]["id"]
        before = len(await moves(team, template["id"]))
        won = await at_once(team, *[(ACTS[act][0], ACTS[act][1], {"id": version_id, **ACTS[act][3]}) for act in acts])
        done = [name for name, _ in (await moves(team, template["id"]))[before:]]
        assert sorted(done) == sorted(ACTS[act][4] for act, has_won in zip(acts, won, strict=True) if has_won)
        assert done
        leads = {"APPROVED": "APPROVED", "REJECTED": "DRAFT", "PUBLISHED": "PUBLISHED", "EDITED": "DRAFT"}
        assert (await read(team, template["id"]))["latestVersion"]["status"] == leads.get(done[-1], "SUBMITTED")


async def test_a_name_that_two_give_at_the_same_time_is_one_of_theirs(team: Team) -> None:
    template = await template_at(team, "DRAFT")
    names = [f"Name {number}" for number in range(6)]
    won = await at_once(team, *[("Author", t.UPDATE, {"id": template["id"], "input": {"name": n}}) for n in names])
    assert (await read(team, template["id"]))["name"] in {n for n, has_won in zip(names, won, strict=True) if has_won}
    assert (await moves(team, template["id"]))[1:] == [("CHANGED", None)] * won.count(True)


async def test_acts_on_different_templates_do_not_meet(team: Team) -> None:
    versions = [(await template_at(team, "SUBMITTED"))["latestVersion"]["id"] for _ in range(8)]
    assert all(await at_once(team, *[("Approver", t.APPROVE, {"id": version_id}) for version_id in versions]))
