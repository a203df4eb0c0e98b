"""A user deactivated through SCIM is signed out: on this node with the next request, on others within a second."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.processes.node_client import AUTH, Node, bearer
from tests.processes.test_two_nodes import felt_in_time, refused
from tests.support.rounds import repeated
from tests.support.server import DEMO_PASSWORD

EMAIL = "leaver@acme.example"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def sent(node: Node, token: str, method: str, path: str, body: Any) -> httpx2.Response:
    node.http.cookies.clear()
    answer = node.http.request(method, path, json=body, headers=bearer(token))
    assert answer.status_code < 300, answer.text
    return answer


def test_off_means_off(nodes: tuple[Node, Node], database_url: str) -> None:
    first, second = nodes
    root = first.post("/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD}).json()["data"][
        "token"
    ]
    acme = "/api/admin/clients/acme"
    directory = sent(first, root, "POST", f"{acme}/scim", {"name": "directory"}).json()["data"]
    person = {"schemas": [USER], "userName": EMAIL, "emails": [{"value": EMAIL, "primary": True}], "active": True}
    user = sent(first, directory["token"], "POST", "/scim/v2/acme/Users", person).json()["id"]
    link = sent(first, root, "POST", f"{acme}/users/{user}/password-reset", {}).json()["data"]["link"]
    chosen = {"token": link.partition("#")[2], "newPassword": DEMO_PASSWORD}
    assert first.post(f"{AUTH}/password/reset", chosen).status_code == 200

    def switch(node: Node, *, active: bool) -> None:
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": active}}]}
        assert sent(node, directory["token"], "PATCH", f"/scim/v2/acme/Users/{user}", body).status_code == 204

    for turn in range(repeated(200, 20)):
        here, there = nodes if turn % 2 else (second, first)
        signed_in = here.sign_in(EMAIL)
        for node in (there, here, there):
            assert node.me(signed_in["token"]).status_code == 200
        switch(here, active=False)
        assert refused(here, signed_in["token"])
        felt_in_time(nodes, lambda n=there, s=signed_in: refused(n, s["token"]), database_url)  # type: ignore[misc]
        for node in nodes:
            assert node.post(f"{AUTH}/refresh", {"refreshToken": signed_in["refreshToken"]}).status_code == 401
        switch(there, active=True)
