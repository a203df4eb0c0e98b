"""Credentials are sent only to the server and to listed origins, even after redirects."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from manifest_auth_client import ApiKeyAuth, Connection, FileTokenStore, ManifestAuth, SessionAuth, Tokens

HOME, LISTED, FOREIGN = "https://auth.example", "https://files.example", "https://evil.example"
ALIVE = Tokens(HOME, "access", "refresh", 4e9, 4e9)


def asking(redirects: dict[str, str]) -> tuple[httpx2.MockTransport, list[tuple[str, str | None]]]:
    """A network in which some addresses redirect, and the requests it received."""
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        seen.append((url, request.headers.get("authorization")))
        if url in redirects:
            return httpx2.Response(307, headers={"location": redirects[url]})
        return httpx2.Response(200, json={})

    return httpx2.MockTransport(answer), seen


CREDENTIALS: list[Any] = [
    pytest.param(lambda: SessionAuth(ALIVE, origins=[LISTED]), "Bearer access", id="session"),
    pytest.param(lambda: ApiKeyAuth(HOME, "mfst_key_x", origins=[LISTED]), "Bearer mfst_key_x", id="key"),
]


@pytest.mark.parametrize(("make", "sent"), CREDENTIALS)
def test_it_goes_to_listed_origins_alone(make: Any, sent: str) -> None:
    transport, seen = asking({})
    with httpx2.Client(auth=make(), transport=transport) as http:
        for url in (HOME, LISTED, FOREIGN, f"{HOME}:8443", "http://auth.example", "https://auth.example.evil.example"):
            http.get(f"{url}/")
    assert [line for _, line in seen] == [sent, sent, None, None, None, None]


@pytest.mark.parametrize(("make", "sent"), CREDENTIALS)
def test_a_redirect_takes_it_nowhere_else(make: Any, sent: str) -> None:
    transport, seen = asking({f"{HOME}/away": f"{FOREIGN}/", f"{HOME}/here": f"{HOME}/there"})
    with httpx2.Client(auth=make(), transport=transport, follow_redirects=True) as http:
        http.get(f"{HOME}/away")
        http.get(f"{HOME}/here")
    assert seen == [(f"{HOME}/away", sent), (f"{FOREIGN}/", None), (f"{HOME}/here", sent), (f"{HOME}/there", sent)]


async def test_a_redirect_of_a_task_takes_it_nowhere_else() -> None:
    transport, seen = asking({f"{HOME}/away": f"{FOREIGN}/"})
    async with httpx2.AsyncClient(auth=SessionAuth(ALIVE), transport=transport, follow_redirects=True) as http:
        await http.get(f"{HOME}/away")
    assert [line for _, line in seen] == ["Bearer access", None]


def test_a_foreign_401_after_a_redirect_starts_no_refresh() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "auth.example":
            return httpx2.Response(302, headers={"location": f"{FOREIGN}/"})
        return httpx2.Response(401, json={"success": False, "error": {"code": "TOKEN_EXPIRED", "message": "no"}})

    with httpx2.Client(auth=SessionAuth(ALIVE), transport=httpx2.MockTransport(answer), follow_redirects=True) as http:
        assert http.get(f"{HOME}/").status_code == 401


def test_the_librarys_own_calls_follow_no_redirect() -> None:
    transport, seen = asking({f"{HOME}/api/client/auth/sign-in": f"{FOREIGN}/"})
    with ManifestAuth(HOME, transport=transport) as auth, pytest.raises(Exception, match="307"):
        auth.sign_in("ada@acme.example", "secret")
    assert [url for url, _ in seen] == [f"{HOME}/api/client/auth/sign-in"]
    transport, seen = asking({f"{HOME}/api/client/auth/refresh": f"{FOREIGN}/"})
    with pytest.raises(Exception, match="307"):
        SessionAuth(ALIVE, connection=Connection(HOME, transport=transport)).refresh()
    assert len(seen) == 1


def test_tokens_of_another_server_are_not_taken(tmp_path: Any) -> None:
    store = FileTokenStore(tmp_path / "tokens.json")
    store.save(ALIVE, replaces=None)
    with pytest.raises(ValueError, match="another server"):
        SessionAuth(store=store, connection=Connection(FOREIGN))
    with pytest.raises(ValueError, match="another server"):
        ManifestAuth(FOREIGN, store=store)
    with pytest.raises(ValueError, match="another server"):
        SessionAuth(ALIVE, connection=Connection(FOREIGN))
