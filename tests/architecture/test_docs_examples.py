"""The server accepts the commands, calls, bodies, and queries in the docs.

The docs explain each reason, metric, and field.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from graphql import parse, validate
from msgspec import inspect

from manifest_auth.api import power_apps_connector
from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.app import ROUTES, page_routes
from manifest_auth.cli.main import parser
from manifest_auth.clients.providers.changes import ProviderBody, draft_of, merged
from manifest_auth.errors import ValidationError
from manifest_auth.http import RouteTable
from manifest_auth.pages.sign_in.single_sign_on import StartQuery
from manifest_auth.pages.sign_in.start import SignInQuery
from manifest_auth.protocols.microsoft import CLOUDS
from manifest_auth.sign_in.providers import dynamics
from manifest_auth.sign_in.providers.dynamics import DynamicsSettings
from manifest_auth.sign_in.providers.entra import EntraSettings
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text.models import convert
from tests.architecture import docs_pages
from tests.architecture.links import ROOT
from tests.support.matrix import matrix

OPENID = {"okta-oidc.md", "entra-id.md", "keycloak.md", "auth0.md", "google.md", "generic.md"}
MICROSOFT = {"dynamics.md": "dynamics", "power-apps.md": "entra"}
DIRECTORY = "aaaabbbb-0000-cccc-1111-dddd2222eeee"


def test_the_bodies_on_provider_pages_are_valid() -> None:
    seen = set()
    for page, body in docs_pages.provider_bodies():
        settings = merged(None, draft_of(convert(body, ProviderBody)))
        own = settings.own
        assert own.kind == MICROSOFT.get(page, "oidc")
        told = {name for part in (body, body[own.kind]) for name in part} - {"name", "displayName", "clientSecret"}
        known = {field.encode_name for kind in (settings, own) for field in msgspec.structs.fields(kind)}
        assert told <= known, page
        if isinstance(own, DynamicsSettings):
            assert CLOUDS["global"].is_organization(own.organization)
        seen.add(page)
    assert seen == OPENID | MICROSOFT.keys()


def test_the_commands_on_the_pages_exist() -> None:
    names, others = (
        set(),
        ("journalctl", "#", "install", "mv", "kubectl", "docker build", "docker run", "docker exec manifest-auth rm"),
    )  # if it's a user name
    for page, block in docs_pages.blocks("sh"):
        for command in docs_pages.commands(block):
            command = command.lstrip()
            if (place := command.rfind("manifest-auth ")) >= 0 and not command.startswith(others):
                words = shlex.split(command[place:], comments=True)[1:]
                words = list(itertools.takewhile(lambda word: word not in ("<", ">", "|"), words))
                names.add(" ".join(words[:2]))
                try:
                    parser().parse_args(words)
                except SystemExit as ended:
                    if ended.code:  # not for --version
                        pytest.fail(f"{page}: {command}")
    assert {"provider create", "provider test", "admin create", "client create", "serve", "license issue"} <= names


def test_the_calls_on_the_pages_are_routes_with_valid_bodies() -> None:
    table, seen = RouteTable((*ROUTES, *page_routes())), set()
    for call in docs_pages.requests():
        route, _ = table.find(call.method, call.path)  # raises an error for an unknown route
        if call.body is not None:
            body = json.loads(call.body)
            if route.body is not None:
                convert(body, route.body)
            elif route.path == "/api/client/graphql":
                assert validate(SCHEMA, parse(body["query"])) == [], call.page
        seen.add((call.page, route.path))
    assert {page for page, _ in seen} >= {"integrators.md", "README.md", *OPENID, *MICROSOFT}
    assert ("power-apps.md", "/power-apps.json") in seen


def test_the_answers_on_the_pages_have_every_member_that_the_server_sends() -> None:
    """A JSON block below calls is the response to one of them."""
    table, seen = RouteTable((*ROUTES, *page_routes())), set()
    for calls, block in docs_pages.exchanges():
        body = json.loads(block) if calls and block else None
        if not isinstance(body, dict) or body.get("success") is not True:
            continue
        wrong: dict[str, object] = {}
        for call in calls:
            route, _ = table.find(call.method, call.path)
            model = route.data or msgspec.Struct
            try:
                convert(body["data"], model)
            except ValidationError as error:
                wrong[route.path] = error.details
                continue
            wrong[route.path] = [*_left_out(body["data"], inspect.type_info(model))]
            if not wrong[route.path]:
                seen.add((call.page, route.path))
                break
        else:
            pytest.fail(f"{calls[0].page}: {block}\n{wrong}")
    assert ("integrators.md", "/api/client/settings") in seen
    assert len(seen) > 7


@matrix(("heading", "model"), [("The sign-in page", SignInQuery), ("A web application", StartQuery)])
def test_every_parameter_of_a_sign_in_start_is_documented(heading: str, model: type[msgspec.Struct]) -> None:
    section = docs_pages.text_of("integrators.md").partition(f"# {heading}\n")[2].partition("\n#")[0]
    told = {name for row in docs_pages.rows(section) for name in re.findall(r"`(\w+)`", row[0])}
    assert told == {field.encode_name for field in msgspec.structs.fields(model)} - {"s"}  # only our claims


def test_a_page_defines_the_variables_of_its_commands() -> None:
    assert [*docs_pages.unexplained_variables()] == []


def _left_out(value: Any, kind: inspect.Type) -> Iterator[str]:
    """The names of the members that a response always has, but that this one lacks."""
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        for one in value:
            yield from _left_out(one, kind.item_type)
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            if field.encode_name in value:
                yield from _left_out(value[field.encode_name], field.type)
            elif field.required or {field.default, field.default_factory} != {msgspec.NODEFAULT}:  # else: unset
                yield field.encode_name


def test_every_admin_call_is_on_its_page() -> None:
    table = RouteTable(ROUTES)
    told = {table.find(call.method, call.path)[0] for call in docs_pages.requests() if call.page == "admin.md"}
    plane = {(route.method, route.path) for route in ROUTES if route.path.startswith("/api/admin/")}
    elsewhere = {("POST", "/api/admin/clients/{client}/providers")}  # on the providers' pages, a body for each kind
    assert {(route.method, route.path) for route in told} == plane - elsewhere


def test_the_formulas_for_power_apps_call_what_the_connector_has() -> None:
    text = docs_pages.text_of("providers/power-apps.md")
    definition = power_apps_connector.build(ROUTES, "https://auth.example.com", CLOUDS["global"])
    operations = {found["operationId"] for path in definition["paths"].values() for found in path.values()}
    named = set(re.findall(r"\b((?:Get|Post|Delete)Api\w+)", text))
    assert named
    assert named <= operations
    counts = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    assert f"describes {counts[len(operations)]} calls" in text
    queries = re.findall(r'PostApiClientGraphql\("(.*)"\)', text)
    assert len(queries) == 2
    for query in queries:
        filled = query.replace('" & JSON(Search.Text) & "', json.dumps('a "quoted" word'))
        assert validate(SCHEMA, parse(filled)) == []
    assert definition["info"]["title"] == "Manifest"  # the name of its data source in formulas


def test_the_documented_scope_is_the_one_that_the_connector_requests() -> None:
    definition = power_apps_connector.build(ROUTES, "https://auth.example.com", CLOUDS["global"])
    [scope] = definition["securityDefinitions"]["entra"]["scopes"]
    bodies = [body for page, body in docs_pages.provider_bodies() if page == "power-apps.md"]
    assert scope.rpartition("/")[2] in bodies[0]["entra"]["scopes"]
    assert f"*Scope name* `{scope.rpartition('/')[2]}`" in docs_pages.text_of("providers/power-apps.md")


def test_the_documented_dynamics_redirect_uri_is_correct() -> None:
    assert f"`https://auth.example.com{dynamics.CALLBACK}`" in docs_pages.text_of("providers/dynamics.md")


@matrix(("page", "kind", "model"), [
    ("dynamics.md", "dynamics", DynamicsSettings), ("power-apps.md", "entra", EntraSettings),
])  # fmt: skip
def test_every_microsoft_setting_is_documented_with_its_default(page: str, kind: str, model: Any) -> None:
    told = {
        row[0].strip("`"): row[1] for row in docs_pages.rows(docs_pages.text_of(f"providers/{page}")) if len(row) == 3
    }
    expected: dict[str, str | None] = {f"{kind}.clientSecret": "none", f"{kind}.cloud": "the installation's"}
    for field in msgspec.structs.fields(model):
        default = {True: "`true`", False: "`false`", "": "none", (): "any", "groups": "`groups`"}
        if field.name == "audiences":  # only our own audience
            default = {(): "none"}
        required = field.default is msgspec.NODEFAULT
        expected.setdefault(f"{kind}.{field.encode_name}", "required" if required else default[field.default])
    assert {name: default for name, default in told.items() if name.startswith(f"{kind}.")} == expected


def test_every_setting_of_the_other_kinds_is_documented() -> None:
    table = docs_pages.text_of("providers/README.md").partition("## Every setting")[2].partition("\n## ")[0]
    told = {name for row in docs_pages.rows(table) for name in re.findall(r"`([\w.]+)`", row[0])}
    for kind in ("oidc", "saml"):
        model = next(f for f in msgspec.structs.fields(ProviderBody) if f.name == kind).type
        model = next(part for part in model.__args__ if isinstance(part, type) and issubclass(part, msgspec.Struct))
        names = {field.encode_name for field in msgspec.structs.fields(model)} - {"attributes"}
        assert {f"{kind}.{name}" for name in names} <= told
    shared = {field.encode_name for field in msgspec.structs.fields(ProviderBody)}
    assert shared - KINDS.keys() <= told


def test_the_clouds_are_documented_correctly() -> None:
    told = {row[0].strip("`"): row for row in docs_pages.rows(docs_pages.text_of("providers/microsoft-clouds.md"))}
    assert told.keys() >= {*CLOUDS, "custom"}
    for name, cloud in CLOUDS.items():
        _, _, login, graph, environments, sts = told[name]
        assert f"https://{login.strip('`')}" == cloud.login
        assert f"https://{graph.strip('`')}" == cloud.graph
        assert sts.strip("`") == cloud.issuer_v1("DIRECTORY")
        for host in re.findall(r"`\*(\.[\w.]+)`", environments):
            assert cloud.is_organization(f"https://acme{host}")
        assert cloud.issuer_v2("DIRECTORY") == f"https://{login.strip('`')}/DIRECTORY/v2.0"


def _reasons(text: str, column: int) -> list[str]:
    return [
        cell for row in docs_pages.rows(text) if len(row) > column for cell in re.findall(r"`([^`]+)`", row[column])
    ]


def _is_given(reason: str, source: str) -> bool:
    """Whether the code gives a reason, with the exact text between ``…`` and numbers. Error codes of other services
    aren't compared."""
    reason = re.sub(r"^(graph|dataverse|on behalf of) returned.*", "{call} returned", reason)
    _, colon, said = reason.partition(": ")
    return all(piece.strip(" ,:") in source for piece in re.split(r"…|\d+", said if colon else reason))


@pytest.fixture(scope="module")
def source() -> str:
    return "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))


def test_every_reason_on_microsofts_pages_exists_in_the_code(source: str) -> None:
    for page, column in (("dynamics.md", 0), ("power-apps.md", 1)):
        reasons = _reasons(docs_pages.text_of(f"providers/{page}").partition("## Troubleshoot")[2], column)
        assert len(reasons) > 8
        assert [reason for reason in reasons if not _is_given(reason, source)] == [], page
