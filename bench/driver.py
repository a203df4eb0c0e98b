"""The requests of a benchmark, and the compiled driver that sends them."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.readings import Broken, Reading
from bench.seed import PASSWORD, email

AUTH = "/api/client/auth"
USERS = 64
_SOURCE = Path(__file__).with_name("drive.c")


class Session(NamedTuple):
    """The tokens and the cookie of one sign-in."""

    email: str
    token: str
    refresh_token: str
    cookie: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: str = ""

    def text(self) -> str:
        """The request in the driver's input format."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append("Content-Type: application/json")
        return "\r\n".join(lines) + "\r\n\r\n" + self.body + "\x1e"


def sign_in(number: int, password: str = PASSWORD) -> Request:
    return Request("POST", f"{AUTH}/sign-in", {}, json.dumps({"email": email(number), "password": password}))


def me_by_bearer(session: Session) -> Request:
    return Request("GET", f"{AUTH}/me", session.bearer)


def me_by_cookie(session: Session) -> Request:
    return Request("GET", f"{AUTH}/me", {"Cookie": f"session={session.cookie}"})


def me_by_graphql(session: Session) -> Request:
    return Request("POST", "/api/client/graphql", session.bearer, '{"query":"{ me { id email } }"}')


def refresh(session: Session) -> Request:
    """Marks the token, so that the driver can replace it with the new one from each response."""
    return Request("POST", f"{AUTH}/refresh", {}, f'{{"refreshToken":"\x1f{session.refresh_token}\x1f"}}')


def sign_out(session: Session) -> Request:
    return Request("POST", f"{AUTH}/sign-out", session.bearer)


def ask(port: int, request: Request) -> tuple[int, Any, str]:
    """Sends one unmeasured request. Returns the status, the parsed body, and the value of the session cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {**request.headers, **({"Content-Type": "application/json"} if request.body else {})}
        connection.request(request.method, request.path, request.body.replace("\x1f", "") or None, headers)
        answer = connection.getresponse()
        lines = (value for name, value in answer.getheaders() if name.lower() == "set-cookie")
        cookies = dict(line.partition(";")[0].split("=", 1) for line in lines)
        return answer.status, json.loads(answer.read() or b"null"), cookies.get("session", "")
    finally:
        connection.close()


def sessions(port: int, count: int) -> list[Session]:
    """Signs in ``count`` users."""
    found = []
    for number in range(count):
        status, body, cookie = ask(port, sign_in(number % USERS))
        if status != 200:
            raise Broken(f"sign-in of user {number} was answered with {status}: {body}")
        data = body["data"]
        found.append(Session(email(number % USERS), data["token"], data["refreshToken"], cookie))
    return found


class Driver:
    """Compiles ``drive.c`` into ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._program, self._files = folder, folder / "drive", 0
        try:
            subprocess.run(["cc", "-O2", "-o", self._program, _SOURCE], check=True)
        except FileNotFoundError:
            raise Broken("the driver needs a C compiler (Debian: apt install gcc libc6-dev)") from None

    def start(
        self,
        port: int,
        requests: Sequence[Request],
        *,
        clients: int,
        seconds: float,
        warm: float = 0.3,
        per_second: float = 0,
        member: str = "",
    ) -> subprocess.Popen[str]:
        """Starts sending; :func:`finish` waits for the end."""
        self._files += 1
        path = self._folder / f"requests-{self._files % 8}"
        path.write_text("".join(request.text() for request in requests))
        options = [str(port), str(clients), str(warm), str(seconds), str(per_second), member]
        return subprocess.Popen([self._program, *options, path], stdout=subprocess.PIPE, text=True)

    def drive(self, port: int, requests: Sequence[Request], **options: Any) -> Reading:
        return finish(self.start(port, requests, **options))


def finish(process: subprocess.Popen[str]) -> Reading:
    """Returns the driver's measurements. Raises Broken if a request got an error or no response."""
    text, _ = process.communicate(timeout=200)
    if process.returncode:
        raise Broken("the driver gave up")
    told = json.loads(text)
    if told["refused"] or told["failed"] or told["unchained"]:
        raise Broken(
            f"{told['refused']} refused (first: {told['first_status']} {told['first_refusal']}), "
            f"{told['failed']} without an answer, {told['unchained']} without a successor"
        )
    return Reading(told["per_second"], told["p50"], told["p99"])
