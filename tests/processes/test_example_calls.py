"""Every HTTP call of the published example page, sent by ``curl``, gets a response in the page's format."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.processes.node_client import AUTH, Node, seconds_until
from tests.support.server import DEMO_PASSWORD, start, stop

pytestmark = pytest.mark.needs("curl")

EMAIL = "author@acme.example"
CREDENTIALS = json.dumps({"email": EMAIL, "password": DEMO_PASSWORD})
JSON = ("-H", "Content-Type: application/json")


@pytest.fixture(scope="module", autouse=True)
def curl_is_there() -> None:
    """A check that didn't run must not look successful."""
    assert shutil.which("curl"), "needs curl; ./dev test installs it for root on Debian or Ubuntu"


class Answered(NamedTuple):
    status: int
    headers: list[str]
    body: Any


class Page:
    """The server that the page's calls are sent to."""

    def __init__(self, base: str, folder: Path) -> None:
        self.base, self.jar = base, folder / "cookies.txt"

    def curl(self, path: str, *arguments: str) -> Answered:
        command = ["curl", "-sS", "--max-time", "20", "-D", "-", *arguments, f"{self.base}{path}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        head, _, body = said.partition("\n\n")
        lines = head.splitlines()
        assert any(line.lower().startswith("content-type: application/json") for line in lines)
        return Answered(int(lines[0].split()[1]), lines[1:], json.loads(body))

    def sign_in(self, *arguments: str) -> Answered:
        return self.curl(f"{AUTH}/sign-in", "-X", "POST", *JSON, "-d", CREDENTIALS, *arguments)


@pytest.fixture(scope="module")
def page(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder: Path = tmp_path_factory.mktemp("page")
    server = start(folder, database_url)
    yield Page(server.base, folder)
    stop(server)


@pytest.fixture(scope="module")
def signed_in(page: Page) -> dict[str, Any]:
    data: dict[str, Any] = page.sign_in().body["data"]
    return data


def bearer(token: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {token}"


def example_error(answer: Answered) -> dict[str, Any]:
    """An error body without the request ID, which the page doesn't show."""
    error = {k: v for k, v in answer.body["error"].items() if k != "requestId"}
    return {**answer.body, "error": error}


def test_sign_in(page: Page) -> None:
    status, _, body = page.sign_in()
    assert status == 200
    assert set(body) == {"success", "data"}
    assert body["success"] is True
    data = body["data"]
    assert data["token"].startswith("eyJhbGciOi")  # like the page's token, whatever signs it
    assert isinstance(data["refreshToken"], str)
    user = data["user"]
    assert isinstance(user["id"], int)
    assert (user["email"], user["firstName"], user["lastName"]) == (EMAIL, "Arthur", "Author")


def test_using_the_token(page: Page, signed_in: dict[str, Any]) -> None:
    status, _, body = page.curl(f"{AUTH}/me", *bearer(signed_in["token"]))
    assert (status, body["data"]["user"]["id"]) == (200, signed_in["user"]["id"])


def test_token_refresh(page: Page, signed_in: dict[str, Any]) -> None:
    shown = json.dumps({"refreshToken": signed_in["refreshToken"]})
    status, _, body = page.curl(f"{AUTH}/refresh", "-X", "POST", *JSON, "-d", shown)
    assert (status, body["success"]) == (200, True)
    assert body["data"]["token"] == body["token"]  # the page's client reads `data.token` of the whole body
    assert body["data"]["refreshToken"] == body["refreshToken"]
    assert page.curl(f"{AUTH}/me", *bearer(body["token"])).status == 200


def test_sign_in_with_a_cookie(page: Page) -> None:
    """Like the page, with a session cookie that the server never issued; the server sets its own."""
    answer = page.sign_in("-H", "Cookie: session=session-cookie-value", "-c", str(page.jar))
    assert answer.status == 200
    line = next(h for h in answer.headers if h.lower().startswith("set-cookie: session="))
    assert "session-cookie-value" not in line
    assert "HttpOnly" in line
    status, _, body = page.curl(f"{AUTH}/me", "-b", str(page.jar))
    assert (status, body["data"]["user"]["email"]) == (200, EMAIL)


def test_graphql(page: Page, signed_in: dict[str, Any]) -> None:
    query = json.dumps({"query": "query { users { id email } }"})
    status, _, body = page.curl("/api/client/graphql", *bearer(signed_in["token"]), *JSON, "-d", query)
    assert status == 200
    users = body["data"]["users"]
    assert len(users) == 7
    assert all(set(user) == {"id", "email"} and user["email"].endswith("@acme.example") for user in users)


def test_admin_sign_in(page: Page, signed_in: dict[str, Any]) -> None:
    credentials = json.dumps({"username": "admin", "password": DEMO_PASSWORD})
    status, _, body = page.curl("/api/admin/auth/sign-in", "-X", "POST", *JSON, "-d", credentials)
    assert (status, body["success"], body["data"]["admin"]["username"]) == (200, True, "admin")
    assert page.curl("/api/admin/clients", *bearer(body["data"]["token"])).status == 200
    assert page.curl("/api/admin/clients", *bearer(signed_in["token"])).status == 401
    assert page.curl(f"{AUTH}/me", *bearer(body["data"]["token"])).status == 401


def test_logout(page: Page) -> None:
    answer = page.sign_in("-c", str(page.jar))
    data = answer.body["data"]
    assert page.curl(f"{AUTH}/sign-out", "-X", "POST", *bearer(data["token"])).body["success"] is True
    for way in (bearer(data["token"]), ("-b", str(page.jar))):
        assert page.curl(f"{AUTH}/me", *way).body["error"]["code"] == "INVALID_TOKEN"
    shown = json.dumps({"refreshToken": data["refreshToken"]})
    assert page.curl(f"{AUTH}/refresh", *JSON, "-d", shown).body["error"]["code"] == "INVALID_TOKEN"


def test_multi_tenancy(page: Page, signed_in: dict[str, Any]) -> None:
    """The header can repeat the token's client; without it, only the token decides."""
    for named in (signed_in["user"]["clientId"], None):
        header = ("-H", f"X-Client-ID: {named}") if named else ()
        answer = page.curl(f"{AUTH}/me", *bearer(signed_in["token"]), *header)
        assert (answer.status, answer.body["data"]["client"]["identifier"]) == (200, "acme")


def test_error_invalid_credentials(page: Page) -> None:
    wrong = json.dumps({"email": EMAIL, "password": "your-password"})
    answer = page.curl(f"{AUTH}/sign-in", "-X", "POST", *JSON, "-d", wrong)
    assert answer.status == 401
    assert example_error(answer) == {
        "success": False,
        "error": {"message": "Invalid email or password", "code": "INVALID_CREDENTIALS"},
    }


def test_error_insufficient_permissions(page: Page, signed_in: dict[str, Any]) -> None:
    answer = page.curl(f"{AUTH}/me", *bearer(signed_in["token"]), "-H", "X-Client-ID: globex")
    assert answer.status == 403
    found = example_error(answer)
    assert [one["field"] for one in found["error"].pop("details")] == ["X-Client-ID"]  # more than on the page
    assert found == {"success": False, "error": {"message": "Insufficient permissions", "code": "FORBIDDEN"}}


def test_error_expired_token(tmp_path: Path) -> None:
    given: dict[str, Any] = {"MANIFEST_ACCESS_TOKEN_TTL": "1"}
    server = start(tmp_path, **given)
    try:
        token = str(Node(server).sign_in()["token"])
        page = Page(server.base, tmp_path)
        seconds_until(lambda: page.curl(f"{AUTH}/me", *bearer(token)).status == 401, 5)
        answer = page.curl(f"{AUTH}/me", *bearer(token))
        assert example_error(answer) == {
            "success": False,
            "error": {"message": "Token has expired", "code": "TOKEN_EXPIRED"},
        }
    finally:
        stop(server)
