"""Microsoft sign-ins leave no token, code, or secret in the log or the database."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.http.logs.test_no_secret import Told, cookies, json_lines, send, stored
from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OURS, POWER_APP
from tests.interop.microsoft.stand_in import Standin, standin
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, served

pytestmark = [pytest.mark.processes, pytest.mark.one_store]

AUTH, CLIENT = "/api/client/auth", "/api/admin/clients/acme"
PROVIDERS = f"{CLIENT}/providers"
BACK = "https://app.acme.example/in"
RULES = {"createUsers": True, "defaultRoles": ["Viewer"], "returnAddresses": [BACK]}
REFRESH = "0.refresh-token-of-microsoft-not-to-be-logged"


def a_day_with_dynamics(server: Server, microsoft: Standin, secrets: dict[str, str]) -> None:
    """Sign in by cookie and by code, replay, and be rejected by Microsoft, by Dataverse, and by us."""
    microsoft.asked.clear()
    start = urlencode({"client": "acme", "provider": "crm", "returnTo": BACK, "response": "cookie"})
    for turn in ("in", "in", "no member", "throttled", "no code", "declined"):
        number = len(secrets)
        microsoft.user = "carol" if turn == "no member" else "alice"
        access = secrets[f"access token {number}"] = microsoft.mint("dataverse", user=microsoft.user)
        id_token: dict[str, Any] = {} if turn != "no code" else {"id_token": microsoft.mint("id")}
        microsoft.token = {"access_token": access, "refresh_token": REFRESH, **id_token}
        microsoft.answers = {"dataverse": error_bodies.throttled(3)} if turn == "throttled" else {}
        microsoft.refuses = "access_denied" if turn == "declined" else None
        status, _, headers = send(server, "GET", f"{AUTH}/ms-dynamics?{start}")
        assert status == 302
        address = microsoft.visit(headers["Location"])
        secrets[f"nonce {number}"] = parse_qs(urlsplit(headers["Location"]).query)["nonce"][0]
        for name, values in parse_qs(urlsplit(address).query).items():
            if name in ("state", "code"):
                secrets[f"{name} {number}"] = values[0]
        target = f"{AUTH}/ms-dynamics/callback?{urlsplit(address).query}"
        assert send(server, "GET", target)[0] == 401  # a browser without the cookie
        cookie = "; ".join(f"{name}={value}" for name, value in cookies(headers).items())
        status, _, ended = send(server, "GET", target, Cookie=cookie)
        assert status == {"in": 302, "throttled": 502}.get(turn, 401), turn
        assert send(server, "GET", target, Cookie=cookie)[0] == 401  # already used
        secrets |= {f"{name} cookie {number}": value for name, value in cookies(ended).items() if value}
    redeemed = [asked.form for asked in microsoft.asked if asked.endpoint == "token"]
    secrets |= {f"verifier {number}": form["code_verifier"] for number, form in enumerate(redeemed)}


def a_day_with_power_apps(server: Server, microsoft: Standin, secrets: dict[str, str]) -> None:
    """Get access by REST and GraphQL, sign out, and be rejected."""
    microsoft.token, microsoft.answers = {}, {}
    for kind in ("graph", "api", "api-v1"):
        token = secrets[f"{kind} token"] = microsoft.mint(kind)
        bearer = f"Bearer {token}"
        assert send(server, "GET", f"{AUTH}/me", Authorization=bearer)[0] == 200
        assert send(server, "POST", "/api/client/graphql", {"query": "{ me { id } }"}, Authorization=bearer)[0] == 200
        assert send(server, "POST", f"{AUTH}/sign-out", Authorization=bearer)[0] == 200
        assert send(server, "GET", f"{AUTH}/me", Authorization=bearer)[0] == 401
        for claims in ({"appid": OURS, "azp": OURS}, {"tid": OURS}, {"oid": None}):
            forged = secrets[f"{kind} with {next(iter(claims))}"] = microsoft.mint(kind, claims=claims)
            assert send(server, "GET", f"{AUTH}/me", Authorization=f"Bearer {forged}")[0] == 401
    microsoft.answers["graph"] = error_bodies.unavailable()
    token = secrets["token while Graph is down"] = microsoft.mint("graph")
    assert send(server, "GET", f"{AUTH}/me", Authorization=f"Bearer {token}")[0] == 502


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("logs")
    database = "" if request.param == "sqlite" else request.getfixturevalue("postgres").fresh_database()
    secrets = {"client secret": OUR_SECRET, "refresh token": REFRESH}
    levels = {"MANIFEST_LOG_LEVEL": "debug", "MANIFEST_LOG_REQUESTS": "all"}
    with standin() as microsoft, served(folder, database, **levels, **microsoft.settings) as server:
        sign_in = {"username": "admin", "password": DEMO_PASSWORD}
        _, answer, _ = send(server, "POST", "/api/admin/auth/sign-in", sign_in)
        admin = f"Bearer {answer['data']['token']}"
        ours = {"directory": microsoft.named("contoso").id, "clientId": OURS, "clientSecret": OUR_SECRET}
        dynamics = {**ours, "organization": ORGANIZATION, "keepTokens": True}
        entra = {**ours, "applications": [POWER_APP], "appIdUri": f"api://{OURS}", "askGraph": True}
        for body in ({"name": "crm", "dynamics": dynamics}, {"name": "apps", "entra": entra}):
            assert send(server, "POST", PROVIDERS, {**RULES, **body}, Authorization=admin)[0] == 201
            assert send(server, "POST", f"{PROVIDERS}/{body['name']}/test", Authorization=admin)[0] == 200
        claim, why = f"{CLIENT}/directories/{ours['directory']}", {"reason": "of the tests' own client"}
        assert send(server, "POST", f"{claim}/vouch", why, Authorization=admin)[0] == 200
        a_day_with_dynamics(server, microsoft, secrets)
        a_day_with_power_apps(server, microsoft, secrets)
        log = server.output
    return Told(log, folder / "data", database, secrets)


def parts(told: Told) -> list[tuple[str, str]]:
    """Every secret, and the payload and signature of every token; all tokens share the same headers."""
    found = []
    for name, secret in told.secrets.items():
        found.append((name, secret))
        if secret.startswith("eyJ"):
            found += [(name, part) for part in secret.split(".")[1:] if len(part) > 20]
    return found


@rule("LOG-NO-SECRET")
def test_no_token_code_or_secret_is_logged(told: Told) -> None:
    assert len(told.secrets) > 40
    text = "".join(line for line in told.log.read_text().splitlines() if line.startswith("{"))
    for name, secret in parts(told):
        assert secret not in text, name
    assert "eyJ" not in text


def test_the_acts_are_logged_all_the_same(told: Told) -> None:
    lines = json_lines(told)
    methods = {line["method"] for line in lines if line["event"] == "signed_in"}
    assert "dynamics" in methods
    codes = {line["code"] for line in lines if line["event"] == "refused"}
    assert {"SSO_FAILED", "PROVIDER_UNAVAILABLE", "INVALID_TOKEN"} <= codes
    assert not [line for line in lines if line["event"] == "internal_error"]


@rule("LOG-NO-SECRET")
async def test_no_token_code_or_secret_lies_open_in_the_store(told: Told) -> None:
    whole = await stored(told)
    assert any(b"alice@contoso.example" in content for content in whole.values())
    for place, content in whole.items():
        for name, secret in parts(told):
            assert secret.encode() not in content, (name, place)
