"""``/power-apps.json`` is the OpenAPI 2.0 document that Power Apps imports as a custom connector."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.application import App, running
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, connector_of_everything, filled

pytestmark = pytest.mark.one_store

#: Keywords that OpenAPI 2.0 lacks (the first row), or that the Power Apps importer rejects (the second).
UNKNOWN = {"oneOf", "anyOf", "not", "const", "nullable", "$defs", "components", "requestBody", "content", "examples",
           "allOf", "discriminator", "collectionFormat", "patternProperties", "if", "propertyNames"}  # fmt: skip
#: Excluded routes of signed-in users: they need a password or a browser, change sign-in methods, accept files, or
#: manage a client.
NOT_FOR_APPS = re.compile(
    r"/password\Z|/email\Z|/(?:identities|second-factors|passkeys|reauthenticate|devices|badge-pin)\b"
    r"|\A/api/client/(?:apps|audit|branding|directories|domains|files|providers|scim|service-accounts|settings|users)\b"
)


async def definition(app: App) -> dict[str, Any]:
    reply = await app.get("/power-apps.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert len(reply.text) < 1024 * 1024  # Power Apps rejects larger files
    found: dict[str, Any] = reply.json
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Operations by method and path."""
    return {
        (method.upper(), path): found
        for path, methods in document["paths"].items()
        for method, found in methods.items()
    }


def faults(document: dict[str, Any]) -> list[str]:
    return [str(error) for error in OpenAPIV2SpecValidator(document).iter_errors()]


def keywords(value: Any, *, named: bool = False) -> set[str]:
    """All keywords of the definition, but no names of members, definitions, and paths."""
    if isinstance(value, list):
        return {word for item in value for word in keywords(item)}
    if not isinstance(value, dict):
        return set()
    own = set() if named else set(value)
    naming = ("properties", "definitions", "paths", "scopes", "securityDefinitions")
    return own | {
        word for name, member in value.items() for word in keywords(member, named=not named and name in naming)
    }


async def test_it_is_valid_and_holds_nothing_that_the_importer_does_not_know(app: App) -> None:
    document = await definition(app)
    assert document["swagger"] == "2.0"
    assert faults(document) == []
    assert "operationId" in keywords(document)
    assert not keywords(document) & UNKNOWN
    assert not [word for word in keywords(document) if word.startswith("x-") and word != "x-nullable"]


def test_so_it_would_be_with_any_body_and_answer_that_a_route_of_ours_has() -> None:
    """Prepares for future routes by treating each current route as if an app called it."""
    document: dict[str, Any] = connector_of_everything()
    assert len(document["definitions"]) > 50
    assert faults(document) == []
    assert not keywords(document) & UNKNOWN
    assert "x-nullable" in keywords(document)


async def test_it_holds_every_route_that_an_app_calls_and_no_other(app: App) -> None:
    expected = (
        {
            (route.method, route.path)
            for route in ROUTES
            if route.who == "client" and not NOT_FOR_APPS.search(route.path)
        }
        - {("GET", "/api/client/graphql"), ("GET", "/api/client/graphql/schema.graphql")}
        - {("PATCH", "/api/client/auth/me")}
    )
    found = operations(await definition(app))
    assert set(found) == expected
    assert ("POST", "/api/client/graphql") in found
    assert ("GET", "/api/client/auth/me") in found


async def test_an_app_can_sign_in_by_every_one_of_them_with_its_token(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    found = operations(await definition(setup.app))
    for (method, path), operation in sorted(found.items(), key=lambda one: "sign-out" in one[0][1]):
        address = filled(path)
        body = {"query": "{ me { id } }"} if "graphql" in path else None
        fresh = setup.microsoft.mint("graph", claims={"uti": path}) if "sign-out" in path else token
        reply = await setup.app.send(method, address, body, token=fresh)
        known = {int(status) for status in operation["responses"] if status != "default"}
        assert reply.status in known | {404}, (method, path, reply.text)
        assert (reply.status == 404) == ("{" in path)


async def test_names_and_texts_are_as_power_apps_wants_them(app: App) -> None:
    """Microsoft's guidelines for connector texts limit lengths, and forbid product names and the word API."""
    document = await definition(app)
    found = operations(document)
    names = [operation["operationId"] for operation in found.values()]
    assert len(names) == len({name.lower() for name in names}) == len(found)
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]{2,60}", name) for name in names)
    for operation in found.values():
        assert 0 < len(operation["summary"]) <= 80
        assert operation["summary"][-1].isalnum()
        assert "/" not in operation["summary"]
    info = document["info"]
    assert 0 < len(info["title"]) <= 30
    assert 0 < len(info["description"]) <= 500
    for text in (info["title"], info["description"]):
        assert not re.search(r"\bAPI\b|Power|Microsoft|Copilot|Dynamics", text)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            given = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert given == set(re.findall(r"{(\w+)}", path))


async def test_the_query_is_asked_for_by_name(app: App) -> None:
    operation = operations(await definition(app))["POST", "/api/client/graphql"]
    [body] = operation["parameters"]
    assert (body["in"], body["required"], body["schema"]["required"]) == ("body", True, ["query"])
    assert set(body["schema"]["properties"]) == {"query", "variables", "operationName"}


async def test_the_address_is_the_public_one_and_the_way_in_is_entra(app: App) -> None:
    document = await definition(app)
    assert (document["schemes"], document["host"], document["basePath"]) == (["http"], "127.0.0.1:8080", "/")
    [entra] = document["securityDefinitions"].values()
    assert (entra["type"], entra["flow"]) == ("oauth2", "accessCode")
    authority = "https://login.microsoftonline.com/common/oauth2/v2.0"
    assert (entra["authorizationUrl"], entra["tokenUrl"]) == (f"{authority}/authorize", f"{authority}/token")
    [scope] = entra["scopes"]
    assert scope.startswith("api://")
    assert document["security"] == [{"entra": [scope]}]
    assert not [operation for operation in operations(document).values() if "security" in operation]


LOGINS = {
    "us-gov": "https://login.microsoftonline.us",
    "us-dod": "https://login.microsoftonline.us",
    "china": "https://login.partner.microsoftonline.cn",
}


@matrix("cloud", LOGINS)
async def test_in_a_national_cloud_people_sign_in_there(database_url: str, app: App, cloud: str) -> None:
    settings = {"MANIFEST_MICROSOFT_CLOUD": cloud, "MANIFEST_PUBLIC_URL": "https://auth.example.com"}
    async with running(database_url, **settings) as node:
        document = await definition(node)
    assert (document["schemes"], document["host"]) == (["https"], "auth.example.com")
    entra = document["securityDefinitions"]["entra"]
    for name in ("authorizationUrl", "tokenUrl"):
        assert entra[name].startswith(f"{LOGINS[cloud]}/")
    assert "login.microsoftonline.com" not in str(document)
    assert faults(document) == []
