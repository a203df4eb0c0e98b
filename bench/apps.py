"""Compares the processor time of sign-ins through an app with sign-ins by password, and of reads with either token.

The hash uses the smallest parameters that Argon2 allows and runs in other processes, so neither figure includes it. On
PostgreSQL, the time of its processes is included.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from bench import driver, machine
from bench.driver import Request, Session
from bench.readings import Broken, Reading, Readings, in_turn
from bench.seed import CALLBACK, CLIENT
from bench.servers import Postgres, Server

#: Like a new installation, but with a hash that costs almost nothing.
SETTINGS = {"MANIFEST_ARGON2_MEMORY": "8", "MANIFEST_ARGON2_PASSES": "1", "MANIFEST_RATE_LIMITS": "on"}
BY_APP, BY_PASSWORD = "sign-in by app", "sign-in with a password"
READ_BY_APP, READ_BY_USER = "read with an app's token", "read with the user's own"
_AT_ONCE, _READS = 8, 10  # callers, and reads per sign-in
_SCOPE = "openid profile email templates:read"
_VERIFIER = "v" * 43
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()
_READ = json.dumps({"query": "{ templatesPage(first: 1) { total } }"})


class _App:
    """The app that the seed created, on a keep-alive connection."""

    def __init__(self, port: int, client_id: str, secret: str) -> None:
        self._id, self._basic = client_id, base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def sign_in(self, session: Session) -> str:
        """Signs in with the browser that has the session, and returns the access token. Raises Broken."""
        asked = {
            "client_id": self._id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": _SCOPE,
            "state": "a state",
            "nonce": "a nonce",
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
        }
        cookie = {"Cookie": f"session={session.cookie}"}
        sent, _ = self.ask("GET", f"/o/{CLIENT}/authorize?{urlencode(asked)}", cookie, status=302)
        code = parse_qs(urlsplit(sent).query).get("code", [""])[0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": _VERIFIER}
        headers = {"Authorization": f"Basic {self._basic}", "Content-Type": "application/x-www-form-urlencoded"}
        _, body = self.ask("POST", f"/o/{CLIENT}/token", headers, urlencode(form))
        return str(json.loads(body)["access_token"])

    def sign_in_with_password(self, number: int) -> None:
        request = driver.sign_in(number)
        self.ask(request.method, request.path, {"Content-Type": "application/json"}, request.body)

    def read(self, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.ask("POST", "/api/client/graphql", headers, _READ)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None = None, status: int = 200
    ) -> tuple[str, bytes]:
        """The redirect target of the response, and its body. Raises Broken for any other status."""
        self._connection.request(method, path, body, {"Host": "127.0.0.1", **headers})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != status:
            raise Broken(f"{method} {path.partition('?')[0]} was answered with {answer.status}: {text[:500]!r}")
        return answer.headers.get("Location", ""), text


def measure(server: Server, app: Path, postgres: Postgres | None, count: int, rounds: int) -> Readings:
    """Measures the processor time of each kind of request, in milliseconds. Starts and stops the server. ``app`` is the
    file with the ID and secret of the seed's app; ``count`` is the number of requests of each kind, over all rounds."""
    server.start()
    try:
        sessions = driver.sessions(server.port, driver.USERS)
        callers = [_App(server.port, *app.read_text().split()) for _ in range(_AT_ONCE)]
        token, each = _checked(callers[0], server.port, sessions[0]), -(-count // rounds)

        def used(one: Callable[[_App, int], Any]) -> Reading:
            count = each * _READS if one in reads else each

            def some(first: int) -> None:
                for number in range(first, count, _AT_ONCE):
                    one(callers[first], number % driver.USERS)

            before = _seconds(server, postgres)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(some, range(_AT_ONCE)))
            return Reading((_seconds(server, postgres) - before) * 1000 / count)

        own, by_app = (lambda caller, _number, shown=shown: caller.read(shown) for shown in (sessions[0].token, token))
        reads: set[Callable[[_App, int], Any]] = {own, by_app}
        kinds: dict[str, Callable[[_App, int], Any]] = {
            BY_PASSWORD: _App.sign_in_with_password,
            BY_APP: lambda caller, number: caller.sign_in(sessions[number]),
            READ_BY_USER: own,
            READ_BY_APP: by_app,
        }
        for one in kinds.values():  # warm-up
            used(one)
        return in_turn("processor, ms", {name: partial(used, one) for name, one in kinds.items()}, rounds)
    finally:
        server.stop()


def _checked(app: _App, port: int, session: Session) -> str:
    """Returns a token that works while the browser's session is open, and checks that it fails after it ends. Raises
    Broken."""
    other = driver.sessions(port, 1)[0]
    over, token = app.sign_in(other), app.sign_in(session)
    driver.ask(port, driver.sign_out(other))
    for one, expected in ((token, 200), (over, 401)):
        read = Request("POST", "/api/client/graphql", {"Authorization": f"Bearer {one}"}, _READ)
        if (status := driver.ask(port, read)[0]) != expected:
            raise Broken(f"an app's token was answered with {status}, and {expected} is right")
    return token


def _seconds(server: Server, postgres: Postgres | None) -> float:
    """The processor time used so far by the server process and by PostgreSQL's processes."""
    return machine.seconds([server.pid, *(machine.tree(machine.postmaster(postgres.folder)) if postgres else ())])
