"""Sessions survive expirations, many concurrent callers, and lost responses, and end if a token is stolen."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest

from manifest_auth_client import ManifestAuth, MemoryTokenStore, SessionAuth, Tokens, errors
from manifest_auth_client._renewal import Renewed
from tests.sdk_python.suite.proxy import Proxy
from tests.sdk_python.suite.servers import EMAIL, PASSWORD, Server

ME = "/api/client/auth/me"
CALLERS = 200


@pytest.mark.parametrize("is_known", [True, False], ids=["before its use", "after the 401"])
def test_200_threads_whose_token_just_ended_refresh_once(server: Server, proxy: Proxy, is_known: bool) -> None:
    session = SessionAuth(server.expired_tokens(proxy.base_url, is_known=is_known))
    together = threading.Barrier(CALLERS)

    def ask(http: httpx2.Client) -> int:
        together.wait()
        return http.get(f"{proxy.base_url}{ME}").status_code

    limits = httpx2.Limits(max_connections=20)
    with httpx2.Client(auth=session, limits=limits, timeout=60) as http, ThreadPoolExecutor(CALLERS) as threads:
        assert list(threads.map(ask, [http] * CALLERS)) == [200] * CALLERS
    assert proxy.refreshes == 1


@pytest.mark.parametrize("is_known", [True, False], ids=["before its use", "after the 401"])
async def test_200_tasks_whose_token_just_ended_refresh_once(server: Server, proxy: Proxy, is_known: bool) -> None:
    session = SessionAuth(server.expired_tokens(proxy.base_url, is_known=is_known))
    limits = httpx2.Limits(max_connections=20)
    async with httpx2.AsyncClient(auth=session, limits=limits, timeout=60) as http:
        answers = await asyncio.gather(*(http.get(f"{proxy.base_url}{ME}") for _ in range(CALLERS)))
    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert proxy.refreshes == 1


async def test_a_cancelled_task_breaks_no_refresh_off(server: Server, proxy: Proxy) -> None:
    session = SessionAuth(server.expired_tokens(proxy.base_url, is_known=True))
    before = session.tokens
    async with httpx2.AsyncClient(auth=session) as http:
        first = asyncio.create_task(http.get(f"{proxy.base_url}{ME}"))
        second = asyncio.create_task(http.get(f"{proxy.base_url}{ME}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).status_code == 200
    assert session.tokens != before
    assert proxy.refreshes == 1


def test_an_answer_that_was_lost_is_asked_for_again(server: Server, proxy: Proxy) -> None:
    session = SessionAuth(server.expired_tokens(proxy.base_url))
    with httpx2.Client(auth=session) as http:
        for _ in range(5):
            proxy.cut, before = 2, session.tokens
            session.refresh()
            assert session.tokens != before
            assert http.get(f"{proxy.base_url}{ME}").status_code == 200
    assert proxy.refreshes == 15


def test_a_session_outlives_a_server_that_never_answers(
    server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manifest_auth_client.session._REPEAT_WITHIN_S", 1.0)
    tokens = server.expired_tokens(proxy.base_url)
    session = SessionAuth(tokens)
    proxy.cut = 10_000
    with pytest.raises(httpx2.TransportError):
        session.refresh()
    assert proxy.refreshes > 2
    proxy.cut = 0
    assert session.refresh().refresh_token != tokens.refresh_token
    with httpx2.Client(auth=session) as http:
        assert http.get(f"{proxy.base_url}{ME}").status_code == 200


def test_a_server_that_is_not_there_is_told_immediately_and_costs_no_session(server: Server) -> None:
    gone = Proxy(server.base_url)
    gone.close()
    session = SessionAuth(replace(server.expired_tokens(), base_url=gone.base_url))
    with pytest.raises(httpx2.ConnectError):
        session.refresh()


class Order(MemoryTokenStore):
    """A store that records what it saves."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[Tokens | None] = []

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        self.saved.append(tokens)
        return super().save(tokens, replaces=replaces)


def test_new_tokens_are_stored_before_they_are_used(server: Server) -> None:
    store = Order()
    session = SessionAuth(server.expired_tokens(is_known=True), store=store)
    used = []

    def look(request: httpx2.Request) -> None:
        assert store.saved[-1] is not None
        used.append(request.headers["authorization"] == f"Bearer {store.saved[-1].access_token}")

    with httpx2.Client(auth=session, event_hooks={"request": [look]}) as http:
        assert http.get(f"{server.base_url}{ME}").status_code == 200
    assert used == [True]
    assert len(store.saved) == 2


def test_a_store_that_cannot_keep_the_new_tokens_uses_none_of_them(server: Server) -> None:
    class Full(MemoryTokenStore):
        def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
            if replaces is not None:
                raise OSError("the disk is full")
            return super().save(tokens, replaces=replaces)

    tokens = server.expired_tokens(is_known=True)
    session = SessionAuth(tokens, store=Full())
    with pytest.raises(OSError, match="full"):
        session.refresh()
    assert session.tokens == tokens


def test_two_holders_of_one_store_without_a_lock_keep_one_line_of_tokens(server: Server, proxy: Proxy) -> None:
    """Both refresh with the same token at the same time; the second finds the first one's tokens and uses them."""

    class Plain:
        kept: Tokens | None = None

        def load(self) -> Tokens | None:
            return self.kept

        def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
            if self.kept != replaces:
                return False
            self.kept = tokens
            return True

    store = Plain()
    first = SessionAuth(server.expired_tokens(proxy.base_url), store=store)
    second = SessionAuth(store=store)
    for _ in range(10):
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda session: session.refresh(), (first, second)))
        with httpx2.Client(auth=first) as one, httpx2.Client(auth=second) as other:
            assert one.get(f"{proxy.base_url}{ME}").status_code == 200
            assert other.get(f"{proxy.base_url}{ME}").status_code == 200


def test_a_stolen_refresh_token_ends_the_session_for_both(server: Server) -> None:
    with ManifestAuth(server.base_url, client="acme") as owner:
        stolen = owner.sign_in(EMAIL, PASSWORD).tokens
        thief = SessionAuth(stolen)
        thief.refresh()
        thief.refresh()  # with the replacement, which makes the owner's token invalid
        server.after_the_grace()
        with pytest.raises(errors.InvalidToken):
            owner.refresh()
        with httpx2.Client(auth=thief) as http, pytest.raises(errors.InvalidToken):
            http.get(f"{server.base_url}{ME}")
        with pytest.raises(errors.InvalidToken):
            owner.me()


def test_what_another_holder_of_the_store_rotated_is_taken_after_a_refusal(server: Server) -> None:
    """The store is read again after INVALID_TOKEN; its current tokens are used, and nobody must sign in again."""

    class Late(MemoryTokenStore):
        late: Tokens | None = None

        def load(self) -> Tokens | None:
            found, self.late = self.late or super().load(), None
            return found

    store = Late()
    session = SessionAuth(server.expired_tokens(), store=store)
    old = session.tokens
    session.refresh()
    session.refresh()
    server.after_the_grace()
    with ManifestAuth(server.base_url, client="acme") as auth:
        fresh = auth.sign_in(EMAIL, PASSWORD).tokens
    store.save(fresh, replaces=store.load())
    store.late = replace(old, renew_at=0.0) if old else None  # the first value read is outdated
    assert session.refresh().refresh_token == fresh.refresh_token


def test_a_body_of_bytes_is_sent_again_and_a_stream_is_not(server: Server) -> None:
    body = {"query": "{ me { email } }"}
    with httpx2.Client(auth=SessionAuth(server.expired_tokens())) as http:
        answer = http.post(f"{server.base_url}/api/client/graphql", json=body)
        assert answer.json()["data"]["me"]["email"] == EMAIL
    session = SessionAuth(server.expired_tokens())
    stream = iter([b'{"query": "{ me { email } }"}'])
    headers = {"content-type": "application/json"}
    with httpx2.Client(auth=session) as http:
        with pytest.raises(errors.TokenExpired):
            http.post(f"{server.base_url}/api/client/graphql", content=stream, headers=headers)
        assert http.get(f"{server.base_url}{ME}").status_code == 200  # it was still renewed


def test_a_second_refusal_is_raised(server: Server) -> None:
    asked = []

    def always_expired(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        error = {"code": "TOKEN_EXPIRED", "message": "Token has expired", "requestId": "r"}
        return httpx2.Response(401, json={"success": False, "error": error})

    session = SessionAuth(server.expired_tokens(), origins=["http://service.example"])
    with httpx2.Client(auth=session, transport=httpx2.MockTransport(always_expired)) as http:
        with pytest.raises(errors.TokenExpired):
            http.get("http://service.example/")
    assert len(asked) == 2


def test_a_token_that_is_due_is_used_while_the_server_is_away(server: Server) -> None:
    with ManifestAuth(server.base_url, client="acme") as auth:
        tokens = auth.sign_in(EMAIL, PASSWORD).tokens
    gone = Proxy(server.base_url)
    gone.close()
    due = replace(tokens, base_url=gone.base_url, renew_at=0.0)
    with httpx2.Client(auth=SessionAuth(due, origins=[server.base_url])) as http:
        assert http.get(f"{server.base_url}{ME}").status_code == 200


def test_a_sign_in_during_a_renewal_stays() -> None:
    def renew(_stale: str | None) -> str:
        held.put("of the sign-in")
        return "renewed"

    held: Renewed[str] = Renewed("old", renew)
    assert held.after("old") == "renewed"
    assert held.value == "of the sign-in"
