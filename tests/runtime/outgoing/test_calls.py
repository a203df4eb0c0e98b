"""Outgoing HTTP calls to a misbehaving server."""

from __future__ import annotations

import asyncio
import base64
import gzip
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.outgoing import MOST_AT_ONCE, Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.runtime.settings import load
from tests.runtime.outgoing.outgoing_calls import TENANT, get, post_form
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer, Asked, Socket
from tests.support.rules import rule

MIB = 1024 * 1024


@dataclass
class Site:
    """A server with responses that a test sets by path; other paths return 404."""

    socket: Socket
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    first: Answer | None = None  # responds to one request with any path

    def url(self, path: str = "/") -> str:
        return self.socket.base + path

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if asked.path == "/wait":
            self.gate.wait(30)
        if self.first is not None:
            answer, self.first = self.first, None
            return answer
        return self.answers.get(asked.path, Answer(404))


@pytest.fixture
def site() -> Iterator[Site]:
    with Socket() as socket:
        site = Site(socket)
        socket.answer = site.answer
        threading.Thread(target=socket.serve, daemon=True).start()
        yield site
        site.gate.set()


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    """Outgoing calls with the maximum timeout, so that a busy machine has no effect."""
    calls = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30"}))
    yield calls
    await calls.close()


@pytest.fixture
async def hasty() -> AsyncIterator[Outgoing]:
    calls = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "0.5"}))
    yield calls
    await calls.close()


async def test_an_answer_is_status_headers_and_body(site: Site, outgoing: Outgoing) -> None:
    site.answers["/x"] = Answer(200, {"X-One": "1", "x-one": "2"}, b'{"a": 1}')
    reply = await get(outgoing, site.url("/x?y=z"))
    assert (reply.status, reply.headers["x-one"], reply.json()) == (200, "1, 2", {"a": 1})
    assert (site.asked[0].method, site.asked[0].query) == ("GET", {"y": "z"})


@matrix("status", [201, 400, 404, 500, 503])
async def test_any_status_but_a_redirect_is_an_answer(site: Site, outgoing: Outgoing, status: int) -> None:
    site.answers["/"] = Answer(status, body=b"x")
    assert (await get(outgoing, site.url())).status == status


@rule("OUTGOING")
@matrix("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_its_query_is_not_told(
    site: Site, outgoing: Outgoing, status: int
) -> None:
    site.answers["/"] = Answer(status, {"Location": site.url("/elsewhere?code=s3cret")})
    with pytest.raises(Unreachable, match=r"redirected to .*/elsewhere") as refused:
        await get(outgoing, site.url())
    assert "s3cret" not in str(refused.value)
    assert [asked.path for asked in site.asked] == ["/"]


FEW = 2000  # the number of single bytes in a response
HOSTILE = {
    "a body over the cap": (Answer(body=b"x" * (MIB + 1)), "too large"),
    "an endless body": (Answer(chunks=(b"x" * 65536, 10_000, 0)), "too large"),
    # Each counts as 512, because a megabyte of them would occupy the processor. Half as many are accepted; see below.
    "some thousand single bytes": (Answer(chunks=(b"x", 2 * FEW, 0)), "too large"),
    "a length that is not kept": (Answer(body=b"{}", length=10), "no response in time"),
    "a length beyond all bounds": (Answer(body=b"{}", length=2**60), "no response in time"),
    "a header beyond all bounds": (Answer(headers={"X": "x" * 200_000}), "invalid response"),
    "no answer": (Answer(raw=b""), "invalid response"),
    "something else than HTTP": (Answer(raw=b"220 mail.example ESMTP\r\n"), "invalid response"),
    "half an answer": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), "invalid response"),
    "two lengths": (
        Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"),
        "invalid response",
    ),
    "a compressed body": (Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"{}")), "compressed"),
    "a compression bomb": (
        Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b" " * 64 * MIB)),
        "compressed",
    ),
}


@rule("OIDC-DISCOVERY")
@matrix(("answer", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_answer_is_unreachable(
    site: Site, outgoing: Outgoing, hasty: Outgoing, answer: Answer, reason: str
) -> None:
    site.answers["/"] = answer
    calls = hasty if "in time" in reason else outgoing
    with pytest.raises(Unreachable, match=reason):
        await get(calls, site.url())


async def test_an_answer_can_can_sign_in_some_pieces(site: Site, outgoing: Outgoing) -> None:
    site.answers["/"] = Answer(chunks=(b"x", FEW, 0))
    assert (await get(outgoing, site.url())).body == b"x" * FEW


async def test_a_body_at_the_cap_is_read(site: Site, outgoing: Outgoing) -> None:
    site.answers["/"] = Answer(body=b"x" * MIB)
    assert len((await get(outgoing, site.url())).body) == MIB


async def test_compression_is_not_asked_for(site: Site, outgoing: Outgoing) -> None:
    await get(outgoing, site.url())
    assert site.asked[0].headers["accept-encoding"] == "identity"


async def test_a_server_that_says_nothing_is_given_up(site: Site, hasty: Outgoing) -> None:
    with pytest.raises(Unreachable, match="no response in time"):
        await get(hasty, site.url("/wait"))


@rule("OUTGOING")
async def test_a_server_that_never_stops_talking_is_given_up(site: Site, hasty: Outgoing) -> None:
    site.answers["/"] = Answer(chunks=(b"x", 100, 0.2))  # each piece is fast enough, but the whole isn't
    with pytest.raises(Unreachable, match="no response in time"):
        await get(hasty, site.url())


def test_the_calls_of_a_sign_in_get_less_than_three_seconds_unless_a_setting_says_otherwise() -> None:
    assert Outgoing(load({})).seconds < 3


@rule("OUTGOING")
async def test_calls_share_one_deadline(site: Site, hasty: Outgoing) -> None:
    deadline = hasty.deadline(TENANT)
    with pytest.raises(Unreachable, match="no response in time"):
        await get(hasty, site.url("/wait"), deadline=deadline)
    with pytest.raises(Unreachable, match="no response in time"):
        await get(hasty, site.url("/x"), deadline=deadline)
    assert "/x" not in {asked.path for asked in site.asked}


async def test_the_reason_says_what_kind_of_trouble_it_is(site: Site, outgoing: Outgoing) -> None:
    port = site.socket.port
    for url, reason in (
        (f"https://127.0.0.1:{port}/", "TLS: "),
        ("http://127.0.0.1:1/", "can't connect: "),
        ("https://nobody.invalid/", "the name can't be resolved: "),
        ("http://example.com/", "must begin with https://"),
    ):
        with pytest.raises(Unreachable, match=reason):
            await get(outgoing, url)


@rule("OIDC-CODE")
async def test_a_form_is_posted_with_an_encoded_id_and_secret(site: Site, outgoing: Outgoing) -> None:
    site.answers["/token"] = Answer(body=b"{}")
    await post_form(outgoing, site.url("/token"), {"a": "1 &=ü", "b": ""}, basic=("id:1", "p%+ö /"))
    asked = site.asked[0]
    assert (asked.method, asked.form) == ("POST", {"a": "1 &=ü", "b": ""})
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    # RFC 6749, section 2.3.1: a colon in the ID would otherwise end it
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) == b"id%3A1:p%25%2B%C3%B6+%2F"


async def test_cookies_are_not_kept(site: Site, outgoing: Outgoing) -> None:
    site.answers["/"] = Answer(headers={"Set-Cookie": "a=b; Path=/"})
    await get(outgoing, site.url())
    await get(outgoing, site.url())
    assert all("cookie" not in asked.headers for asked in site.asked)


async def test_proxies_of_the_environment_are_not_used(
    site: Site, outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, site.socket.base)
    for url in ("https://nobody.invalid/", "http://127.0.0.1:1/"):
        with pytest.raises(Unreachable):
            await get(outgoing, url)
    assert site.asked == []


@rule("OIDC-CODE")
async def test_a_request_that_changes_something_is_sent_once(site: Site, outgoing: Outgoing) -> None:
    site.answers["/"] = Answer(raw=b"")
    with pytest.raises(Unreachable):
        await post_form(outgoing, site.url(), {})
    assert len(site.asked) == 1


async def test_a_connection_that_was_closed_in_the_meantime_costs_a_get_nothing(site: Site, outgoing: Outgoing) -> None:
    site.answers["/"] = Answer(body=b"{}")
    site.first = Answer(raw=b"")
    assert (await get(outgoing, site.url())).status == 200
    assert len(site.asked) == 2


@rule("OUTGOING")
async def test_a_slow_provider_does_not_keep_the_others_waiting(site: Site, outgoing: Outgoing) -> None:
    with Socket() as quick:
        quick.answer = lambda asked: Answer(body=b"{}")
        threading.Thread(target=quick.serve, daemon=True).start()
        waiting = [asyncio.create_task(get(outgoing, site.url("/wait"))) for _ in range(5 * MOST_AT_ONCE)]
        await asyncio.sleep(0)
        assert (await get(outgoing, quick.base + "/")).status == 200
        assert len(site.asked) <= MOST_AT_ONCE
        site.gate.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_client_whose_calls_are_not_answered_is_rejected_soon(site: Site, outgoing: Outgoing) -> None:
    site.answers["/wait"] = Answer(body=b"{}")
    waiting = [asyncio.create_task(get(outgoing, site.url("/wait"))) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    outgoing.seconds = 1.0
    with pytest.raises(Unreachable, match="too many calls are in progress"):
        await get(outgoing, site.url())
    assert not any(task.done() for task in waiting), "it waited for one of those"
    site.gate.set()
    assert {(await task).status for task in waiting} == {200}


async def test_of_many_calls_at_the_same_time_each_gets_its_turn(site: Site, outgoing: Outgoing) -> None:
    site.answers["/"] = Answer(body=b"{}")
    replies = await asyncio.gather(*(get(outgoing, site.url()) for _ in range(3 * MOST_AT_ONCE)))
    assert {reply.status for reply in replies} == {200}


async def test_calls_are_counted_by_purpose_and_result(site: Site) -> None:
    metrics = Metrics()
    outgoing = Outgoing(load({}), metrics)
    site.answers["/"] = Answer(body=b"{}")
    await get(outgoing, site.url(), call="discovery")
    await get(outgoing, site.url("/gone"), call="keys")
    with pytest.raises(Unreachable):
        await post_form(outgoing, "http://127.0.0.1:1/", {}, call="token")
    await outgoing.close()
    text = metrics.render().decode()
    for call, result in (("discovery", "ok"), ("keys", "refused"), ("token", "unreachable")):
        assert f'manifest_provider_seconds_count{{call="{call}",result="{result}"}} 1.0' in text
    assert "127.0.0.1" not in text


@pytest.mark.processes
def test_nothing_is_loaded_before_the_first_call() -> None:
    program = "import sys, manifest_auth.app; print('httpcore2' in sys.modules, 'httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
