"""Requests of the JavaScript client's fetch: tokens are sent only to listed origins, and requests repeated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sdk_javascript.installed import Programs

OURS, LISTED, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
REFRESH = "/api/client/auth/refresh"


@pytest.fixture
def run(programs: Programs) -> Callable[[str], Any]:
    def one(name: str) -> Any:
        return programs.run("requests", case=name, base="http://127.0.0.1:9")

    return one


def test_tokens_go_to_their_own_and_listed_origins_alone_also_after_redirects(run: Callable[[str], Any]) -> None:
    seen = run("origins")["seen"]
    assert len(seen) == 11
    with_token = {(one["at"], one["path"].partition("/to/")[0]) for one in seen if one["token"]}
    assert with_token == {(OURS, "/here"), (OURS, ""), (LISTED, "/there"), (LISTED, ""), (OURS, "/own")}
    assert [one["token"] for one in seen if one["path"] == "/own"] == ["Bearer own"]
    assert [one["token"] for one in seen if one["at"] == OTHER] == [None] * 4
    assert not any(one["cookie"] for one in seen)


def test_a_password_follows_no_redirect(run: Callable[[str], Any]) -> None:
    found = run("redirected")
    assert found["result"]["name"] == "TypeError"
    assert [(one["at"], "kestrel" in one["body"]) for one in found["seen"]] == [(OURS, True)]


def test_a_request_is_sent_again_once_where_its_body_can_be(run: Callable[[str], Any]) -> None:
    said = run("bodies")
    result, seen = said["result"], said["seen"]
    assert set(result["statuses"].values()) == {200}
    sent = [(one["path"], one["body"]) for one in seen if one["path"] != REFRESH]
    for name, body in {"text": "text", "bytes": "bytes", "params": "a=b", "blob": "blob", "none": ""}.items():
        assert sent.count((f"/{name}", body)) == 2
    assert sent.count(("/request", "")) == 2
    assert sent.count(("/stream", "a stream")) == 1
    assert sent.count(("/whole", "text")) == 1
    assert result["streamed"]["code"] == result["request"]["code"] == "TOKEN_EXPIRED"
    assert result["after"] == 200  # the token was still renewed
    assert sent.count(("/after", "")) == 1


def test_a_second_401_is_raised(run: Callable[[str], Any]) -> None:
    said = run("never")
    assert said["result"]["code"] == "TOKEN_EXPIRED"
    assert said["result"]["requestId"] == "12345678"
    assert [one["path"] for one in said["seen"]] == ["/never", REFRESH, "/never"]


def test_the_store_is_read_once_more_before_the_session_is_given_up(run: Callable[[str], Any]) -> None:
    said = run("another_rotated")["result"]
    assert said == {"answer": {"token": "Bearer theirs"}, "saved": [], "shown": ["first"]}


def test_what_another_program_stored_first_is_adopted(run: Callable[[str], Any]) -> None:
    said = run("replaced_in_the_store")
    assert said["result"]["asked"][0] == ["second", "first"]
    shown = [one["token"] for one in said["seen"] if one["path"] == "/here"]
    assert shown[0] == "Bearer theirs"


def test_a_child_is_stored_before_it_is_used(run: Callable[[str], Any]) -> None:
    said = run("stored_first")["result"]
    assert said["order"][:3] == [REFRESH, "stored second", "/here Bearer new"]
    assert said["failed"] == "the disk is full"
    assert said["order"][3:] == [REFRESH]  # a new token that couldn't be stored isn't used


def test_an_invalid_answer_of_the_server_is_said_to_be_none(run: Callable[[str], Any]) -> None:
    said = run("not_an_answer")["result"]
    assert (said["page"]["code"], said["page"]["status"]) == ("INVALID_ANSWER", 502)
    assert (said["success"]["code"], said["success"]["status"]) == ("INVALID_ANSWER", 200)
    assert (said["busy"]["code"], said["busy"]["retryAfter"]) == ("OVERLOADED", 2)
    assert said["mode"]["name"] == said["cookieStore"]["name"] == "TypeError"
