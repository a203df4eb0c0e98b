"""``python -m bench.single_sign_on [--count N]``: consecutive sign-ins through an OpenID provider and a SAML provider.

Prints sign-ins per second next to the same provider requests without our server, the memory growth of the process after
the first tenth, and the rows that remain after they expire. Uses SQLite and one process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from bench.readings import say
from manifest_auth.protocols import saml
from manifest_auth.runtime.clock import Clock
from tests.support.oidc_op import provider
from tests.support.saml_idp import Idp
from tests.support.server import DEMO_PASSWORD, Server, served

_FLEETING = ("sign_in_flows", "sign_in_codes", "sessions", "identities", "users")


class Caller:
    """A keep-alive connection to our server."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self.base = server.base

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        """Sends a request. Returns the response and its body."""
        text = json.dumps(body) if body is not None else None
        sent = {**headers, **({"Content-Type": "application/json"} if text else {})}
        self._connection.request(method, path, text, sent)
        answer = self._connection.getresponse()
        return answer, answer.read()

    def data(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer, text = self.call(method, path, body, **headers)
        assert answer.status < 300, text
        return json.loads(text)["data"]


def memory_of(pid: int) -> int:
    """The resident memory of the web process, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def run(title: str, server: Server, sign_in: Callable[[int], None], limit: Callable[[int], None], count: int) -> None:
    """Signs in ``count`` times. ``limit`` does the same without our server."""
    for number in range(count // 10):
        sign_in(number)
    before = memory_of(server.process.pid)
    began = time.perf_counter()
    for number in range(count // 10, count):
        sign_in(number)
    ours = (count - count // 10) / (time.perf_counter() - began)
    began = time.perf_counter()
    for number in range(200):
        limit(number)
    bare = 200 / (time.perf_counter() - began)
    grown = memory_of(server.process.pid) - before
    say(f"{title}: {ours:.0f} sign-ins/s; without our server {bare:.0f}/s; ratio {ours / bare:.2f}; "
        f"memory {before} KiB, grown by {grown} KiB over {count - count // 10} sign-ins")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server, provider() as op:
        caller = Caller(server)
        body = {"username": "admin", "password": DEMO_PASSWORD}
        admin = {"Authorization": f"Bearer {caller.data('POST', '/api/admin/auth/sign-in', body)['token']}"}
        everybody = {"createUsers": True, "defaultRoles": ["Viewer"]}
        oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        path = "/api/admin/clients/acme/providers"
        caller.data("POST", path, {"name": "op", "oidc": oidc, **everybody}, **admin)
        idp = Idp(not_before_ms=Clock().now_ms() - 10**9, not_after_ms=Clock().now_ms() + 10**9)
        pinned = {"entityId": idp.issuer, "certificates": [idp.certificate_pem], "redirectUrl": "https://idp.example/"}
        caller.data("POST", path, {"name": "idp", "saml": pinned, **everybody}, **admin)
        acs = f"{server.base}/api/client/auth/okta-saml"
        entity = f"{acs}/metadata?client=acme"

        def by_oidc(number: int) -> None:
            op.user = {"sub": f"s{number % 50}", "email": f"s{number % 50}@op.example"}
            started, _ = caller.call("GET", "/api/client/auth/oidc?client=acme&provider=op")
            back = urlsplit(op.visit(started.headers["Location"]))
            cookie = started.headers["Set-Cookie"].partition(";")[0]
            ended, text = caller.call("GET", f"{back.path}?{back.query}", Cookie=cookie)
            assert ended.status == 302, text

        def op_alone(number: int) -> None:
            query = {
                "response_type": "code",
                "client_id": op.client_id,
                "redirect_uri": "http://127.0.0.1:9/cb",
                "scope": "openid",
                "state": "x",
                "code_challenge": "y" * 43,
                "code_challenge_method": "S256",
            }
            code = parse_qs(urlsplit(op.visit(f"{op.base}/authorize?{urlencode(query)}")).query)["code"][0]
            connection = http.client.HTTPConnection(urlsplit(op.base).netloc)
            connection.request("POST", "/token", urlencode({"code": code}))
            connection.getresponse().read()
            op.mint("n")

        responses = [
            idp.response(entity, acs, name_id=f"p{n % 50}@idp.example", now_ms=Clock().now_ms()) for n in range(count)
        ]

        def by_saml(number: int) -> None:
            caller.data("POST", "/api/client/auth/okta-saml", {"samlResponse": responses[number]})

        policy = saml.Policy(idp.issuer, entity, acs, (idp.certificate_der,), False, (), True)

        def verified_alone(number: int) -> None:
            saml.verify(saml.read_response(responses[number % count]), policy, None, Clock().now_ms())

        run("OpenID Connect", server, by_oidc, op_alone, count)
        run("SAML", server, by_saml, verified_alone, count)
        store = sqlite3.connect(Path(folder) / "data" / "manifest-auth.db")
        counts = {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in _FLEETING}
        say(f"rows: {counts}")


if __name__ == "__main__":
    main()
