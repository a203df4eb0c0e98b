"""The provider's ``test`` route does not explore private networks: a User Admin learns *reached* or not."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.oidc_op import Op
from tests.support.oidc_socket import Answer
from tests.support.processes import free_port
from tests.support.provider_editors import Editor, editor, saml_settings

pytestmark = pytest.mark.one_store

TOLD_MORE = "Only an Admin sees details of a server that is not on the public Internet."


@pytest.fixture
async def user_admin(app: App) -> Editor:
    return await editor(app, "User Admin", await new_client(app))


async def said_of(caller: Editor, **members: Any) -> tuple[bool, list[str]]:
    """Whether it works, and all that is said of a provider but its own address and who changed it."""
    made = check_success(await caller.create(**members), 201)
    data = check_success(await caller.send("POST", f"/{made['name']}/test"))
    texts = [finding["text"] for finding in data["findings"]]
    return data["works"], [
        text for text in texts if not text.startswith(("The callback", "A User Admin", "Certificate"))
    ]


ANSWERS = {
    "a right one": None,
    "another issuer": Answer.json({"issuer": "https://evil.example"}),
    "no JSON": Answer(200, {}, b"<html>an internal page</html>"),
    "not found": Answer(404),
    "a fault": Answer(500),
    "a redirect": Answer(302, {"Location": "https://internal.example/secret"}),
    "a login": Answer(401, {"WWW-Authenticate": "Basic realm=printer"}),
}


async def test_every_answer_there_looks_the_same(user_admin: Editor, op: Op) -> None:
    host = op.base.removeprefix("http://")
    for answer in ANSWERS.values():
        op.answers = {} if answer is None else {"discovery": answer}
        oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        told = await said_of(user_admin, oidc=oidc, defaultRoles=["Viewer"])
        assert told == (True, [f"{host}: reached. {TOLD_MORE}"])
    assert {asked.endpoint for asked in op.asked} == {"discovery"}


async def test_so_does_all_that_does_not_answer(user_admin: Editor, op: Op) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"nothing listens": free_port(), "no answer comes": silent.getsockname()[1]}
        for port in ports.values():
            oidc = {"issuer": f"http://127.0.0.1:{port}", "clientId": "x"}
            told = await said_of(user_admin, oidc=oidc, defaultRoles=["Viewer"])
            assert told == (False, [f"127.0.0.1:{port}: not reached. {TOLD_MORE}"])
    op.answers["discovery"] = Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n")
    told = await said_of(user_admin, oidc={"issuer": op.issuer, "clientId": "x"}, defaultRoles=["Viewer"])
    assert told == (False, [f"{op.base.removeprefix('http://')}: not reached. {TOLD_MORE}"])


async def test_a_name_that_is_unknown_is_not_reached_either(user_admin: Editor) -> None:
    """Else the names of a private network could be tried one by one."""
    oidc = {"issuer": "https://no-such-host.invalid", "clientId": "x"}
    told = await said_of(user_admin, oidc=oidc, defaultRoles=["Viewer"])
    assert told == (False, [f"no-such-host.invalid: not reached. {TOLD_MORE}"])


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_a_sign_on_address_there_is_reached_and_no_more(user_admin: Editor, op: Op, status: int) -> None:
    op.answers["unknown"] = Answer(status, {"Location": "https://internal.example/"} if status == 302 else {})
    told = await said_of(user_admin, saml=saml_settings(redirectUrl=f"{op.base}/sso"), defaultRoles=["Viewer"])
    assert told == (True, [f"{op.base.removeprefix('http://')}: reached. {TOLD_MORE}"])


@pytest.mark.parametrize("who", ["Admin", "system admin"])
async def test_an_admin_is_told_all(app: App, op: Op, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    op.answers["discovery"] = Answer(404)
    _, texts = await said_of(caller, oidc={"issuer": op.issuer, "clientId": "x"}, defaultRoles=["Viewer"])
    assert "answered 404" in texts[0]
