"""A real Prometheus scrapes a real server with two processes: every panel and every alert has data."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pyotp
import pytest

from manifest_auth.licence import sign
from tests.architecture.links import ROOT
from tests.deploy.prometheus import JOB, Prometheus, scraping
from tests.licence.vendor import PUBLIC, VENDOR, licence
from tests.processes.node_client import AUTH, AUTHOR, NODE, Node, bearer
from tests.processes.test_single_sign_on_nodes import RETURN_TO, Setup, by_address, by_form, by_json, set_up
from tests.support.commands import done
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import DEMO_PASSWORD, served
from tests.support.single_sign_on import authn_request

pytestmark = [pytest.mark.processes, pytest.mark.endurance]
DEPLOY = ROOT / "deploy"
INVITE = 'mutation { inviteUser(input: {email: "new@acme.example", roles: ["Viewer"]}) { link } }'
_VARIABLES = {"$job": JOB, "$instance": ".+", "$__rate_interval": "1m"}

#: Metrics of nodes on PostgreSQL, of daily checks, and of SCIM connections: the server here uses SQLite, has only just
#: started, and has no connection.
OF_NODES = re.compile("manifest_(beat|announcements|resets|clock_skew|provider_problems|scim_request)")


def story(node: Node, setup: Setup, folder: Path) -> None:
    """Cause some of everything."""
    users(node)
    admins(node)
    providers(node, setup)
    links(node, folder)


def users(node: Node) -> None:
    """Sign-ins, refreshes, an old refresh token, and a rate-limited attempt."""
    first = node.sign_in()
    second = node.refresh(first["refreshToken"])
    node.refresh(second["refreshToken"])
    assert node.post(f"{AUTH}/refresh", {"refreshToken": first["refreshToken"]}).status_code == 401
    assert node.post(f"{AUTH}/refresh", {"refreshToken": "none"}).status_code == 401
    wrong = {"email": "viewer@acme.example", "password": "wrong"}
    assert [node.post(f"{AUTH}/sign-in", wrong).status_code for _ in range(6)][-1] == 429
    token = node.sign_in()["token"]
    for _ in range(3):
        assert node.me(token).status_code == 200
        assert node.post("/api/client/graphql", {"query": "{ me { id } }"}, token).status_code == 200


def admins(node: Node) -> None:
    """A required second factor, with its enrollment code used again."""
    auth = "/api/admin/auth"
    shown = {"username": "admin", "password": DEMO_PASSWORD}
    token = node.post(f"{auth}/sign-in", shown).json()["data"]["token"]
    secret = node.post(f"{auth}/second-factor", {"password": DEMO_PASSWORD}, token).json()["data"]["secret"]
    code = pyotp.TOTP(secret).now()
    confirming = {"password": DEMO_PASSWORD, "otp": code}
    assert node.post(f"{auth}/second-factor/confirm", confirming, token).status_code == 200
    assert node.post(f"{auth}/sign-in", shown).status_code == 401
    assert node.post(f"{auth}/sign-in", {**shown, "otp": code}).status_code == 401
    assert node.http.get("/api/admin/status", headers=bearer(token)).json()["data"]["lastBackupAt"] is not None


def providers(node: Node, setup: Setup) -> None:
    """Both protocols, with and without a code, and each response sent twice."""
    base = node.server.base
    path, cookies = setup.begun(node, returnTo=RETURN_TO)
    assert [by_address(path, cookies)(base).status_code for _ in range(2)] == [302, 401]
    path, cookies = setup.begun(node, returnTo=RETURN_TO, response="code")
    code = by_address(path, cookies)(base).headers["location"].partition("code=")[2]
    assert [node.post(f"{AUTH}/exchange", {"code": code}).status_code for _ in range(2)] == [200, 401]
    response = setup.response()
    assert [by_json(response)(base).status_code for _ in range(2)] == [200, 401]
    location, cookies = setup.start(node, "okta-saml", returnTo=RETURN_TO)
    state = location.partition("RelayState=")[2].partition("&")[0]
    response = setup.response(in_response_to=authn_request(location).get("ID"))
    sent = by_form(cookies, SAMLResponse=response, RelayState=state)
    assert [sent(base).status_code for _ in range(2)] == [303, 401]
    gone = httpx2.get(f"{base}{AUTH}/oidc", params={"client": "globex"}, timeout=60)
    assert gone.status_code == 502


def links(node: Node, folder: Path) -> None:
    """An invitation with a rejected email, and a link that the server prints, used twice."""
    token = node.sign_in("admin@acme.example")["token"]
    made = node.post("/api/client/graphql", {"query": INVITE}, token).json()
    assert made["data"]["inviteUser"]["link"] is None
    ours = {"MANIFEST_DATA_DIR": str(folder / "data"), "MANIFEST_SECRET_KEY": SECRET_KEY}
    printed = done(folder, "user", "link", "publisher@acme.example", "--client", "acme", **ours)
    shown = {"token": printed.split()[0].partition("#")[2], "newPassword": "otter-lantern-58-maple"}
    assert [node.post(f"{AUTH}/password/reset", shown).status_code for _ in range(2)] == [200, 401]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scraped before and after the story."""
    folder = tmp_path_factory.mktemp("scraped")
    listen = f"127.0.0.1:{free_port()}"
    settings = {**NODE, "MANIFEST_WORKERS": "2", "MANIFEST_METRICS_LISTEN": listen, "MANIFEST_RATE_LIMITS": "on",
                "MANIFEST_REFRESH_GRACE": "0", "MANIFEST_DEPLOYMENT": "on-premise",
                "MANIFEST_LICENSE_PUBLIC_KEY": PUBLIC, "MANIFEST_SMTP_URL": f"smtp://127.0.0.1:{free_port()}",
                "MANIFEST_MAIL_FROM": "Manifest <no-reply@auth.example>"}  # fmt: skip
    with served(folder, **settings) as server, scraping(folder, DEPLOY / "alerts.yml", listen) as prometheus:
        node = Node(server)
        done(folder, "backup", "--note", MANIFEST_DATA_DIR=str(folder / "data"), MANIFEST_SECRET_KEY=SECRET_KEY)
        licensed(node)
        with set_up((node, node)) as setup:
            node.admin("POST", "/clients/globex/providers", {"name": "gone", "oidc": {
                "issuer": f"http://127.0.0.1:{free_port()}", "clientId": "x", "clientSecret": "y"}})  # fmt: skip
            prometheus.wait("manifest_license_state == 1")
            prometheus.wait("count(process_cpu_seconds_total) == 2")
            story(node, setup, folder)
        prometheus.wait('sum(manifest_replays_total{what="one_time_link"}) == 1')
        prometheus.wait("max(manifest_last_backup_timestamp_seconds) > 0")
        time.sleep(1.5)  # two more rounds of scraping and rules
        yield prometheus


def licensed(node: Node) -> None:
    """Install a license for a year."""
    node.admin("POST", "/license-on-prem", {"licenseKey": sign(licence(int(time.time()) - 1), VENDOR)})


def panels() -> list[tuple[str, str]]:
    """Title and query, as Grafana sends it."""
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    found = []
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    return found


def test_every_panel_shows_something(seen: Prometheus) -> None:
    empty = [title for title, expression in panels() if not OF_NODES.search(expression) and not seen.query(expression)]
    assert empty == []


def test_every_rule_is_evaluated_and_finds_its_series(seen: Prometheus) -> None:
    states = seen.alerts()
    assert states["ManifestAuthTokenReused"] == "firing"
    assert {name for name, state in states.items() if state != "inactive"} <= {
        "ManifestAuthTokenReused", "ManifestAuthProviderUnreachable", "ManifestAuthMailFails",
    }  # fmt: skip
    rules = "".join((DEPLOY / name).read_text("utf-8") for name in ("alerts.yml", "slo.yml"))
    selectors = set(re.findall(r"manifest_\w+(?:\{[^}]*\})?", rules))
    assert len(selectors) > 20
    asked = {one for one in selectors if "50" not in one.partition("status")[2] and not OF_NODES.search(one)}
    empty = {selector for selector in asked if not seen.query(selector)}
    assert empty == set()


def test_counts_cover_both_processes(seen: Prometheus) -> None:
    def counts(name: str, *labels: str) -> dict[tuple[str, ...], float]:
        found = seen.query(f"sum by ({', '.join(labels)}) ({name}) > 0")
        return {tuple(one["metric"][label] for label in labels): float(one["value"][1]) for one in found}

    assert counts("manifest_replays_total", "what") == {
        (what,): 1
        for what in ("refresh_token", "totp", "oidc_state", "one_time_code", "saml_assertion", "saml_response",
                     "one_time_link")
    }  # fmt: skip
    assert counts("manifest_refreshes_total", "result") == {("ok",): 2, ("reused",): 1, ("refused",): 1}
    assert counts("manifest_sign_ins_total", "method", "result") == {
        ("password", "ok"): 3, ("password", "failed"): 5, ("password", "throttled"): 1,
        ("admin", "ok"): 4, ("admin", "second_factor"): 1, ("admin", "failed"): 1,
        ("oidc", "ok"): 1, ("oidc", "code"): 1, ("oidc", "failed"): 2,  # a replay, and an unavailable provider
        ("saml", "ok"): 2, ("saml", "failed"): 2,
        ("code", "ok"): 1, ("code", "failed"): 1, ("link", "ok"): 1, ("link", "failed"): 1,
    }  # fmt: skip


def test_no_label_contains_callers_input(seen: Prometheus) -> None:
    values = {value for sample in seen.query('{job="manifest-auth"}') for value in sample["metric"].values()}
    assert not [value for value in values if AUTHOR in value or "acme" in value or "@" in value]
