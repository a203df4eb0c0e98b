"""``/api/client/settings`` lets a client's Admin and User Admin change its settings, with the admin API's rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import SETTINGS, member, own_client
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

DEFAULTS: dict[str, Any] = {
    "refreshStrict": False,
    "allowedOrigins": [],
    "returnAddresses": [],
    "passwordSignIn": True,
    "password": {"minLength": 15, "characterClasses": 0, "history": 0, "maxAgeDays": 0},
    "sessions": {"idleSeconds": 0, "maxSeconds": 0, "refreshSeconds": 0},
    "contact": "",
    "language": "en",
    "branding": {"name": "", "accent": ""},
    "secondFactor": {
        "policy": "optional", "roles": [], "methods": ["totp", "passkey"], "graceDays": 7, "trustedDays": 30,
    },
    "passkeySignIn": None,
    "stepUp": "factors",
    "pairing": {
        "scan": True, "code": False, "roles": ["Operator", "Viewer"], "hours": 12, "sameNetwork": True, "networks": [],
    },
    "badge": {"enabled": False, "pinLength": 6, "hours": 10, "idleMinutes": 15},
    "unconfirmed": {"allowedOrigins": [], "returnAddresses": []},
}  # fmt: skip
ALL: dict[str, Any] = {
    "refreshStrict": True,
    "allowedOrigins": ["https://app.example", "http://localhost:3000"],
    "returnAddresses": ["https://app.example/in", "com.acme.app:/in"],
    "passwordSignIn": False,
    "password": {"minLength": 20, "characterClasses": 3, "history": 5, "maxAgeDays": 90},
    "sessions": {"idleSeconds": 600, "maxSeconds": 3600, "refreshSeconds": 1800},
    "contact": "Ask Ada, extension 42",
    "language": "ja",
    "branding": {"name": "Acme & Söhne", "accent": "#00aa7f"},
    "secondFactor": {
        "policy": "roles", "roles": ["Author", "Operator"], "methods": ["passkey"], "graceDays": 3, "trustedDays": 10,
    },
    "passkeySignIn": True,
    "stepUp": "management",
    "pairing": {
        "scan": False, "code": True, "roles": ["Author", "Viewer"], "hours": 8, "sameNetwork": False,
        "networks": ["192.0.2.0/24", "2001:db8::/48"],
    },
    "badge": {"enabled": True, "pinLength": 8, "hours": 9, "idleMinutes": 5},
}  # fmt: skip
#: The same settings, with the strictest possible values.
STRICT = ALL | {
    "pairing": {**ALL["pairing"], "code": False, "sameNetwork": True},
    "badge": {**ALL["badge"], "enabled": False},
}


async def test_both_planes_show_the_same_members(app: App) -> None:
    own = await own_client(app)
    admins = check_success(await app.get(f"/api/admin/clients/{own.identifier}", token=await app.admin_token()))
    assert check_success(await app.get(SETTINGS, token=own.clerk.token)) == admins["settings"] == DEFAULTS


async def test_both_apis_can_set_and_show_every_member(app: App) -> None:
    own = await own_client(app)
    reply = await own.change(own.client_admin, **ALL)
    assert check_success(reply) == {**ALL, "unconfirmed": DEFAULTS["unconfirmed"]} == await own.shown()
    admins = await app.get(f"/api/admin/clients/{own.identifier}", token=await app.admin_token())
    assert admins.data["settings"] == reply.data


async def test_a_change_keeps_what_it_does_not_name(app: App) -> None:
    own = await own_client(app, **{**ALL, "passwordSignIn": True})
    before = await own.shown()
    after = await own.changed(
        own.client_admin, password={"history": 6}, sessions={"idleSeconds": 700}, branding={"name": "A"}
    )
    assert after == {
        **before,
        "password": {**before["password"], "history": 6},
        "sessions": {**before["sessions"], "idleSeconds": 700},
        "branding": {"name": "A", "accent": "#00aa7f"},
    }
    assert await own.changed(own.client_admin) == after


async def test_a_response_can_be_sent_back(app: App) -> None:
    own = await own_client(app, allowedOrigins=["https://app.example"])
    assert await own.changed(own.client_admin, **await own.shown()) == await own.shown()


@matrix(
    ("members", "field"),
    [
        ({"allowedOrigins": ["https://A.example"]}, "allowedOrigins[0]"),
        ({"returnAddresses": ["https://a.example/in", "/in"]}, "returnAddresses[1]"),
        ({"password": {"minLength": 7}}, "password.minLength"),
        ({"sessions": {"idleSeconds": 299}}, "sessions.idleSeconds"),
        ({"sessions": {"idleSeconds": -1}}, "sessions.idleSeconds"),
        ({"sessions": {"maxSeconds": 30 * 86_400 + 1}}, "sessions.maxSeconds"),
        ({"sessions": {"refreshSeconds": 1}}, "sessions.refreshSeconds"),
        ({"contact": "x" * 201}, "contact"),
        ({"contact": "two\nlines"}, "contact"),
        ({"contact": "?"}, "contact"),
        ({"contact": "  "}, "contact"),
        ({"contact": "unseen \u202e order"}, "contact"),
        ({"language": "xx"}, "language"),
        ({"language": "EN"}, "language"),
        ({"branding": {"accent": "red"}}, "branding.accent"),
        ({"branding": {"accent": "#FFFFFF"}}, "branding.accent"),
        ({"branding": {"accent": "#fff"}}, "branding.accent"),
        ({"branding": {"accent": "#ffffff\n"}}, "branding.accent"),
        ({"branding": {"name": "x" * 101}}, "branding.name"),
        ({"branding": {"name": "bell\x07"}}, "branding.name"),
        ({"branding": []}, "branding"),
        ({"secondFactor": {"policy": "always"}}, "secondFactor.policy"),
        ({"secondFactor": {"policy": "roles"}}, "secondFactor.roles"),
        ({"secondFactor": {"roles": ["Chief"]}}, "secondFactor.roles[0]"),
        ({"secondFactor": {"methods": []}}, "secondFactor.methods"),
        ({"secondFactor": {"methods": ["sms"]}}, "secondFactor.methods[0]"),
        ({"secondFactor": {"graceDays": 31}}, "secondFactor.graceDays"),
        ({"secondFactor": {"trustedDays": -1}}, "secondFactor.trustedDays"),
        ({"stepUp": "never"}, "stepUp"),
        ({"pairing": {"roles": ["Viewer", "User Admin"]}}, "pairing.roles"),
        ({"pairing": {"roles": []}}, "pairing.roles"),
        ({"pairing": {"hours": 25}}, "pairing.hours"),
        ({"pairing": {"networks": ["192.0.2.0/24", "192.0.2.0/24,::/0"]}}, "pairing.networks[1]"),
        ({"pairing": {"networks": ["here"]}}, "pairing.networks[0]"),
        ({"badge": {"pinLength": 5}}, "badge.pinLength"),
    ],
)
async def test_a_value_that_is_none_is_rejected_by_its_name_and_nothing_changes(
    app: App, members: dict[str, Any], field: str
) -> None:
    own = await own_client(app)
    error = check_refusal(await own.change(own.client_admin, **members), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [field]
    path, root = f"/api/admin/clients/{own.identifier}", await app.admin_token()
    error = check_refusal(await app.send("PATCH", path, {"settings": members}, token=root), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [f"settings.{field}"]
    body = {"identifier": "never-made", "name": "A client", "settings": members}
    check_refusal(await app.post("/api/admin/clients", body, token=root), 400, "VALIDATION_ERROR")
    assert await own.shown() == DEFAULTS


@matrix("role", ["Author", "Approver", "Publisher", "Operator", "Viewer"])
async def test_other_roles_neither_read_nor_change_them(app: App, role: str) -> None:
    own = await own_client(app)
    other = await member(app, own.identifier, role)
    check_refusal(await app.get(SETTINGS, token=other.token), 403, "FORBIDDEN")
    check_refusal(await own.change(other, contact="me"), 403, "FORBIDDEN")
    assert await own.shown() == DEFAULTS


async def test_requests_without_a_session_are_rejected(app: App) -> None:
    check_refusal(await app.get(SETTINGS), 401, "UNAUTHENTICATED")
    check_refusal(await app.get(SETTINGS, token=await app.admin_token()), 401, "INVALID_TOKEN")


LOWERED: list[dict[str, Any]] = [
    {"password": {"minLength": 19}},
    {"password": {"characterClasses": 2}},
    {"password": {"history": 4}},
    {"password": {"maxAgeDays": 91}},
    {"password": {"maxAgeDays": 0}},
    {"passwordSignIn": True},
    {"refreshStrict": False},
    {"secondFactor": {"policy": "optional"}},
    {"secondFactor": {"policy": "off"}},
    {"secondFactor": {"roles": ["Operator"]}},
    {"secondFactor": {"methods": ["passkey", "totp"]}},
    {"secondFactor": {"trustedDays": 11}},
    {"passkeySignIn": False},
    {"stepUp": "factors"},
    {"sessions": {"idleSeconds": 601}},
    {"sessions": {"maxSeconds": 0}},
    {"sessions": {"refreshSeconds": 3600}},
    {"pairing": {"scan": True}},
    {"pairing": {"code": True}},
    {"pairing": {"roles": ["Author", "Viewer", "Publisher"]}},
    {"pairing": {"hours": 9}},
    {"pairing": {"sameNetwork": False}},
    {"pairing": {"networks": []}},
    {"pairing": {"networks": ["192.0.2.0/24", "198.51.100.0/24"]}},
    {"pairing": {"networks": ["192.0.2.0/23"]}},
    {"pairing": {"networks": ["2001:db8::/47"]}},
    {"badge": {"enabled": True}},
    {"badge": {"pinLength": 7}},
    {"badge": {"hours": 10}},
    {"badge": {"idleMinutes": 6}},
]
#: Changes of values that ``STRICT`` doesn't have, each with the value before.
LOWERED_FROM: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"secondFactor": {"policy": "required"}}, {"secondFactor": {"policy": "roles"}}),
    ({"secondFactor": {"policy": "optional"}}, {"secondFactor": {"policy": "off"}}),
    ({"secondFactor": {"methods": ["totp", "passkey"]}}, {"secondFactor": {"methods": ["totp"]}}),
    ({"passwordSignIn": True}, {"passwordSignIn": False}),
    ({"passkeySignIn": False}, {"passkeySignIn": True}),
    ({"passkeySignIn": None}, {"passkeySignIn": True}),
    ({"pairing": {"networks": []}}, {"pairing": {"networks": ["198.51.100.0/24"]}}),
    ({"pairing": {"networks": []}}, {"pairing": {"networks": ["10.0.0.0/7"]}}),
    ({"pairing": {"networks": []}}, {"pairing": {"networks": ["10.0.0.0/8", "::/0"]}}),
]
#: Changes that a User Admin can make: stricter policies, and everything that doesn't protect Admins.
OWN: list[dict[str, Any]] = [
    {"password": {"minLength": 21, "characterClasses": 4, "history": 24, "maxAgeDays": 30}},
    {"sessions": {"idleSeconds": 300, "maxSeconds": 300, "refreshSeconds": 300}},
    {"contact": "Ask the clerk", "language": "de", "branding": {"name": "Acme", "accent": ""}},
    {"allowedOrigins": [], "returnAddresses": []},
    {
        "secondFactor": {
            "policy": "required",
            "roles": ["Author", "Operator", "Viewer"],
            "methods": ["passkey"],
            "graceDays": 30,
            "trustedDays": 0,
        }
    },
    {
        "pairing": {
            "scan": False, "code": False, "roles": ["Operator"], "hours": 7, "sameNetwork": True,
            "networks": ["192.0.2.128/25"],
        }
    },
    {"badge": {"enabled": False, "pinLength": 9, "hours": 8, "idleMinutes": 4}},
]  # fmt: skip
#: Members that a User Admin can change freely. Their entries don't apply to Admins.
FREE = {
    "contact", "language", "branding.name", "branding.accent", "allowedOrigins", "returnAddresses",
    "secondFactor.graceDays",
}  # fmt: skip


def leaves(members: dict[str, Any]) -> set[str]:
    return {
        f"{name}.{each}" if each else name
        for name, value in members.items()
        for each in (value if isinstance(value, dict) else [""])
    }


@rule("RANK")
def test_every_member_defines_who_can_weaken_it() -> None:
    lowered = {name for members in LOWERED for name in leaves(members)}
    assert lowered | FREE == leaves(ALL) == leaves(DEFAULTS) - leaves({"unconfirmed": DEFAULTS["unconfirmed"]})
    assert not lowered & FREE


@rule("RANK")
@matrix("start, members", [*(({}, members) for members in LOWERED), *LOWERED_FROM])
async def test_only_an_admin_lowers_what_protects_admins(
    app: App, start: dict[str, Any], members: dict[str, Any]
) -> None:
    own = await own_client(app)
    await own.changed(own.client_admin, **STRICT)
    before = await own.changed(own.client_admin, **start)
    error = check_refusal(await own.change(own.clerk, contact="Ask me", **members), 403, "FORBIDDEN")
    [(name, value)] = members.items()
    assert [d["field"] for d in error["details"]] == [
        f"{name}.{next(iter(value))}" if isinstance(value, dict) else name
    ]
    assert await own.shown() == before
    assert await own.changed(own.client_admin, **members) != before


@rule("RANK")
async def test_without_a_list_networks_are_the_private_ones(app: App) -> None:
    own = await own_client(app)
    assert (await own.changed(own.clerk, pairing={"networks": ["10.1.0.0/16", "fd00:1::/32"]}))["pairing"]["networks"]


@matrix("members", OWN)
async def test_a_user_admin_can_set_the_rest(app: App, members: dict[str, Any]) -> None:
    own = await own_client(app)
    before = await own.changed(own.client_admin, **ALL)
    after = await own.changed(own.clerk, **members)
    assert after == {**before, **members}


async def test_a_change_is_in_the_audit_trail_with_before_and_after(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, contact="Ask the clerk")
    event = (await trail(app, own.identifier))[-1]
    assert (event.event, event.actor) == ("client_changed", f"user:{own.clerk.id}")
    assert "Ask the clerk" not in event.members["before"][1]
    assert "Ask the clerk" in event.members["after"][1]


async def test_new_branding_is_an_event_of_its_own(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, branding={"accent": "#112233"})
    event = (await trail(app, own.identifier))[-1]
    assert (event.event, event.members["after"]) == ("branding_changed", {"name": "", "accent": "#112233"})
    await own.changed(own.clerk, branding={"accent": "#445566"}, contact="Ask")
    assert [one.event for one in (await trail(app, own.identifier))[-2:]] == ["branding_changed", "client_changed"]


async def test_a_user_who_just_lost_the_role_changes_nothing(app: App) -> None:
    own = await own_client(app)
    path = f"/api/admin/clients/{own.identifier}/users/{own.clerk.id}/roles"
    await app.send("PUT", path, {"roles": ["Viewer"]}, token=await app.admin_token())
    check_refusal(await own.change(own.clerk, contact="me"), 403, "FORBIDDEN")
