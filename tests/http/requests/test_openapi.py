"""``/openapi.json`` and ``/docs/api`` describe exactly what is served."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.application import PASSWORD, App
from tests.support.routes import ROUTES, filled, openapi_document
from tests.support.saml_idp import Idp

pytestmark = pytest.mark.one_store

METHODS = {"get", "post", "put", "patch", "delete"}


async def description(app: App) -> dict[str, Any]:
    reply = await app.get("/openapi.json")
    assert reply.headers["content-type"].startswith("application/json")
    found: dict[str, Any] = reply.json
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for member in value.values() for ref in references(member)]
    return [ref for member in value for ref in references(member)] if isinstance(value, list) else []


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "$") -> list[str]:
    """The places where a value doesn't match its schema, including undescribed members."""
    if "$ref" in schema:
        return faults(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value, at)
    if "anyOf" in schema:
        tried = [faults(document, one, value, at) for one in schema["anyOf"]]
        return [] if [] in tried else min(tried, key=len)
    if "const" in schema or "enum" in schema:
        return [] if value in schema.get("enum", [schema.get("const")]) else [f"{at}: {value!r}"]
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "null": type(None),
    }  # fmt: skip
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{at}: {value!r} is no {kind}"]
    if kind == "array":
        return [
            f for n, item in enumerate(value) for f in faults(document, schema.get("items", {}), item, f"{at}[{n}]")
        ]
    if kind != "object":
        return []
    members, others = schema.get("properties", {}), schema.get("additionalProperties", False)
    found = [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, member in value.items():
        if name in members:
            found += faults(document, members[name], member, f"{at}.{name}")
        elif others is False:
            found.append(f"{at}.{name} is not described")
        elif isinstance(others, dict):
            found += faults(document, others, member, f"{at}.{name}")
    return found


@pytest.mark.endurance
def test_it_is_valid_openapi_3_1() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(openapi_document()).iter_errors()] == []


async def test_it_is_openapi_3_1_in_structure(app: App) -> None:
    document = await description(app)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"]
    assert document["info"]["version"]
    ids = set()
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert set(item) <= METHODS
        for operation in item.values():
            ids.add(operation["operationId"])
            assert operation["summary"]
            assert operation["responses"]
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d|default", status)
                assert response["description"]
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            assert all(p["required"] for p in operation.get("parameters", []) if p["in"] == "path")
            for choice in operation.get("security", []):
                assert set(choice) <= set(document["components"]["securitySchemes"])
    assert len(ids) == len(ROUTES)
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


async def test_a_text_about_a_person_has_the_same_limits_in_every_body(app: App) -> None:
    limits = {
        **dict.fromkeys(("password", "newPassword", "currentPassword"), (1, 256)),
        **dict.fromkeys(("email", "newEmail"), (3, 254)),
        **dict.fromkeys(("firstName", "lastName", "title"), (0, 100)),
    }
    found = {
        (body, name): (member.get("minLength", 0), member.get("maxLength"))
        for body, schema in (await description(app))["components"]["schemas"].items()
        for name, member in schema.get("properties", {}).items()
        if body.endswith("Body") and name in limits
    }
    assert len(found) > 20
    assert found == {(body, name): limits[name] for body, name in found}


async def test_it_says_what_graphql_takes(app: App) -> None:
    paths = (await description(app))["paths"]["/api/client/graphql"]
    body = paths["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["query"]
    assert set(body["properties"]) == {"query", "variables", "operationName"}
    assert {(p["name"], p["required"]) for p in paths["get"]["parameters"] if p["in"] == "query"} == {
        ("query", True), ("variables", False), ("operationName", False),
    }  # fmt: skip


async def test_it_says_which_fields_a_form_needs(app: App) -> None:
    document, form = await description(app), "application/x-www-form-urlencoded"
    found = {}
    for path, item in document["paths"].items():
        if schema := item.get("post", {}).get("requestBody", {}).get("content", {}).get(form, {}).get("schema"):
            named = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            found[path] = set(named["required"])
    assert found == {
        "/api/client/auth/okta-saml": {"SAMLResponse"}, "/oauth2/token": {"grant_type"},
        "/o/{client}/token": {"grant_type"}, "/oauth2/device_authorization": {"client_id"},
        "/oauth2/pairing": {"client_id", "pairing_code"},
        **{f"{start}/{act}": {"token"} for start in ("/oauth2", "/o/{client}") for act in ("revoke", "introspect")},
    }  # fmt: skip


async def test_it_lists_exactly_what_is_served(app: App) -> None:
    document = await description(app)
    listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert listed == {(route.method, route.path) for route in ROUTES}
    assert len(listed) == len(ROUTES)


async def test_real_answers_have_the_shape_that_is_described(app: App) -> None:
    document = await description(app)

    def check(method: str, path: str, reply: Any, status: int = 200) -> None:
        assert reply.status == status, reply.text
        schema = document["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
        assert faults(document, {**schema, "additionalProperties": True}, reply.json) == []

    auth = "/api/client/auth"
    signed_in = await app.sign_in(client="acme")
    check("post", f"{auth}/sign-in", signed_in)
    token = signed_in.data["token"]
    check("get", f"{auth}/me", await app.me(token))
    check("get", f"{auth}/me", await app.me("x"), 401)
    check("get", f"{auth}/sessions", await app.get(f"{auth}/sessions", token=token))
    check("post", f"{auth}/refresh", await app.refresh(signed_in.data["refreshToken"]))
    check("post", f"{auth}/sign-in", await app.post(f"{auth}/sign-in", {}), 400)
    check("post", f"{auth}/sign-out", await app.post(f"{auth}/sign-out", token=token))
    token = (await app.sign_in(client="acme")).data["token"]
    graphql = "/api/client/graphql"
    check("post", graphql, await app.graphql("{ me { id } user(id: 999999) { id } }", token))
    check("post", graphql, await app.post(graphql, {}, token=token), 400)
    check("get", graphql, await app.get(graphql, token=token), 400)
    check("get", graphql, await app.get(f"{graphql}?query=mutation{{x}}", token=token), 405)
    check("get", graphql, await app.get(graphql), 401)
    check("post", "/api/client/files", await app.send("POST", "/api/client/files", token=token), 403)
    for path in ("/api/client/files", "/api/admin/clients"):  # a missing parameter, and one that isn't a number
        assert "400" in document["paths"][path]["post" if "files" in path else "get"]["responses"]
    body = {"username": "root", "password": PASSWORD}
    check("post", "/api/admin/auth/sign-in", await app.post("/api/admin/auth/sign-in", body))
    token = await app.admin_token()
    client = str(app.ids["acme"])
    for path in (
        "/api/admin/auth/me",
        "/api/admin/clients",
        "/api/admin/clients/{client}",
        "/api/admin/clients/{client}/users",
        "/api/admin/license-on-prem",
    ):
        check("get", path, await app.get(path.replace("{client}", client), token=token))
    base = "/api/admin/clients/{client}/providers"
    oidc = {"name": "described", "oidc": {"issuer": "https://idp.example", "clientId": "x", "clientSecret": "y"}}
    check("post", base, await app.post(filled(base, client=client), oidc, token=token), 201)
    saml = {"entityId": "x", "certificates": [Idp().certificate_pem], "redirectUrl": "https://idp.example/sso"}
    made = await app.post(filled(base, client=client), {"name": "described-too", "saml": saml}, token=token)
    check("post", base, made, 201)
    for path, method in ((base, "get"), (f"{base}/{{provider}}", "get"), (f"{base}/{{provider}}/rotate-key", "post")):
        address = filled(path, client=client, provider="described-too")
        check(method, path, await app.send(method.upper(), address, token=token))
    own = (await app.sign_in("admin@acme.example")).data["token"]
    for path in ("/api/client/providers", "/api/client/auth/identities", "/api/client/users/{user}/identities"):
        check("get", path, await app.get(filled(path, user=app.ids["viewer@acme.example"]), token=own))
    found = await app.post(f"{auth}/discover", {"email": "x@acme.example"}, headers={"X-Client-ID": "acme"})
    check("post", f"{auth}/discover", found)


class Page(HTMLParser):
    """The URLs that a browser would fetch, run, or follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.inline = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        self.inline += "style" in values or any(name.startswith("on") for name in values)
        self.links += [values["href"]] if tag == "a" else []
        self.fetched += [values[name] for name in ("src", "srcset", "action", "data") if name in values]
        self.fetched += [values["href"]] if tag != "a" and "href" in values else []


async def test_the_docs_page_needs_no_internet_and_no_script(app: App) -> None:
    reply = await app.get("/docs/api")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(reply.text)
    assert "script" not in page.tags
    assert page.fetched == []
    assert page.inline == 0
    assert "http://" not in reply.text
    assert "https://" not in reply.text
    assert "@import" not in reply.text
    assert "url(" not in reply.text
    for link in page.links:
        assert link in ("/openapi.json", "/docs/") or link.removeprefix("#") in page.ids


async def test_the_docs_page_has_a_policy_that_allows_its_own_style_alone(app: App) -> None:
    reply = await app.get("/docs/api")
    [policy] = reply.headers.get_list("content-security-policy")
    [style] = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert rules["frame-ancestors"] == "'none'"
    assert "script-src" not in rules
    assert "unsafe" not in policy


async def test_the_docs_page_shows_every_route(app: App) -> None:
    text = (await app.get("/docs/api")).text
    for route in ROUTES:
        assert f"<b>{route.method}</b> <code>{route.path}</code>" in text
