"""Actions that require re-authentication, each as a request, and the kinds of sessions that try them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.http.bodies import body_of, target
from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_success
from tests.support.forged_tokens import claims_of
from tests.support.routes import ROUTES, Route
from tests.support.rows import change_rows, rows

DIRECTORY = "11111111-2222-4333-8444-555555555555"
_USER = "/api/client/users/{user}"
#: By route: the users who must re-authenticate, and a body that requires it, if not every body does.
_CASES: dict[str, tuple[str, Any]] = {
    f"DELETE {_USER}/identities/{{identity}}": ("<me>", None),
    f"DELETE {_USER}/sessions": ("<me>", None),
    f"DELETE {_USER}/sessions/{{session}}": ("<me>", None),
    f"POST {_USER}/invitation": ("<manager>", None),
    "PATCH /api/client/settings": ("", {"password": {"history": 5}}),
}
#: Actions on a user's objects that only that user must re-authenticate for, because nobody else would benefit.
OF_ONESELF = {route for route, (who, _) in _CASES.items() if who == "<me>"}


class Act(NamedTuple):
    """``path`` and ``body`` can refer to a value of :class:`Client` in angle brackets. ``name`` is the route or
    operation; ``level`` is like the ``proof`` of a route."""

    name: str
    level: str
    method: str
    path: str
    body: Any = None


def _mutation(name: str, level: str, arguments: str, fields: str = "{ id }") -> Act:
    query = f"mutation {{ {name}({arguments}) {fields} }}"
    return Act(name, level, "POST", "/api/client/graphql", {"query": query})


def _of_route(route: Route) -> Act:
    who, body = _CASES.get(str(route), ("", None))
    named = {"user": who or "<viewer>", "provider": "company", "domain": "acme-other.example", "directory": DIRECTORY}
    return Act(str(route), route.proof, route.method, target(route, id=999999, **named), body or body_of(route))


ACTS = (
    *(_of_route(route) for route in ROUTES if route.who == "client" and route.proof),
    _mutation("updateUser", "factors", 'id: <viewer>, input: {email: "moved@x.example"}'),
    _mutation("inviteUser", "management", 'input: {email: "a@x.example", roles: ["User Admin"]}', "{ user { id } }"),
    _mutation("addUser", "management", 'input: {email: "b@x.example", roles: ["Admin"]}'),
    _mutation("renewInvitation", "management", "userId: <manager>", "{ user { id } }"),
    _mutation("setUserRoles", "management", 'userId: <viewer>, roles: ["User Admin"]'),
    _mutation("restoreUser", "management", "id: <gone>"),
    _mutation("resetUserPassword", "management", "userId: <viewer>", "{ user { id } }"),
    Act("resetUserFactors", "factors", "POST", "/api/client/graphql",
        {"query": 'mutation { resetUserFactors(userId: <viewer>, reason: "lost") { __typename } }'}),
    Act("endUserSessions", "management", "POST", "/api/client/graphql",
        {"query": "mutation { endUserSessions(userId: <me>) }"}),
)  # fmt: skip


class Kind(NamedTuple):
    """A session and its account. ``ago`` is the number of seconds since its authentication, None if it has no time;
    ``opens`` tells whether it can act."""

    name: str
    amr: str
    ago: float | None
    opens: bool
    has_factor: bool = False
    has_password: bool = True


KINDS = (
    Kind("password", "pwd", 599, True),
    Kind("old password", "pwd", 600, False),
    Kind("password alone, and there is a factor", "pwd", 0, False, has_factor=True),
    Kind("password and code", "pwd otp mfa", 599, True, has_factor=True),
    Kind("password and recovery code", "pwd recovery mfa", 0, True, has_factor=True),
    Kind("old password and code", "pwd otp mfa", 600, False, has_factor=True),
    Kind("passkey", "passkey mfa", 599, True, has_factor=True),
    Kind("trusted browser", "pwd trusted", 0, False, has_factor=True),
    Kind("link", "link", 0, False),
    Kind("link, and no password", "link", 0, False, has_password=False),
    Kind("provider", "provider", 599, True, has_password=False),
    Kind("old provider", "provider", 600, False, has_password=False),
    Kind("provider without a time", "provider", None, False, has_password=False),
    Kind("provider, and there is a password", "provider", 0, False),
    Kind("provider that proved two factors", "provider mfa", 0, True, has_factor=True, has_password=False),
    Kind("device", "device", 0, False),
    Kind("badge and PIN", "device badge pin", 0, False),
    Kind("of an older schema", "", None, False),
)


@dataclass
class Client:
    """A client with an Admin who acts, and the affected users."""

    app: App
    name: str
    email: str
    numbers: dict[str, int]
    stored: str

    async def session(self, kind: Kind) -> str:
        """The token of a new session of that kind; changes the account to match."""
        user = {"id": self.numbers["me"]}
        await change_rows(self.app, "users", user, factors=0, password_hash=self.stored)
        token = str(check_success(await self.app.sign_in(self.email, client=self.name))["token"])
        at = None if kind.ago is None else self.app.clock.now_ms() - int(kind.ago * 1000)
        session = claims_of(token)["sid"]
        assert await change_rows(self.app, "sessions", {"id": session}, amr=kind.amr, authenticated_at=at) == 1
        stored = self.stored if kind.has_password else None
        await change_rows(self.app, "users", user, factors=int(kind.has_factor), password_hash=stored)
        return token

    async def do(self, act: Act, token: str, *, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> Reply:
        """Perform an action; ``meanwhile`` runs between the head of the request and its body."""

        def filled(text: str) -> str:
            for name, number in self.numbers.items():
                text = text.replace(f"<{name}>", str(number))
            return text

        body = act.body
        if body is not None:
            body = {name: filled(value) if isinstance(value, str) else value for name, value in body.items()}
        if meanwhile is not None and body is None:
            body = {}  # ignored, but still awaited
        return await self.app.send(act.method, filled(act.path), body, token=token, meanwhile=meanwhile)


async def client(app: App, step_up: str) -> Client:
    """A client with this setting, an Admin, and other users."""
    name = await new_client(app, stepUp=step_up)
    me, email = await new_user(app, name, roles=["Admin"], password=PASSWORD)
    viewer, _ = await new_user(app, name, roles=["Viewer"])
    manager, _ = await new_user(app, name, roles=["User Admin"])
    gone, _ = await new_user(app, name, roles=["User Admin"])
    token = await app.admin_token()
    check_success(await app.post(f"/api/admin/clients/{name}/users/{gone}/deactivate", token=token))
    provider = {"name": "company", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    check_success(await app.post(f"/api/admin/clients/{name}/providers", provider, token=token), 201)
    [(stored,)] = await rows(app, "users", "password_hash", id=me)
    return Client(app, name, email, {"me": me, "viewer": viewer, "manager": manager, "gone": gone}, stored)


def code_of(reply: Reply) -> str:
    """The error code, over REST or GraphQL; empty if the request succeeded."""
    if reply.json is None:
        return ""
    if "errors" in reply.json:
        return str(reply.json["errors"][0]["extensions"]["code"])
    return "" if reply.json.get("success", True) else str(reply.json["error"]["code"])
