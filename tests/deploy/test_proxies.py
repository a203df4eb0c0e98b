"""The proxy examples under ``deploy`` with real nginx, Caddy, and HAProxy, in front of a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.deploy import caddy, haproxy, nginx
from tests.deploy.nginx import NAME, Proxy
from tests.processes.node_client import AUTH, AUTHOR
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, served

LIMIT = 1024 * 1024
KINDS, IDS = [nginx, caddy, haproxy], ["nginx", "caddy", "haproxy"]
pytestmark = [
    pytest.mark.processes,
    pytest.mark.endurance,
    pytest.mark.timeout(300),
]  # the first test can wait for a download


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    given = {"MANIFEST_PUBLIC_URL": f"https://{NAME}", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1"}
    with served(tmp_path_factory.mktemp("served"), **given, MANIFEST_FILE_LIMIT=str(LIMIT)) as found:
        yield found


@pytest.fixture(scope="module", params=KINDS, ids=IDS)
def proxy(server: Server, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with request.param.running(tmp_path_factory.mktemp("proxy"), server.port) as found:
        yield found


@pytest.fixture
def http(proxy: Proxy) -> Iterator[httpx2.Client]:
    """A caller at a different address than the proxy's."""
    transport = httpx2.HTTPTransport(verify=False, local_address="127.0.0.2")
    with httpx2.Client(transport=transport, base_url=f"https://127.0.0.1:{proxy.port}", headers={"Host": NAME}) as made:
        yield made


def sign_in(http: httpx2.Client, email: str = AUTHOR, password: str = DEMO_PASSWORD, **options: Any) -> httpx2.Response:
    http.cookies.clear()
    return http.post(f"{AUTH}/sign-in", json={"email": email, "password": password}, **options)


def bearer(http: httpx2.Client, email: str = "operator@acme.example") -> dict[str, str]:
    token = sign_in(http, email).json()["data"]["token"]
    http.cookies.clear()
    return {"Authorization": f"Bearer {token}"}


def logged(server: Server, **wanted: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.output.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if wanted.items() <= line.items()]


def test_nginx_accepts_the_example(tmp_path: Path) -> None:
    said = nginx.tested(tmp_path)
    assert "test is successful" in said
    assert "[warn]" not in said
    assert "[emerg]" not in said


def test_caddy_accepts_the_example(tmp_path: Path) -> None:
    said = caddy.tested(tmp_path)
    assert "Valid configuration" in said
    assert '"level":"error"' not in said


def test_haproxy_accepts_the_example(tmp_path: Path) -> None:
    said = haproxy.tested(tmp_path)
    assert "Configuration file is valid" in said
    assert "WARNING" not in said


@rule("EXAMPLES")
@pytest.mark.needs_root
def test_haproxy_runs_as_an_unprivileged_user(server: Server, tmp_path: Path) -> None:
    with haproxy.running(tmp_path, server.port) as proxy:
        status = Path(f"/proc/{proxy.pid}/status").read_text()
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in told["Uid"].split() + told["Gid"].split() + told["Groups"].split()
    assert int(told["CapEff"], 16) == 0


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_no_proxy_log_contains_an_invitation(kind: Any, server: Server, tmp_path: Path) -> None:
    invitation = "an-invitation-that-must-not-be-logged"
    with kind.running(tmp_path, server.port) as made:
        base = f"https://127.0.0.1:{made.port}"
        with httpx2.Client(verify=False, base_url=base, headers={"Host": NAME}) as client:
            query = {"client": "acme", "provider": "okta", "invitation": invitation}
            assert client.get(f"{AUTH}/oidc", params=query).status_code == 404  # this provider doesn't exist


def test_people_sign_in_and_their_cookies_are_secure(http: httpx2.Client) -> None:
    answer = sign_in(http)
    assert answer.status_code == 200
    cookies = answer.headers.get_list("set-cookie")
    assert any(line.startswith("session=") or "session" in line.partition("=")[0] for line in cookies)
    assert all("Secure" in line and "HttpOnly" in line for line in cookies)
    assert "max-age" in answer.headers["strict-transport-security"]
    shown = "; ".join(line.partition(";")[0] for line in cookies)
    http.cookies.clear()
    assert http.get(f"{AUTH}/me", headers={"Cookie": shown}).json()["data"]["user"]["email"] == AUTHOR


def test_the_callers_address_cannot_be_forged(http: httpx2.Client, server: Server) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    assert sign_in(http, password="wrong-lantern-9-moss", headers=forged).status_code == 401
    assert logged(server, event="refused", address="127.0.0.2")
    assert "203.0.113.9" not in server.output.read_text()


def test_subdomains_identify_clients(http: httpx2.Client, proxy: Proxy) -> None:
    if proxy.name == "caddy":  # its example says what this requires
        assert http.get("/healthz", headers={"Host": f"acme.{NAME}"}).content == b""
        return
    assert sign_in(http, headers={"Host": f"acme.{NAME}"}).status_code == 200
    assert sign_in(http, headers={"Host": f"globex.{NAME}"}).status_code == 401


def test_plain_http_redirects_to_https(proxy: Proxy) -> None:
    url = f"http://127.0.0.1:{proxy.plain_port}/welcome?x=1"
    answer = httpx2.get(url, headers={"Host": NAME}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{NAME}/welcome?x=1")


@matrix("path", ["/metrics", "//metrics", "/x/../metrics", "/%6detrics", "/metrics?x"])
def test_metrics_are_not_published(http: httpx2.Client, path: str, server: Server) -> None:
    assert httpx2.get(f"{server.base}/metrics").status_code == 200  # the server itself would return it
    answer = http.get(f"{str(http.base_url).rstrip('/')}{path}")  # a relative //metrics would name a host
    assert answer.status_code == 404
    assert "manifest_" not in answer.text


def test_bodies_that_are_too_large_are_rejected_by_the_server(http: httpx2.Client) -> None:
    answer = http.post(
        f"{AUTH}/sign-in", content=b'{"email":"' + b"a" * 100_000 + b'"}', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def _upload(http: httpx2.Client, size: int) -> httpx2.Response:
    head = b"\x89PNG\r\n\x1a\n"
    data = head + bytes(size - len(head))
    return http.post(
        "/api/client/files?name=a.png", content=data, headers={**bearer(http), "Content-Type": "image/png"}
    )


def test_uploads_up_to_the_servers_limit_pass(http: httpx2.Client) -> None:
    made = _upload(http, LIMIT)
    assert made.status_code == 201, made.text
    back = http.get(made.json()["data"]["url"], headers=bearer(http))
    assert (len(back.content), back.headers["content-type"]) == (LIMIT, "image/png")
    for size in (LIMIT + 1, 8 * LIMIT):
        answer = _upload(http, size)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_the_proxy_rejects_uploads_over_its_limit(http: httpx2.Client) -> None:
    assert _upload(http, 25 * 1024 * 1024).status_code == 413


def test_many_requests_share_connections_to_the_server(http: httpx2.Client) -> None:
    headers = bearer(http)
    assert {http.get(f"{AUTH}/me", headers=headers).status_code for _ in range(200)} == {200}
