"""The permission matrix: seven users, one for each role, and every operation.

Exactly the permitted cells are open; the rest is FORBIDDEN before anything is looked up.
"""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLObjectType, is_introspection_type, print_ast

from tests.support.application import App, Reply
from tests.support.badges import BADGE_ROUTES, DEVICE_ROUTES, OWN_PIN
from tests.support.envelope import check_refusal
from tests.support.graphql_operations import (
    ARGUMENTS,
    FILES,
    PNG,
    SCHEMA,
    Things,
    document,
    everything,
    operations,
    things,
    upload,
)
from tests.support.headsets import APP_ROUTES, PAIRING_ROUTES
from tests.support.machines import MACHINE_ROUTES
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.pictures import Picture
from tests.support.routes import ROUTES, filled
from tests.support.team import Team, new_team

pytestmark = pytest.mark.one_store

ROLES = ("Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer")
#: Written down here and not read from the code, which it checks.
TABLE = """
| users:read        | x | x | x | x | x | x | x |
| users:manage      | x | x |   |   |   |   |   |
| settings:manage   | x | x |   |   |   |   |   |
| audit:read        | x | x |   |   |   |   |   |
| templates:read    | x | x | x | x | x | x | x |
| jobs:read         | x | x | x | x | x | x | x |
| templates:edit    | x |   | x |   |   |   |   |
| templates:approve | x |   |   | x |   |   |   |
| templates:publish | x |   |   |   | x |   |   |
| jobs:execute      | x |   |   |   |   | x |   |
"""
_ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.split("\n") if line]
HOLDERS = {row[0]: {role for role, cell in zip(ROLES, row[1:], strict=True) if cell} for row in _ROWS}
ANYONE = "anyone"
HOLDERS[ANYONE] = set(ROLES)

#: The permission that each operation needs, written down here as well.
NEEDS = {
    ANYONE: ("me", "roles"),
    "users:read": ("users", "usersPage", "user"),
    "users:manage": (
        "inviteUser", "renewInvitation", "addUser", "updateUser", "setUserRoles", "deactivateUser", "restoreUser",
        "endUserSessions", "resetUserPassword", "resetUserFactors",
    ),
    "audit:read": ("auditEvents", "auditEventsPage"),
    "templates:read": ("templates", "templatesPage", "template", "templateVersion"),
    "jobs:read": ("jobs", "jobsPage", "job"),
    "templates:edit": (
        "addTemplate", "updateTemplate", "addTemplateVersion", "updateTemplateVersion", "submitTemplateVersion",
    ),
    "templates:approve": ("approveTemplateVersion", "rejectTemplateVersion"),
    "templates:publish": ("publishTemplateVersion", "archiveTemplate", "restoreTemplate"),
    "jobs:execute": (
        "addJob", "updateJob", "assignUserToJob", "unassignUserFromJob", "startJob", "recordData", "completeStep",
        "completeJob", "cancelJob",
    ),
}  # fmt: skip
NEEDED_BY = {operation: permission for permission, names in NEEDS.items() for operation in names}
#: Fields below the root that not everybody sees who sees their type.
NEEDED_BELOW = dict.fromkeys(("User.lastSignInAt", "User.link", "User.pendingEmail"), "users:manage")

_BODY = {"name": "company", "oidc": {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}}
_USER, _PROVIDER = "/api/client/users/{user}", "/api/client/providers/{provider}"
_FACTORS, _PASSKEYS = "/api/client/auth/second-factors", "/api/client/auth/passkeys"
_EXPORT, _BRANDING = "/api/client/audit/export", "/api/client/branding"
#: The same of REST; and a body for each, where bytes are a PNG.
ROUTES_NEED: dict[tuple[str, str], tuple[str, Any]] = {
    ("GET", "/api/client/audit"): ("audit:read", None),
    ("GET", _EXPORT): ("audit:read", None),
    ("GET", "/api/client/settings"): ("settings:manage", None),
    ("PATCH", "/api/client/settings"): ("settings:manage", {"language": "de"}),
    ("GET", _BRANDING): ("settings:manage", None),
    ("PUT", f"{_BRANDING}/logo"): ("settings:manage", Picture().encoded()),
    ("DELETE", f"{_BRANDING}/logo"): ("settings:manage", None),
    ("POST", FILES): ("jobs:execute", PNG),
    ("GET", f"{FILES}/{{file}}"): ("jobs:read", None),
    ("GET", f"{_USER}/identities"): ("users:manage", None),
    ("DELETE", f"{_USER}/identities/{{identity}}"): ("users:manage", None),
    ("POST", f"{_USER}/identities/{{identity}}/confirm"): ("users:manage", None),
    ("POST", f"{_USER}/invitation"): ("users:manage", None),
    ("POST", f"{_USER}/factors/reset"): ("users:manage", {"reason": "Lost the phone"}),
    ("GET", f"{_USER}/sessions"): ("users:manage", None),
    ("DELETE", f"{_USER}/sessions"): ("users:manage", None),
    ("DELETE", f"{_USER}/sessions/{{session}}"): ("users:manage", None),
    ("POST", "/api/client/providers"): ("settings:manage", _BODY),
    ("GET", "/api/client/providers"): ("settings:manage", None),
    ("GET", _PROVIDER): ("settings:manage", None),
    ("PATCH", _PROVIDER): ("settings:manage", {"displayName": "Company"}),
    ("POST", f"{_PROVIDER}/switch-off"): ("settings:manage", None),
    ("POST", f"{_PROVIDER}/switch-on"): ("settings:manage", None),
    ("POST", f"{_PROVIDER}/rotate-key"): ("settings:manage", None),
    ("POST", f"{_PROVIDER}/test"): ("settings:manage", None),
    ("DELETE", _PROVIDER): ("settings:manage", None),
    ("POST", "/api/client/directories"): ("settings:manage", {"directory": "d0d0d0d0-7777-4000-8000-000000000001"}),
    ("GET", "/api/client/directories"): ("settings:manage", None),
    ("GET", "/api/client/directories/{directory}"): ("settings:manage", None),
    ("DELETE", "/api/client/directories/{directory}"): ("settings:manage", None),
    ("POST", "/api/client/directories/{directory}/prove"): ("settings:manage", {"returnTo": ""}),
    ("POST", "/api/client/domains"): ("settings:manage", {"domain": "claimed.example"}),
    ("GET", "/api/client/domains"): ("settings:manage", None),
    ("GET", "/api/client/domains/{domain}"): ("settings:manage", None),
    ("DELETE", "/api/client/domains/{domain}"): ("settings:manage", None),
    ("POST", "/api/client/domains/{domain}/check"): ("settings:manage", None),
}
_MANY = (("users:manage", MACHINE_ROUTES | BADGE_ROUTES), ("settings:manage", APP_ROUTES | DEVICE_ROUTES))
ROUTES_NEED |= {route: (needed, body) for needed, some in _MANY for route, body in some.items()}
#: What an address needs behind it.
QUERIES = {("POST", FILES): "?name=a.png", ("GET", _EXPORT): "?format=csv"}
#: For which the permission is not enough.
FOR_ADMINS = {("POST", f"{_USER}/identities/{{identity}}/confirm")}
#: About oneself alone, and GraphQL, whose operations are above.
ROUTES_FOR_ALL = {
    ("GET", "/api/client/auth/me"), ("PATCH", "/api/client/auth/me"), ("POST", "/api/client/auth/sign-out"),
    ("POST", "/api/client/auth/sign-out-all"), ("POST", "/api/client/auth/sign-out-others"),
    ("GET", "/api/client/auth/sessions"), ("DELETE", "/api/client/auth/sessions/{id}"),
    ("POST", "/api/client/auth/password"), ("GET", "/api/client/auth/identities"),
    ("POST", "/api/client/auth/identities"), ("DELETE", "/api/client/auth/identities/{id}"),
    ("POST", "/api/client/auth/identities/token"), ("POST", "/api/client/auth/email"),
    ("GET", _FACTORS), ("POST", f"{_FACTORS}/totp"), ("POST", f"{_FACTORS}/totp/confirm"),
    ("DELETE", f"{_FACTORS}/totp"), ("POST", f"{_FACTORS}/recovery-codes"), ("DELETE", f"{_FACTORS}/trusted"),
    ("DELETE", f"{_FACTORS}/trusted/{{id}}"), ("POST", f"{_PASSKEYS}/options"), ("POST", _PASSKEYS),
    ("PATCH", f"{_PASSKEYS}/{{id}}"), ("DELETE", f"{_PASSKEYS}/{{id}}"), ("POST", "/api/client/auth/reauthenticate"),
    ("POST", "/api/client/auth/reauthenticate/options"), ("POST", "/api/client/auth/reauthenticate/provider"),
    ("POST", "/api/client/graphql"), ("GET", "/api/client/graphql"), ("GET", "/api/client/graphql/schema.graphql"),
    *PAIRING_ROUTES, ("POST", OWN_PIN),
}  # fmt: skip
NEVER = 2**31 - 1


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    team = await new_team(app)
    assert len({(await team.member(role)).token for role in ROLES}) == 7
    return team


@pytest.fixture(scope="module")
async def own(team: Team) -> Things:
    return await things(team)


@pytest.fixture(scope="module")
async def foreign(app: App) -> Things:
    return await things(await new_team(app))


def codes(reply: Reply, *path: str) -> list[str]:
    """Codes of the errors of one field."""
    errors = reply.json.get("errors", [])
    assert all(error["path"] == list(path) for error in errors), reply.text
    return [error["extensions"]["code"] for error in errors]


def test_every_operation_has_its_row_and_its_arguments() -> None:
    assert set(NEEDED_BY) == set(operations()) == set(ARGUMENTS)
    assert sum(len(names) for names in NEEDS.values()) == len(NEEDED_BY)


def test_the_schema_says_what_the_table_above_says() -> None:
    """The directive, and the description that integrators read."""
    for name, (_, field) in operations().items():
        needed = NEEDED_BY[name]
        assert field.ast_node is not None
        [directive] = [one for one in field.ast_node.directives or () if one.name.value != "size"]
        said = print_ast(directive)
        assert said == ("@anyone" if needed == ANYONE else f'@needs(permission: "{needed}")'), name
        assert str(field.description).endswith("Any role." if needed == ANYONE else f"Needs `{needed}`."), name
    below = {
        f"{kind.name}.{name}": field.extensions["permission"].value
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        if kind not in (SCHEMA.query_type, SCHEMA.mutation_type)
        for name, field in kind.fields.items()
        if field.extensions["permission"] is not None
    }
    assert below == NEEDED_BELOW


def test_every_route_of_the_clients_has_its_row() -> None:
    found = {(route.method, route.path) for route in ROUTES if route.who == "client"}
    assert found == set(ROUTES_NEED) | ROUTES_FOR_ALL
    assert not set(ROUTES_NEED) & ROUTES_FOR_ALL


@matrix("role", ROLES)
@matrix("operation", NEEDED_BY)
async def test_a_cell(team: Team, own: Things, foreign: Things, operation: str, role: str) -> None:
    if role in HOLDERS[NEEDED_BY[operation]]:
        reply = await team.send(role, document(operation), **ARGUMENTS[operation](own))
        found = codes(reply, operation)
        assert found in ([], ["CONFLICT"]), reply.text  # what was done already cannot be done again
        assert found or reply.json["data"][operation] is not None
        return
    never = Things(*[NEVER] * 6)
    before = await everything(team.app)
    for have in (own, foreign, never):
        reply = await team.send(role, document(operation), **ARGUMENTS[operation](have))
        assert codes(reply, operation) == ["FORBIDDEN"]
        assert reply.json["data"] == {operation: None}
        assert reply.json["errors"][0]["message"] == "Insufficient permissions"
    assert await everything(team.app) == before


@matrix("role", ROLES)
@matrix("field", [field.partition(".")[2] for field in NEEDED_BELOW])
async def test_a_cell_below_the_root(team: Team, own: Things, role: str, field: str) -> None:
    """Everybody sees the user; that one field stays closed, through every way that leads to a user."""
    is_open = role in HOLDERS["users:manage"]
    for operation, inner, path in (
        ("user", f"id {field}", ["user"]),
        ("users", f"id {field}", ["users", 0]),
        ("template", f"createdBy {{ id {field} }}", ["template", "createdBy"]),
        ("job", f"history(first: 1) {{ by {{ {field} }} }}", ["job", "history", 0, "by"]),
    ):
        reply = await team.send(role, document(operation, inner), **ARGUMENTS[operation](own))
        refused = {error["extensions"]["code"] for error in reply.json.get("errors", [])}
        assert refused == (set() if is_open else {"FORBIDDEN"}), reply.text
        value = reply.json["data"]
        for step in path:
            value = value[step]
        assert field in value
        assert is_open or value[field] is None


@matrix("role", ROLES)
@matrix("route", ROUTES_NEED, ids=" ".join)
async def test_a_cell_of_rest(team: Team, own: Things, foreign: Things, route: tuple[str, str], role: str) -> None:
    needed, body, token = *ROUTES_NEED[route], (await team.member(role)).token
    if role in ({"Admin"} if route in FOR_ADMINS else HOLDERS[needed]):
        reply = await knock(team, route, own, token, body)
        assert reply.status not in (401, 403), reply.text
        assert reply.json is None or reply.json["success"] or reply.code in ("CONFLICT", "NOT_FOUND"), reply.text
        return
    before = await everything(team.app)
    for have in (own,) if role in HOLDERS[needed] else (own, foreign):
        check_refusal(await knock(team, route, have, token, body), 403, "FORBIDDEN")
    assert await everything(team.app) == before


async def knock(team: Team, route: tuple[str, str], have: Things, token: str, body: Any) -> Reply:
    method, pattern = route
    path = filled(pattern, user=have.user, file=have.file, provider="company", identity=NEVER) + QUERIES.get(route, "")
    if isinstance(body, bytes):
        return await team.app.send(method, path, token=token, content=body, headers={"Content-Type": "image/png"})
    return await team.app.send(method, path, body, token=token)


async def test_files_reach_those_who_may_read_jobs(team: Team) -> None:
    number = await upload(team.app, (await team.member("Operator")).token)
    for role in HOLDERS["jobs:read"]:
        headers = {"Authorization": f"Bearer {(await team.member(role)).token}"}
        assert (await team.app.client.get(f"{FILES}/{number}", headers=headers)).content == PNG


async def test_permissions_of_several_roles_add_up(team: Team, own: Things) -> None:
    both = await member(team.app, team.client, "Author", "Operator")
    may = {permission for permission, holders in HOLDERS.items() if holders & {"Author", "Operator"}}
    told = await team.app.graphql("{ me { permissions } }", both.token)
    assert set(told.json["data"]["me"]["permissions"]) == may - {ANYONE}
    for operation, needed in NEEDED_BY.items():
        body = {"query": document(operation), "variables": ARGUMENTS[operation](own)}
        reply = await team.app.post("/api/client/graphql", body, token=both.token)
        assert ("FORBIDDEN" in codes(reply, operation)) is (needed not in may), operation


async def test_no_spelling_gets_around_it(team: Team, own: Things) -> None:
    """Aliases, fragments, directives and company: each field is judged by itself, and the others stay whole."""
    before = await everything(team.app)
    for query in (
        f"mutation {{ me: startJob(id: {own.job}) {{ id }} }}",
        f"mutation {{ ...F }} fragment F on Mutation {{ me: startJob(id: {own.job}) {{ id }} }}",
        f"mutation {{ ... on Mutation @include(if: true) {{ me: startJob(id: {own.job}) {{ id }} }} }}",
        f"mutation {{ a: startJob(id: {own.job}) {{ id }} me: startJob(id: {own.job}) {{ id }} }}",
    ):
        reply = await team.app.graphql(query, (await team.member("Viewer")).token)
        assert {error["extensions"]["code"] for error in reply.json["errors"]} == {"FORBIDDEN"}
        assert reply.json["data"]["me"] is None
    assert await everything(team.app) == before
    reply = await team.send("Viewer", "{ users(first: 1) { id lastSignInAt } me { email } }")
    assert reply.json["data"]["me"] == {"email": team.members["Viewer"].email}
    assert reply.json["data"]["users"][0]["lastSignInAt"] is None
