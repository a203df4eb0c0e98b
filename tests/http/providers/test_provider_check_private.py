"""A User Admin can't explore private networks with a provider, because tests don't connect to them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.http.providers.provider_editors import Editor, editor, saml_settings
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.oidc_socket import Answer
from tests.support.processes import free_port
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, impatient

pytestmark = pytest.mark.one_store

TOLD = "{host} has no public address. Only an Admin can test a server that isn't on the public internet."


@pytest.fixture
async def user_admin(app: App) -> Editor:
    return await editor(app, "User Admin", await new_client(app))


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections but never responds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


def at(port: int) -> dict[str, Any]:
    return {"oidc": {"issuer": f"http://127.0.0.1:{port}"}}


async def said_of(caller: Editor, **members: Any) -> tuple[bool | None, list[str]]:
    """Whether the provider works, and all messages except those about its own address and who changed it."""
    made = check_success(await caller.create(**members), 201)
    data = check_success(await caller.send("POST", f"/{made['name']}/test"))
    texts = [finding["text"] for finding in data["findings"]]
    return data["works"], [
        text for text in texts if not text.startswith(("Register the", "A User Admin", "Certificate"))
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


@rule("OIDC-DISCOVERY")
async def test_what_is_there_is_never_called(user_admin: Editor, op: Op) -> None:
    host = op.base.removeprefix("http://")
    for answer in ANSWERS.values():
        op.answers = {} if answer is None else {"discovery": answer}
        oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        told = await said_of(user_admin, oidc=oidc, defaultRoles=["Viewer"])
        assert told == (None, [TOLD.format(host=host)])
    told = await said_of(user_admin, saml=saml_settings(redirectUrl=f"{op.base}/sso"), defaultRoles=["Viewer"])
    assert told == (None, [TOLD.format(host=host)])
    assert op.asked == []


@rule("OIDC-DISCOVERY")
async def test_so_is_what_does_not_answer_and_a_name_that_is_unknown(user_admin: Editor) -> None:
    """Otherwise, names in a private network could be guessed one by one."""
    for host in (f"127.0.0.1:{free_port()}", "no-such-host.invalid"):
        scheme = "http" if host.startswith("127") else "https"
        oidc = {"issuer": f"{scheme}://{host}", "clientId": "x"}
        told = await said_of(user_admin, oidc=oidc, defaultRoles=["Viewer"])
        assert told == (None, [TOLD.format(host=host)])


@rule("OIDC-DISCOVERY")
async def test_a_sign_in_there_tells_the_trail_no_more(app: App, user_admin: Editor, op: Op) -> None:
    """User Admins can read the trail. An Admin who saves the provider gets the details there."""
    admin = await editor(app, "Admin", user_admin.client)
    made = await user_admin.make(oidc={"issuer": op.issuer, "clientId": "x"})

    async def started() -> tuple[str, str, str]:
        query = {"client": user_admin.client, "provider": made["name"], "returnTo": ""}
        reply = await Browser(app).start("oidc", **query)
        event = (await trail(app, user_admin.client))[-1]
        return reply.code, event.event, event.members["why"]

    found, known = set(), {**ANSWERS, "no HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n")}
    for answer in [answer for answer in known.values() if answer is not None]:
        op.answers["discovery"] = answer
        found.add(await started())
    with silent_port() as silent, impatient(app):
        for port in (free_port(), silent):
            check_success(await user_admin.send("PATCH", f"/{made['name']}", at(port)))
            found.add(await started())
    assert found == {("PROVIDER_UNAVAILABLE", "sign_in_failed", "unreachable: a test by an Admin says why")}
    check_success(await admin.send("PATCH", f"/{made['name']}", {}))
    assert (await started())[2].startswith(f"discovery: 127.0.0.1:{silent}: ")


@matrix("who", ["Admin", "system admin"])
async def test_an_admin_is_told_all(app: App, op: Op, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    op.answers["discovery"] = Answer(404)
    _, texts = await said_of(caller, oidc={"issuer": op.issuer, "clientId": "x"}, defaultRoles=["Viewer"])
    assert "returned 404" in texts[0]
