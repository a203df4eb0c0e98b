"""Paged lists for tests: rows with many names and states, and walks through the pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import GraphQLEnumType, get_named_type

from manifest_auth.accounts import users
from manifest_auth.permissions import Role
from manifest_auth.store import TenantUnit
from manifest_auth.work import Actor, job_operations, template_operations, templates
from manifest_auth.work.job_rules import Priority
from tests.support.application import App
from tests.support.graphql_operations import document, operations
from tests.support.team import Team, new_team
from tests.work import work_items

Item = dict[str, Any]
_numbers = itertools.count(1)
#: Equal names, spaces, letters that databases sort differently, and characters with a meaning in patterns and JSON.
NAMES = [
    "beta", "Alpha", "ALPHA", "a-b", "ab", "a b", "Äther", "äther", "straße", "STRASSE", "ñu", "😀", "100%", "_",
    '"\\"', "zeta", "beta", "İ", "é", "e\u0301", "beta",
]  # fmt: skip
#: The base of one client's rows: its Operator, another user, and a published template.
Base = tuple[Actor, int, int]


def _add_user(unit: TenantUnit, base: Base, name: str, number: int) -> None:
    role = (Role.VIEWER, Role.OPERATOR, Role.USER_ADMIN)[number % 3]
    user_id = work_items.user(unit, role)
    _rename_user(unit, base, user_id, name)
    if number % 4 == 1:
        users.deactivate(unit, users.get(unit, user_id), base[0].at)


def _rename_user(unit: TenantUnit, _base: Base, user_id: int, name: str) -> None:
    user = users.get(unit, user_id)
    email = f"{name[0] if name[0].isalpha() and name[0].isascii() else 'x'}{next(_numbers)}@pages.example"
    users.change(unit, user, user.created_at, email=email, first_name=user.first_name, last_name=name, title="")


def _add_template(unit: TenantUnit, base: Base, name: str, number: int) -> None:
    template = template_operations.add(unit, base[0], name, "", work_items.STEPS)
    if number % 2:
        work_items.publish_latest(unit, base[0], template.id)
    if number % 4 == 1:
        work_items.next_version(unit, base[0], template.id)
    if number % 3 == 0:
        template_operations.archive(unit, base[0], templates.get(unit, template.id))


def _rename_template(unit: TenantUnit, base: Base, template_id: int, name: str) -> None:
    template_operations.rename(unit, base[0], templates.get(unit, template_id), name=name)


def _add_job(unit: TenantUnit, base: Base, name: str, number: int) -> None:
    by, other, template = base
    if number % 7 == 0:
        template = work_items.published(unit, by).id
    asset, priority = [None, "A-1", "A-2"][number % 3], list(Priority)[number % 3]
    users_of = [[], [by.user_id], [by.user_id, other]][number % 3]
    job = job_operations.add(
        unit, by, template_id=template, name=name, asset_id=asset, priority=priority, assigned_user_ids=users_of
    )
    if number % 4 == 1:
        job_operations.start(unit, by, job.id)
    if number % 5 == 0:
        job_operations.cancel(unit, by, job.id)


def _rename_job(unit: TenantUnit, base: Base, job_id: int, name: str) -> None:
    job_operations.change(unit, base[0], job_id, name=name)


class Kind(NamedTuple):
    """A list. ``wanted`` has the tested values of each condition, and a check whether an item matches; ``numbers`` are
    the orders by number; ``may_change`` tells whether an item's name can change."""

    fields: str
    add: Callable[[TenantUnit, Base, str, int], None]
    rename: Callable[[TenantUnit, Base, int, str], None]
    wanted: dict[str, tuple[list[Any], Callable[[Item, Any], bool]]]
    numbers: dict[str, Callable[[Item], Any]]
    may_change: Callable[[Item], bool] = lambda item: True


def _named(item: Item, text: Any) -> bool:
    return text.lower() in item["name"].lower()


def _changed_at(item: Item) -> Any:
    return item["changedAt"], item["id"]


KINDS = {
    "users": Kind(
        "id email firstName lastName isActive roles { name }",
        _add_user,
        _rename_user,
        {
            "search": (["PAGES", "beta", "%"], lambda item, text: any(
                text.lower() in known.lower() for known in (item["email"], f"{item['firstName']} {item['lastName']}"))),
            "role": (["Viewer", "User Admin", "Publisher"], lambda item, role: {"name": role} in item["roles"]),
            "isActive": ([True, False], lambda item, is_active: item["isActive"] is is_active),
            "kind": (["PERSON"], lambda item, kind: True),  # unless requested otherwise, the list has no other kinds
        },
        {"ID": lambda item: item["id"]},
    ),
    "templates": Kind(
        "id name isArchived changedAt versions { status }",
        _add_template,
        _rename_template,
        {
            "search": (["ALPHA", "Ä", "%", "_"], _named),
            "status": (["DRAFT", "PUBLISHED", "RETIRED", "APPROVED"],
                       lambda item, status: {"status": status} in item["versions"]),
            "isArchived": ([True, False], lambda item, is_archived: item["isArchived"] is is_archived),
        },
        {"ID": lambda item: item["id"], "CHANGED_AT": _changed_at},
        lambda item: not item["isArchived"],
    ),
    "jobs": Kind(
        "id name priority status assetId changedAt template { id } assignedUsers { id }",
        _add_job,
        _rename_job,
        {
            "search": (["ALPHA", "Ä", "%", "_"], _named),
            "status": (["UNASSIGNED", "ASSIGNED", "IN_PROGRESS", "CANCELED", "COMPLETED"],
                       lambda item, status: item["status"] == status),
            "priority": (["HIGH", "LOW"], lambda item, priority: item["priority"] == priority),
            "templateId": (["template", 2**31 - 1], lambda item, number: item["template"]["id"] == number),
            "assetId": (["A-1", "none"], lambda item, asset: item["assetId"] == asset),
            "assignedUserId": (["operator", "other"], lambda item, number: {"id": number} in item["assignedUsers"]),
        },
        {
            "ID": lambda item: item["id"],
            "CHANGED_AT": _changed_at,
            "PRIORITY": lambda item: (["HIGH", "MEDIUM", "LOW"].index(item["priority"]), item["id"]),
        },
        lambda item: item["status"] not in ("CANCELED", "COMPLETED"),
    ),
}  # fmt: skip


def argument_type(name: str, argument: str) -> Any:
    return get_named_type(operations()[f"{name}Page"][1].args[argument].type)


def orders(name: str) -> list[str]:
    kind = argument_type(name, "sort")
    assert isinstance(kind, GraphQLEnumType)
    return list(kind.values)


class ListedClient(NamedTuple):
    """A client with rows in all three lists."""

    team: Team
    base: Base

    async def page(self, name: str, **given: Any) -> dict[str, Any]:
        text = document(f"{name}Page", f"items {{ {KINDS[name].fields} }} nextCursor total")
        found: dict[str, Any] = await self.team.ask("Viewer", text, **given)
        return found

    async def everything(self, name: str) -> list[Item]:
        found = (await self.page(name, first=100))["items"]
        assert len(found) < 100
        return list(found)

    async def walk(self, name: str, size: int, **given: Any) -> list[list[Item]]:
        pages: list[list[Item]] = []
        after = None
        while True:
            page = await self.page(name, first=size, after=after, **given)
            pages.append(page["items"])
            after = page["nextCursor"]
            if after is None:
                return pages

    def value(self, value: Any) -> Any:
        """The value of a condition, with an ID for its placeholder."""
        by, other, template = self.base
        known = {"operator": by.user_id, "other": other, "template": template}
        return known.get(value, value) if isinstance(value, str) else value


async def new_listed_client(app: App) -> ListedClient:
    team = await new_team(app)
    operator = await team.member("Operator")
    await team.member("Viewer")

    def begin(unit: TenantUnit) -> Base:
        by = Actor(operator.id, app.clock.now_ms())
        return by, work_items.user(unit, Role.OPERATOR), work_items.published(unit, by).id

    base = await team.within(begin)

    def fill(unit: TenantUnit) -> None:
        for number, name in enumerate(NAMES):
            by = base[0]._replace(at=base[0].at + number // 2 * 1000)  # some at the same time
            for kind in KINDS.values():
                kind.add(unit, (by, *base[1:]), name, number)

    await team.within(fill)
    return ListedClient(team, base)
