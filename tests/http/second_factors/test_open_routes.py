"""No public route opens a session without a required second factor, whatever other valid input it gets.

The routes come from the application, so new ones are included, with every selection of members. Each has a correct
value, except the factor.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.accounts import settle
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.routes import PAGES, ROUTES, Route, filled
from tests.support.rows import rows
from tests.support.second_factors import REQUIRED, Person, enrolled, person
from tests.support.user_management import NEW, reset
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.settings(MANIFEST_RATE_LIMITS="off"), pytest.mark.one_store]
OPEN = [route for route in ROUTES if route.who == "open"]
FORMS = [
    route
    for route in PAGES
    if route.method == "POST" and not route.path.startswith(("/account", "/console", "/installation"))
]
#: Members with known correct values; ``otp`` and the like get wrong ones. All others are texts.
KNOWN = {
    "email", "password", "newPassword", "token", "challenge", "otp", "recoveryCode", "passkey", "newPasskey", "trust",
    "method", "client", "username", "name", "provider", "credential", "code", "codeVerifier", "refreshToken",
    "samlResponse", "relayState", "grant_type", "scope", "resource", "client_id", "client_secret", "client_assertion",
    "client_assertion_type", "token_type_hint", "deviceToken", "badge", "pin", "newPin", "device_code", "device_name",
    "pairing_code", "refresh_token", "code_verifier", "redirect_uri",
}  # fmt: skip


async def right(who: Person, link: str, *, fresh: bool) -> dict[str, Any]:
    """The knowledge of an attacker who has the password and the mailbox, but not the factor."""
    challenge = (await who.challenge())["challenge"] if fresh else ""
    return {
        "email": who.email, "password": PASSWORD, "newPassword": NEW, "token": link, "challenge": challenge,
        "otp": who.wrong() if who.phone else "000000", "recoveryCode": "aaaa-bbbb", "passkey": {}, "newPasskey": {},
        "trust": True, "method": "totp", "client": who.client, "username": who.email, "name": "A key",
        "provider": "no-such-provider", "credential": {}, "code": challenge or "x" * 43, "codeVerifier": "",
        "refreshToken": challenge or "x", "samlResponse": "PHg+", "relayState": challenge,
        "grant_type": "client_credentials", "scope": "", "resource": "", "client_id": who.email,
        "client_secret": PASSWORD, "client_assertion": link, "token_type_hint": "",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "deviceToken": challenge or "x" * 43, "badge": f"MB1:{who.client}:{'A' * 26}", "pin": "739184",
        "newPin": "739185", "device_code": challenge or "x" * 43, "device_name": "Headset",
        "pairing_code": f"{who.client}.{'A' * 26}", "refresh_token": challenge or "x",
        "code_verifier": "x" * 43, "redirect_uri": "https://reports.example.com/callback",
    }  # fmt: skip


def choices(members: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every selection of members; if there are many, those of up to three, and all of them."""
    most = len(members) if len(members) <= 7 else 3
    for count in range(most + 1):
        yield from itertools.combinations(members, count)
    yield members


async def state(who: Person) -> list[Any]:
    """The values that must not change: sessions, codes, trusted browsers, factors, and password."""
    return [
        await rows(who.app, "sessions", "id", user_id=who.id),
        await rows(who.app, "sign_in_codes", "key", user_id=who.id),
        await rows(who.app, "trusted_browsers", "id", user_id=who.id),
        await rows(who.app, "users", "password_hash", "factors", id=who.id),
    ]


def opens_nothing(reply: Reply) -> None:
    given = [line.partition("=")[0] for line in reply.headers.get_list("set-cookie") if "Max-Age=0" not in line]
    assert not {"session", "trust", "admin"} & set(given), reply.headers
    assert '"refreshToken":"' not in reply.text
    assert '"access_token"' not in reply.text
    assert "code=" not in reply.headers.get("location", "")


async def has_a_factor(app: App) -> Person:
    return await enrolled(app)


async def has_to_enrol(app: App) -> Person:
    return await person(app, **REQUIRED)


@pytest.fixture(params=[has_a_factor, has_to_enrol])
async def ada(request: pytest.FixtureRequest, app: App) -> Person:
    who: Person = await request.param(app)
    return who


def test_each_member_of_an_open_route_has_a_value_here() -> None:
    assert {member for route in OPEN for member in route.members} <= KNOWN


@matrix("route", [route for route in OPEN if route.members])
async def test_no_open_route_gets_past_the_factor(app: App, ada: Person, route: Route) -> None:
    link = await ada.reset_link()
    before = await state(ada)
    for members in choices(route.members):
        known = await right(ada, link, fresh=not {"challenge", "code", "refreshToken"}.isdisjoint(members))
        body = {name: known[name] for name in members}
        headers = {"x-client-id": ada.client}
        if route.is_form:
            form = {**headers, "content-type": "application/x-www-form-urlencoded"}
            path = filled(route.path, client=ada.client)
            reply = await app.send(route.method, path, headers=form, content=urlencode(body).encode())
        else:
            reply = await app.send(route.method, filled(route.path), body, headers=headers)
        opens_nothing(reply)
        assert reply.status < 500
    assert await state(ada) == before
    await settle(app, ada.client, **REQUIRED)
    await goes_on(ada, link)


async def posted(who: Person, route: Route, link: str, password: str) -> tuple[Visitor, Reply]:
    """The form as posted by a browser that found it on a public page, filled in with the attacker's knowledge."""
    visitor = Visitor(who.app)
    fields: dict[str, str] = {}
    for start in ("/sign-in", f"/sign-in?client={who.client}", f"/forgot?client={who.client}", "/welcome"):
        forms = (await visitor.get(start)).forms()
        fields |= {name: value for form in forms if form.action == route.path for name, value in form.fields.items()}
    typed = {"email": who.email, "token": link, "act": "password", "password": password}
    known = {name: value for name, value in typed.items() if name in route.members}
    return visitor, (await visitor.post(route.path, fields | known)).reply


@matrix("route", FORMS)
async def test_no_form_gets_past_the_factor(ada: Person, route: Route) -> None:
    link = await ada.reset_link()
    before = await state(ada)
    for password in (PASSWORD, NEW):
        visitor, reply = await posted(ada, route, link, password)
        opens_nothing(reply)
        assert "session" not in visitor.cookies
    assert await state(ada) == before


@matrix("path", ["/sign-in/password", "/welcome"])
async def test_where_no_factor_is_due_the_same_form_leads_in(app: App, path: str) -> None:
    [route] = [route for route in FORMS if route.path == path]
    eve = await person(app)
    visitor, _ = await posted(eve, route, await eve.reset_link(), PASSWORD if path != "/welcome" else NEW)
    assert "session" in visitor.cookies


@matrix("path", ["sign-in", "password/reset"])
async def test_where_no_factor_is_due_the_same_members_lead_in(app: App, path: str) -> None:
    [route] = [route for route in OPEN if route.path == f"/api/client/auth/{path}"]
    eve = await person(app)
    known = await right(eve, await eve.reset_link(), fresh=False)
    body = {name: known[name] for name in route.members}
    check_success(await app.send(route.method, route.path, body, headers={"x-client-id": eve.client}))


async def goes_on(ada: Person, link: str) -> None:
    """Check that all values were correct: with the factor, the link works."""
    if ada.phone is None:
        await ada.enrol_at_sign_in()
    error = check_refusal(await reset(ada.app, link), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(error["challenge"], otp=ada.code()))
