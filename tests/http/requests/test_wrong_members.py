"""The error for an invalid body lists every problem in plain language, including unknown members."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import SETTINGS, own_client
from tests.support.routes import ROUTES, Route, filled
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

UNKNOWN = "Unknown member"
CLIENTS = "/api/admin/clients"
#: Routes of the published page, where existing programs send arbitrary members.
OPEN_ENDED = {
    "/api/client/auth/sign-in",
    "/api/client/auth/refresh",
    "/api/client/auth/okta-saml",
    "/api/admin/auth/sign-in",
    "/api/admin/license-on-prem",
    # RFC 6749, section 3.2: unknown fields are ignored.
    "/oauth2/token",
    "/oauth2/revoke",
    "/oauth2/introspect",
    "/oauth2/device_authorization",
    "/oauth2/pairing",
    "/o/{client}/token",
    "/o/{client}/revoke",
    "/o/{client}/introspect",
}
STRICT = [route for route in ROUTES if route.members and route.path not in OPEN_ENDED]


async def wrong(app: App, method: str, path: str, body: Any, token: str | None = None) -> dict[str, str]:
    """The messages of a rejection, by member."""
    reply = await app.send(method, path, body, token=token)
    error = check_refusal(reply, 400, "VALIDATION_ERROR")
    return {detail["field"]: detail["message"] for detail in error["details"]}


@rule("BODY-UNKNOWN")
async def test_a_rule_that_is_misspelt_changes_nothing_and_is_named(app: App) -> None:
    own = await own_client(app)
    before = await own.shown()
    body = {"password": {"minLenght": 20}, "contact": "Ask Ada"}
    said = await wrong(app, "PATCH", SETTINGS, body, own.client_admin.token)
    assert said == {"password.minLenght": f"{UNKNOWN}. Did you mean minLength?"}
    assert await own.shown() == before


@pytest.fixture(scope="module")
async def tokens(app: App) -> dict[str, str | None]:
    return {
        "admin": await app.admin_token(),
        "client": (await app.sign_in("admin@acme.example")).data["token"],
        "open": None,
    }


@rule("BODY-UNKNOWN")
@matrix("route", STRICT)
async def test_every_other_route_names_what_it_does_not_know(
    app: App, tokens: dict[str, str | None], route: Route
) -> None:
    path = filled(route.path, client="acme", user=app.ids["author@acme.example"])
    said = await wrong(app, route.method, path, {"no-such-member": 1, "": 2, "x" * 100: 3}, tokens[route.who])
    assert {said["no-such-member"], said["body"], said["x" * 64]} == {UNKNOWN}


@rule("BODY-UNKNOWN")
async def test_the_published_calls_ignore_what_they_do_not_know(app: App) -> None:
    extra = {
        "clientId": "globex", "roles": ["Admin"], "remember": True, "__proto__": {"a": 1}, "x": [1, [2, {"y": None}]],
    }  # fmt: skip
    body = {"email": "author@acme.example", "password": PASSWORD}
    data = check_success(await app.post("/api/client/auth/sign-in", {**body, **extra}))
    assert (data["user"]["clientId"], data["user"]["roles"]) == ("acme", ["Author"])
    check_success(await app.post("/api/client/auth/refresh", {"refreshToken": data["refreshToken"], **extra}))
    check_success(await app.post("/api/client/auth/sign-out", extra, token=data["token"]))
    check_success(await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD, **extra}))
    token = await app.admin_token()
    for path, sent in (
        ("/api/client/auth/okta-saml", {"samlResponse": "bm90aGluZw==", **extra}),
        ("/api/admin/license-on-prem", {"licenseKey": "nonsense", **extra}),
    ):
        assert "There is no such" not in (await app.post(path, sent, token=token)).text
    asked = {"query": "{ me { id } }", "extensions": {}, **extra}
    again = (await app.sign_in()).data["token"]
    assert (await app.post("/api/client/graphql", asked, token=again)).json["data"]["me"]["id"]


async def test_everything_that_is_wrong_is_named_at_the_same_time(app: App, tokens: dict[str, str | None]) -> None:
    settings = {
        "refreshStrict": "yes",
        "allowedOrigins": ["https://a.example", 1, {}],
        "password": {"minLength": 7, "characterClasses": 5, "history": "3", "newer": True},
        "sessions": [],
        "contact": "x" * 201,
        "language": "xx",
        "notYetThere": 1,
    }
    said = await wrong(app, "POST", CLIENTS, {"identifier": 5, "settings": settings, "nmae": "A"}, tokens["admin"])
    assert said == {
        "identifier": "Must be text, not a whole number",
        "name": "Required",
        "settings.refreshStrict": "Must be true or false, not text",
        "settings.allowedOrigins[1]": "Must be text, not a whole number",
        "settings.allowedOrigins[2]": "Must be text, not an object",
        "settings.password.minLength": "Must be 8 or more",
        "settings.password.characterClasses": "Must be 4 or less",
        "settings.password.history": "Must be a whole number, not text",
        "settings.password.newer": UNKNOWN,
        "settings.sessions": "Must be an object, not a list",
        "settings.contact": "Must have at most 200 characters",
        "settings.language": "Must be one of: en, es, pt, de, fr, ja",
        "settings.notYetThere": UNKNOWN,
        "nmae": f"{UNKNOWN}. Did you mean name?",
    }


async def test_so_are_rules_that_a_type_does_not_have(app: App) -> None:
    own = await own_client(app)
    body = {
        "allowedOrigins": ["https://a.example", "http://a.example", "*"],
        "returnAddresses": ["/in"],
        "sessions": {"idleSeconds": 1, "maxSeconds": 2},
        "branding": {"accent": "red"},
    }
    assert list(await wrong(app, "PATCH", SETTINGS, body, own.client_admin.token)) == [
        "allowedOrigins[1]", "allowedOrigins[2]", "returnAddresses[0]", "sessions.idleSeconds", "sessions.maxSeconds",
        "branding.accent",
    ]  # fmt: skip


async def test_objects_in_lists_are_looked_into(app: App, tokens: dict[str, str | None]) -> None:
    oidc = {"issuer": "https://idp.example", "clientId": "x"}
    rules = [{"group": "a", "roles": ["Viewer"]}, {"group": 1, "roles": ["Viewer"], "role": "Admin"}]
    body = {"name": "listed", "oidc": oidc, "groupRoles": rules}
    said = await wrong(app, "POST", f"{CLIENTS}/acme/providers", body, tokens["admin"])
    assert said == {
        "groupRoles[1].group": "Must be text, not a whole number",
        "groupRoles[1].role": f"{UNKNOWN}. Did you mean roles?",
    }


async def test_an_unknown_role_is_told_in_the_same_words_everywhere(app: App, tokens: dict[str, str | None]) -> None:
    told = "Must be one of: Admin, User Admin, Author, Approver, Publisher, Operator, Viewer"
    path, body = f"{CLIENTS}/acme/users", {"email": "x@acme.example", "roles": ["Boss"]}
    assert await wrong(app, "POST", path, body, tokens["admin"]) == {"roles[0]": told}
    assert await wrong(app, "GET", f"{path}?role=Boss", None, tokens["admin"]) == {"role": told}
    token = (await app.sign_in("admin@acme.example")).data["token"]
    draft = '{email: "x@acme.example", firstName: "X", lastName: "Y", roles: ["Boss"]}'
    for query in (
        '{ users(filter: {role: "Boss"}) { id } }',
        f"mutation {{ inviteUser(input: {draft}) {{ __typename }} }}",
    ):
        [error] = (await app.graphql(query, token)).json["errors"]
        assert [detail["message"] for detail in error["extensions"]["details"]] == [told], error


async def test_an_empty_text_and_a_null_are_told(app: App) -> None:
    said = await wrong(app, "POST", "/api/client/auth/sign-in", {"email": None, "password": ""})
    assert said == {"email": "Must be text, not null", "password": "Must have at least 1 character"}


async def test_parameters_are_named_at_the_same_time_too(app: App, tokens: dict[str, str | None]) -> None:
    said = await wrong(app, "GET", f"{CLIENTS}?frist=1&zort=2", None, tokens["admin"])
    assert said == {"frist": "Unknown parameter", "zort": "Unknown parameter"}
    said = await wrong(app, "GET", f"{CLIENTS}?first=x&q={'y' * 201}", None, tokens["admin"])
    assert said == {"first": "Must be a whole number", "q": "Must have at most 200 characters"}


async def test_a_refusal_stays_short(app: App, tokens: dict[str, str | None]) -> None:
    many = {f"member-{number}": 1 for number in range(40_000)}
    assert len(await wrong(app, "POST", CLIENTS, {"identifier": "a-name", "name": "A", **many}, tokens["admin"])) == 20
    lists = {"allowedOrigins": [1] * 50, "returnAddresses": [1] * 100_000}
    said = await wrong(app, "POST", CLIENTS, {"identifier": "a-name", "name": "A", "settings": lists}, tokens["admin"])
    assert len(said) == 20
    said = await wrong(
        app, "PATCH", f"{CLIENTS}/acme", {"settings": {"returnAddresses": [1] * 100_000}}, tokens["admin"]
    )
    assert len(json.dumps(said)) < 300
