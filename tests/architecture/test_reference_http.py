"""``docs/reference/http.md`` on the site lists every route once, as in the route table, with the code's numbers."""

from __future__ import annotations

import re

import msgspec
import pytest

from manifest_auth import app
from manifest_auth.accounts.email_changes import CONFIRM_S, UNDO_S
from manifest_auth.accounts.one_time_links import LIFE_S, Purpose
from manifest_auth.accounts.password_rules import MOST
from manifest_auth.cli.reference import MisplacedRoute, fill
from manifest_auth.errors import REFUSALS
from manifest_auth.http import AUTH_LIMIT, BODY_LIMIT, SAML_LIMIT, Access, Who, openapi
from manifest_auth.runtime.settings import Settings
from manifest_auth.sessions import TOUCH_EVERY_MS
from manifest_auth.sign_in.admin_sign_in import LIFE_S as CHALLENGE_S
from manifest_auth.sign_in.providers.entra import KEEP_MS
from manifest_auth.tenants import PasswordRules
from manifest_auth.text.strict_json import MAX_DEPTH
from manifest_auth.throttle.limits import FLOW_LIFE_S
from tests.architecture.docs_pages import text_of
from tests.support.matrix import matrix

PROSE = text_of("reference/http.md")
TEXT = fill(PROSE)
ROUTES = [route for route in app.ROUTES if route.access is not Access.PAGE]


def _entries() -> dict[tuple[str, str], str]:
    """The entries, by method and path."""
    found = {}
    for part in re.split(r"^(?=### `)", TEXT, flags=re.MULTILINE)[1:]:
        head = part.partition("\n")[0]
        for method, path in re.findall(r"`([A-Z]+) (\S+)`", head):
            assert (method, path) not in found, head
            found[method, path] = re.split(r"^## ", part, flags=re.MULTILINE)[0]
    return found


def test_every_route_has_one_entry_and_every_entry_a_route() -> None:
    assert _entries().keys() == {(route.method, route.path) for route in ROUTES}


def test_an_entry_lists_callers_and_errors() -> None:
    document, entries = openapi.build(ROUTES), _entries()
    words: dict[Who, str] = {
        Access.OPEN: "anyone",
        Access.CLIENT: "a signed-in user",
        Access.ADMIN: "a system admin",
    }
    known = {refusal.code for refusal in REFUSALS}
    for route in ROUTES:
        entry = " ".join(entries[route.method, route.path].split())
        who = entry.partition("- Who: ")[2].partition(".")[0]
        expected = words[route.access] + (f" with `{route.permission.value}`" if route.permission else "")
        assert expected in who.split("; or "), route.path
        told = set(re.findall(r"`([A-Z_]+)`", entry.partition("- Refusals: ")[2].partition(".")[0]))
        responses = document["paths"][route.path][route.method.lower()]["responses"]
        assert told == known & set(re.findall(r"`([A-Z_]+)`", str(responses))), route.path


def test_an_entry_shows_body_response_and_limit() -> None:
    entries = _entries()
    sizes = {AUTH_LIMIT: "64 KiB", SAML_LIMIT: "512 KiB", BODY_LIMIT: "1 MiB"}
    for route in ROUTES:
        entry = entries[route.method, route.path]
        if route.body is not None:
            assert f"- Body: JSON, {sizes[route.limit]} at most." in entry, route.path
            names = {field.encode_name for field in msgspec.structs.fields(route.body)}
            assert "\nbody  " in entry
            is_named = f"\nbody  {route.body.__name__}\n" in entry
            shown = TEXT.partition("## Shapes")[2] if is_named else entry
            assert all(re.search(rf"\b{name}\??:", shown) for name in names), route.path
        if route.data is not None:
            assert f"\n{route.status}   " in entry, route.path


def test_a_route_without_an_entry_is_found() -> None:
    with pytest.raises(MisplacedRoute, match="POST /api/client/auth/refresh"):
        fill(PROSE.replace("<!-- routes: POST /api/client/auth/refresh -->", ""))
    with pytest.raises(MisplacedRoute, match="GET /healthz"):
        fill(PROSE.replace("<!-- routes: GET /healthz |", "<!-- routes: GET /healthz -->\n<!-- routes: GET /healthz |"))
    with pytest.raises(MisplacedRoute, match="no route is like GET /gone"):
        fill(PROSE.replace("<!-- routes: GET /healthz |", "<!-- routes: GET /gone | GET /healthz |"))


_DEFAULTS = Settings()
_DAY, _HOUR, _MINUTE = 86_400, 3600, 60


@matrix(
    "sentence",
    [
        "64 KiB on routes for signing in, 512 KiB for SAML, 1 MiB elsewhere"
        if (AUTH_LIMIT, SAML_LIMIT, BODY_LIMIT) == (64 << 10, 512 << 10, 1 << 20)
        else "",
        f"more than {MAX_DEPTH} levels",
        f"{PasswordRules().min_length} to {MOST} characters (a client can set a minimum of 8 to 64)",
        f"seconds since 1970; {_DEFAULTS.access_token_ttl // _HOUR} hours apart by default",
        f"A refresh token lives for {_DEFAULTS.refresh_token_ttl // _DAY} days by default",
        f"sent within {_DEFAULTS.refresh_grace} seconds of the change (`MANIFEST_REFRESH_GRACE`)",
        f"It ends after {_DEFAULTS.session_idle_ttl // _DAY} days without use",
        f"this is stored once {'a minute' if TOUCH_EVERY_MS == 60_000 else ''} at most",
        f"A session ends after {_DEFAULTS.session_max_ttl // _DAY} days at the latest",
        f"An invitation works for {LIFE_S[Purpose.INVITATION] // _HOUR} hours, a reset for "
        f"{LIFE_S[Purpose.RESET] // _MINUTE} minutes, both once",
        f"when its mailbox confirms, within {CONFIRM_S // _HOUR} hours",
        f"a link that works for {UNDO_S // _DAY} days and puts it back",
        f"It lasts {FLOW_LIFE_S // _MINUTE} minutes and ends once",
        f"remembered until the token ends, {'five' if KEEP_MS == 300_000 else ''} minutes at most",
        f"An access token lives for {_DEFAULTS.admin_access_token_ttl // _MINUTE} minutes, a session for "
        f"{_DEFAULTS.admin_session_ttl // _HOUR} hours",
        f"within {'five' if CHALLENGE_S == 300 else ''} minutes",
        f"The limit is {_DEFAULTS.file_limit >> 20} MiB",
        f"is permanently deleted after {_DEFAULTS.client_deletion_days} days",
        f"Argon2id ({_DEFAULTS.argon2_memory >> 10} MiB, {_DEFAULTS.argon2_passes} passes, "
        f"{_DEFAULTS.argon2_lanes} lane by default)",
    ],
)
def test_numbers_in_the_text_match_the_code(sentence: str) -> None:
    assert sentence
    assert sentence in " ".join(PROSE.split())
