"""Every GraphQL operation of the schema as a document, and the objects that the operations need."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument

from manifest_auth.api.graphql.schema import SCHEMA as SCHEMA
from manifest_auth.audit import Event
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import TENANT_OWNED, audit_events, audit_heads
from tests.support import jobs as j
from tests.support import templates as t
from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.team import Team

_numbers = itertools.count(1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
FILES = "/api/client/files"


@dataclass(frozen=True)
class Things:
    """IDs of one client's objects: an idle user, the team's Operator, a template with a published version and a draft,
    a job of the published version at its first step, and an uploaded file that isn't recorded yet."""

    user: int
    operator: int
    template: int
    version: int
    job: int
    file: int


async def things(team: Team) -> Things:
    """New objects of a team."""
    operator = await team.member("Operator")
    user, _ = await new_user(team.app, team.client, roles=["Operator"])
    template = await j.a_template(team)
    draft = await team.ask("Author", t.NEXT, id=template)
    job = await j.job_at(team, "IN_PROGRESS", template_id=template)
    made = await upload(team.app, operator.token)
    return Things(user, operator.id, template, draft["id"], job["id"], made)


async def upload(app: App, token: str) -> int:
    """The ID of a new file."""
    headers = {"Content-Type": "image/png"}
    sent = await app.send("POST", f"{FILES}?name=a.png", token=token, content=PNG, headers=headers)
    return int(sent.data["id"])


def _new_user() -> dict[str, Any]:
    return {"email": f"new-{next(_numbers)}@operations.example", "roles": ["Viewer"]}


#: Valid arguments for each operation, given objects of the caller's client.
ARGUMENTS: dict[str, Callable[[Things], dict[str, Any]]] = {
    "me": lambda have: {},
    "roles": lambda have: {},
    "users": lambda have: {},
    "usersPage": lambda have: {},
    "user": lambda have: {"id": have.user},
    "templates": lambda have: {},
    "templatesPage": lambda have: {},
    "template": lambda have: {"id": have.template},
    "templateVersion": lambda have: {"id": have.version},
    "jobs": lambda have: {"filter": {"templateId": have.template, "assignedUserId": have.operator}},
    "jobsPage": lambda have: {"filter": {"templateId": have.template, "assignedUserId": have.operator}},
    "job": lambda have: {"id": have.job},
    "auditEvents": lambda have: {},
    "auditEventsPage": lambda have: {},
    "inviteUser": lambda have: {"input": _new_user()},
    "renewInvitation": lambda have: {"userId": have.user},
    "addUser": lambda have: {"input": _new_user()},
    "updateUser": lambda have: {"id": have.user, "input": {"title": f"Title {next(_numbers)}"}},
    "setUserRoles": lambda have: {"userId": have.user, "roles": ["Operator", "Viewer"]},
    "deactivateUser": lambda have: {"id": have.user},
    "restoreUser": lambda have: {"id": have.user},
    "endUserSessions": lambda have: {"userId": have.user},
    "resetUserPassword": lambda have: {"userId": have.user},
    "resetUserFactors": lambda have: {"userId": have.user, "reason": "Lost the phone"},
    "addTemplate": lambda have: {"input": {"name": f"New {next(_numbers)}", "steps": j.STEPS}},
    "updateTemplate": lambda have: {"id": have.template, "input": {"description": f"About {next(_numbers)}"}},
    "addTemplateVersion": lambda have: {"templateId": have.template},
    "updateTemplateVersion": lambda have: {"id": have.version, "input": {"revision": 1, "steps": j.STEPS}},
    "submitTemplateVersion": lambda have: {"id": have.version, "comment": "Ready"},
    "approveTemplateVersion": lambda have: {"id": have.version, "comment": "Good"},
    "rejectTemplateVersion": lambda have: {"id": have.version, "comment": "Not yet"},
    "publishTemplateVersion": lambda have: {"id": have.version, "comment": "Out"},
    "archiveTemplate": lambda have: {"id": have.template, "comment": "Old"},
    "restoreTemplate": lambda have: {"id": have.template, "comment": "Again"},
    "addJob": lambda have: {"input": {"templateId": have.template, "assignedUserIds": [have.operator]}},
    "updateJob": lambda have: {"id": have.job, "input": {"name": f"Job {next(_numbers)}"}},
    "assignUserToJob": lambda have: {"jobId": have.job, "userId": have.operator},
    "unassignUserFromJob": lambda have: {"jobId": have.job, "userId": have.operator},
    "startJob": lambda have: {"id": have.job},
    "recordData": lambda have: {"jobId": have.job, "stepNumber": 1, "input": {"fileId": have.file}},
    "completeStep": lambda have: {"jobId": have.job, "stepNumber": 1},
    "completeJob": lambda have: {"id": have.job},
    "cancelJob": lambda have: {"id": have.job, "comment": "Enough"},
}


def operations() -> dict[str, tuple[str, GraphQLField]]:
    """All operations by name: ``query`` or ``mutation``, and the field."""
    kinds = (("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type))
    return {name: (word, field) for word, kind in kinds if kind is not None for name, field in kind.fields.items()}


def document(name: str, selection: str = "__typename") -> str:
    """The operation, with each argument as a variable of the same name."""
    word, field = operations()[name]
    given = ", ".join(f"${argument}: {one.type}" for argument, one in field.args.items())
    handed = ", ".join(f"{argument}: ${argument}" for argument in field.args)
    inner = "" if is_leaf_type(get_named_type(field.type)) else f" {{ {selection} }}"
    brackets = (f"({given})", f"({handed})") if field.args else ("", "")
    return f"{word}{brackets[0]} {{ {name}{brackets[1]}{inner} }}"


def selection(kind: GraphQLObjectType, levels: int, most: int = 2) -> str:
    """All fields of a type, ``levels`` deep; lists with a size contain at most this many items."""
    found = []
    for name, field in kind.fields.items():
        below = get_named_type(field.type)
        sized = f"(first: {most})" if "first" in field.args else ""
        if any(is_required_argument(argument) for argument in field.args.values()):
            raise AssertionError(f"{kind.name}.{name} needs an argument")
        if isinstance(below, GraphQLObjectType):
            if levels > 1:
                found.append(f"{name}{sized} {{ {selection(below, levels - 1, most)} }}")
        else:
            found.append(name)
    return " ".join(found) or "__typename"


_REFUSALS = (Event.ACCESS_REFUSED.value, Event.SEAT_REFUSED.value)
_EVENT = audit_events.c.keys().index("event")
_TABLES = {
    table.name: cross_tenant(
        table.select().order_by(*table.primary_key.columns), because="a test looks at all of a store"
    )
    for table in TENANT_OWNED
    if table is not audit_heads
}


async def everything(app: App) -> dict[str, list[Any]]:
    """All rows of all clients, by table, except the audit events of rejections."""
    found = await app.services.store.read(lambda unit: {name: unit.all(rows) for name, rows in _TABLES.items()})
    told = found[audit_events.name]
    return {**found, audit_events.name: [row for row in told if row[_EVENT] not in _REFUSALS]}
