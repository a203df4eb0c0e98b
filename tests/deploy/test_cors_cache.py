"""A real caching proxy in front of the server gives no page another origin's permission."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx2
import pytest

from tests.deploy.nginx import NAME, Proxy, kept_running
from tests.interop.providers import certificates, install
from tests.support.processes import free_port
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, served

pytestmark = [
    pytest.mark.processes,
    pytest.mark.endurance,
    pytest.mark.timeout(300),
]  # the first test can wait for a download
ORIGINS = {"acme": "https://app.acme.example", "globex": "https://app.globex.example"}
FOREIGN = "https://evil.example"
PATHS = ("/openapi.json", "/.well-known/jwks.json")
_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    access_log off;
    proxy_cache_path {folder}/cache keys_zone=answers:1m;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header Host $host;
            proxy_cache answers;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of the proxy, with clients acme and globex that list one origin each."""
    folder = tmp_path_factory.mktemp("cache")
    given = {"MANIFEST_PUBLIC_URL": f"https://{NAME}", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1"}
    with served(tmp_path_factory.mktemp("served"), **given) as server:
        with httpx2.Client(base_url=server.base) as direct:
            body = {"username": "admin", "password": DEMO_PASSWORD}
            token = direct.post("/api/admin/auth/sign-in", json=body).json()["data"]["token"]
            for client, origin in ORIGINS.items():
                settings = {"settings": {"allowedOrigins": [origin]}}
                headers = {"Authorization": f"Bearer {token}"}
                changed = direct.patch(f"/api/admin/clients/{client}", json=settings, headers=headers)
                assert changed.status_code == 200, changed.text
        root = install.debian("nginx", "nginx")
        key, certificate = certificates.make(folder, NAME)
        made = Proxy("nginx", free_port(), free_port())
        (folder / "nginx.conf").write_text(
            _CONFIGURATION.format(folder=folder, port=made.port, certificate=certificate, key=key, upstream=server.port)
        )
        log = folder / "error.log"
        command = [str(root / "usr/sbin/nginx"), "-c", str(folder / "nginx.conf"), "-e", str(log)]
        with (
            kept_running(made, command, {**os.environ, "LD_LIBRARY_PATH": install.libraries(root)}, log),
            httpx2.Client(base_url=f"https://127.0.0.1:{made.port}", headers={"Host": NAME}, verify=False) as http,
        ):
            yield http


@rule("CORS-ROUTES")
@pytest.mark.parametrize("path", PATHS)
def test_each_origin_gets_its_own_answer_from_the_cache(proxy: httpx2.Client, path: str) -> None:
    for cached in ("MISS", "HIT"):
        for origin in (None, FOREIGN, *ORIGINS.values()):
            answer = proxy.get(path, headers={"Origin": origin} if origin else {})
            assert answer.status_code == 200
            assert answer.headers["x-cache"] == cached, origin
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (origin if origin in ORIGINS.values() else None)
