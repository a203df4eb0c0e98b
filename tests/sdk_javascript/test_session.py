"""The JavaScript client keeps a session at a real server: many callers, lost responses, theft, errors, and factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.processes.node_client import AUTHOR, Node
from tests.sdk_javascript.installed import Programs, case
from tests.support.matrix import some_of
from tests.support.server import DEMO_PASSWORD, served

pytestmark = pytest.mark.one_store


@pytest.fixture
def run(programs: Programs, node: Node) -> Callable[..., Any]:
    return case(programs, "session", node.server)


@pytest.fixture
def person(node: Node, programs: Programs) -> Callable[..., tuple[str, str]]:
    """A client with settings, and the email of its only user."""

    def made(name: str, **settings: Any) -> tuple[str, str]:
        client, email = f"{name}-{abs(hash(programs.node))}", f"one@{name}.example"
        node.admin("POST", "/clients", {"identifier": client, "name": client, "settings": settings})
        body = {"email": email, "roles": ["Operator"], "password": DEMO_PASSWORD}
        node.admin("POST", f"/clients/{client}/users", body)
        return client, email

    return made


def test_signs_in_calls_and_signs_out(run: Callable[..., Any]) -> None:
    said = run("the_whole_way")
    closed = {"name": "ManifestAuthError", "code": "UNAUTHENTICATED", "status": 401}
    for is_open, refused in (said["before"], said["after"]):
        assert not is_open
        assert closed.items() <= refused.items()
    assert said["told"] == {"user": said["told"]["user"]}  # no token is passed out
    assert said["told"]["user"]["email"] == said["me"]["user"]["email"] == AUTHOR
    assert len(said["users"]["usersPage"]["items"]) == 2
    assert said["during"] is True


def test_refusals_have_code_details_and_request_id(run: Callable[..., Any]) -> None:
    said = run("refusals")
    assert (said["wrong"]["code"], said["wrong"]["status"]) == ("INVALID_CREDENTIALS", 401)
    assert said["unknown"]["code"] == "VALIDATION_ERROR"
    assert said["unknown"]["details"][0]["field"] == "titel"
    assert said["forbidden"]["code"] == "FORBIDDEN"
    assert said["graphql"]["code"] == "GRAPHQL_VALIDATION_FAILED" or said["graphql"]["code"] == "BAD_USER_INPUT"
    assert all(len(said[name]["requestId"]) >= 8 for name in ("wrong", "unknown", "forbidden", "graphql"))
    assert said["plain"] == 403  # fetch passes on errors that don't concern the session


@pytest.mark.parametrize("knows", some_of([True, False], False), ids=["by the clock", "after a 401"])
def test_of_200_callers_whose_token_ended_one_refreshes(run: Callable[..., Any], brief: str, knows: bool) -> None:
    said = run("many_callers", knows=knows, brief=brief)
    assert said == {"refreshes": 1, "statuses": [200], "answers": 200, "asked": 200 if knows else 400}


@pytest.mark.parametrize("strict", some_of([False, True], False), ids=["as ever", "strict"])
def test_answers_that_are_lost_after_the_commit_end_nothing(run: Callable[..., Any], person: Any, strict: bool) -> None:
    client, email = person(f"lost-{strict}".lower(), refreshStrict=strict)
    assert run("lost_answers", rounds=4, client=client, email=email) == {"refreshes": 8, "email": email}


def test_a_stolen_refresh_token_ends_the_session(programs: Programs, tmp_path: Any) -> None:
    given: Any = {"MANIFEST_REFRESH_GRACE": "1"}
    with served(tmp_path, **given) as server:
        said = case(programs, "session", server)("theft", grace=1)
    assert said["refused"]["code"] == said["ended"] == "INVALID_TOKEN"
    assert said["left"] is None
    assert said["open"] is False
    assert said["thief"]["code"] == "INVALID_TOKEN"


def test_a_second_factor_is_set_up_and_asked_for(run: Callable[..., Any], person: Any) -> None:
    client, email = person("factors", secondFactor={"policy": "required", "graceDays": 0})
    said = run("second_factor", client=client, email=email)
    assert (said["due"]["name"], said["due"]["code"]) == ("MfaRequired", "MFA_REQUIRED")
    assert said["due"]["challenge"]
    assert "totp" in said["due"]["methods"]
    assert (said["codes"], said["tokens"]) == (10, False)
    assert {"otp", "recoveryCode"} <= set(said["members"])
    assert said["wrong"]["code"] == "MFA_REQUIRED"
    assert said["user"] == said["me"] == email
