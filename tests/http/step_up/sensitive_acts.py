"""Acts that need a recent proof of who acts, each as a request, and kinds of sessions that try them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_success
from tests.support.forged_tokens import claims_of
from tests.support.rows import change_rows, rows

AUTH, USERS = "/api/client/auth", "/api/client/users"
FACTORS = f"{AUTH}/second-factors"
PROVIDERS, DOMAINS, DIRECTORIES = "/api/client/providers", "/api/client/domains", "/api/client/directories"
MACHINES, DEVICE_APPS = "/api/client/service-accounts", "/api/client/device-apps"
DIRECTORY = "11111111-2222-4333-8444-555555555555"


class Act(NamedTuple):
    """``path`` and ``body`` may name a value of :class:`Client` in braces; ``route``: the pattern, where it has one.
    ``level``: ``factors`` or ``management``; ``factor``: only for who has a second factor; ``first``: as ``factors``,
    and for who has none also with a fresh link."""

    name: str
    level: str
    method: str
    path: str
    body: Any = None
    route: str = ""


def _mutation(name: str, level: str, arguments: str, fields: str = "{ id }") -> Act:
    query = f"mutation {{ {name}({arguments}) {fields} }}"
    return Act(name, level, "POST", "/api/client/graphql", {"query": query})


ACTS = (
    Act("email", "factors", "POST", f"{AUTH}/email", {"newEmail": "new@x.example", "currentPassword": "wrong-one"}),
    Act("password", "factor", "POST", f"{AUTH}/password",
        {"currentPassword": "wrong-one", "newPassword": "another-harbor-22-violet"}),
    Act("link", "factors", "POST", f"{AUTH}/identities", {"provider": "company"}),
    Act("link by token", "factors", "POST", f"{AUTH}/identities/token", {"provider": "company", "token": "x"}),
    Act("unlink", "factors", "DELETE", f"{AUTH}/identities/999999", route=f"{AUTH}/identities/{{id}}"),
    Act("unlink as a manager", "factors", "DELETE", f"{USERS}/<me>/identities/999999",
        route=f"{USERS}/{{user}}/identities/{{identity}}"),
    Act("confirm", "factors", "POST", f"{USERS}/<viewer>/identities/999999/confirm",
        route=f"{USERS}/{{user}}/identities/{{identity}}/confirm"),
    Act("begin an app", "first", "POST", f"{FACTORS}/totp"),
    Act("confirm an app", "first", "POST", f"{FACTORS}/totp/confirm", {"otp": "000000"}),
    Act("remove an app", "first", "DELETE", f"{FACTORS}/totp"),
    Act("codes", "first", "POST", f"{FACTORS}/recovery-codes"),
    Act("end all trust", "first", "DELETE", f"{FACTORS}/trusted"),
    Act("end a trust", "first", "DELETE", f"{FACTORS}/trusted/another", route=f"{FACTORS}/trusted/{{id}}"),
    Act("begin a passkey", "first", "POST", f"{AUTH}/passkeys/options"),
    Act("add a passkey", "first", "POST", f"{AUTH}/passkeys", {"credential": {}, "name": ""}),
    Act("rename a passkey", "first", "PATCH", f"{AUTH}/passkeys/another", {"name": "X"},
        route=f"{AUTH}/passkeys/{{id}}"),
    Act("remove a passkey", "first", "DELETE", f"{AUTH}/passkeys/another", route=f"{AUTH}/passkeys/{{id}}"),
    Act("reset factors", "factors", "POST", f"{USERS}/<viewer>/factors/reset", {"reason": "lost"},
        route=f"{USERS}/{{user}}/factors/reset"),
    Act("others", "management", "POST", f"{AUTH}/sign-out-others"),
    Act("another one", "management", "DELETE", f"{AUTH}/sessions/another", route=f"{AUTH}/sessions/{{id}}"),
    Act("own as a manager", "management", "DELETE", f"{USERS}/<me>/sessions/another",
        route=f"{USERS}/{{user}}/sessions/{{session}}"),
    Act("all own as a manager", "management", "DELETE", f"{USERS}/<me>/sessions", route=f"{USERS}/{{user}}/sessions"),
    Act("renew", "management", "POST", f"{USERS}/<manager>/invitation", route=f"{USERS}/{{user}}/invitation"),
    Act("make a provider", "management", "POST", PROVIDERS,
        {"name": "other", "oidc": {"issuer": "https://op.example", "clientId": "x"}}),
    Act("change a provider", "management", "PATCH", f"{PROVIDERS}/company", {"displayName": "X"},
        route=f"{PROVIDERS}/{{provider}}"),
    Act("switch off", "management", "POST", f"{PROVIDERS}/company/switch-off",
        route=f"{PROVIDERS}/{{provider}}/switch-off"),
    Act("switch on", "management", "POST", f"{PROVIDERS}/company/switch-on",
        route=f"{PROVIDERS}/{{provider}}/switch-on"),
    Act("rotate", "management", "POST", f"{PROVIDERS}/company/rotate-key",
        route=f"{PROVIDERS}/{{provider}}/rotate-key"),
    Act("delete a provider", "management", "DELETE", f"{PROVIDERS}/nothing", route=f"{PROVIDERS}/{{provider}}"),
    Act("make a machine", "management", "POST", MACHINES, {"name": "nightly", "roles": ["Viewer"]}),
    *(
        Act(f"{name} a machine", "management", method, f"{MACHINES}/999999{path}", body,
            route=f"{MACHINES}/{{account}}{path.replace('another', '{secret}')}")
        for name, method, path, body in (
            ("change", "PATCH", "", {"description": "x"}), ("enable", "POST", "/enable", None),
            ("delete", "DELETE", "", None), ("make a key of", "POST", "/keys", {}),
            ("rotate a key of", "POST", "/keys/another/rotate", {}), ("make a secret of", "POST", "/secrets", {}),
            ("rotate a secret of", "POST", "/secrets/another/rotate", {}),
        )
    ),
    Act("pair", "factors", "POST", f"{AUTH}/devices/pairings"),
    Act("let in", "factors", "POST", f"{AUTH}/devices/approve", {"userCode": "WDJB-MJHT"}),
    Act("let in by scanning", "factors", "POST", f"{AUTH}/devices/pairings/another/approve", {"match": "47"},
        route=f"{AUTH}/devices/pairings/{{id}}/approve"),
    Act("make an app of devices", "management", "POST", DEVICE_APPS, {"name": "Inspection"}),
    Act("rename an app of devices", "management", "PATCH", f"{DEVICE_APPS}/another", {"name": "Inspection"},
        route=f"{DEVICE_APPS}/{{app}}"),
    Act("remove an app of devices", "management", "DELETE", f"{DEVICE_APPS}/another", route=f"{DEVICE_APPS}/{{app}}"),
    Act("set a PIN", "factors", "POST", f"{AUTH}/badge-pin", {"pin": "482915"}),
    Act("give a PIN", "factors", "POST", f"{USERS}/<viewer>/badge-pin", route=f"{USERS}/{{user}}/badge-pin"),
    Act("issue a badge", "management", "POST", f"{USERS}/<viewer>/badges", {"kind": "standard"},
        route=f"{USERS}/{{user}}/badges"),
    Act("enrol a device", "management", "POST", "/api/client/devices/enrolments", {"name": "Kiosk"}),
    Act("claim", "management", "POST", DOMAINS, {"domain": "acme-works.example"}),
    Act("release", "management", "DELETE", f"{DOMAINS}/acme-other.example", route=f"{DOMAINS}/{{domain}}"),
    Act("claim a directory", "management", "POST", DIRECTORIES, {"directory": DIRECTORY}),
    Act("release a directory", "management", "DELETE", f"{DIRECTORIES}/{DIRECTORY}",
        route=f"{DIRECTORIES}/{{directory}}"),
    Act("prove a directory", "management", "POST", f"{DIRECTORIES}/{DIRECTORY}/prove", {},
        route=f"{DIRECTORIES}/{{directory}}/prove"),
    Act("rules", "management", "PATCH", "/api/client/settings", {"password": {"history": 5}}),
    Act("export", "management", "GET", "/api/client/audit/export?format=csv", route="/api/client/audit/export"),
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
    """A session and its account. ``ago``: seconds since its proof, None where it has no time; ``opens``: whether it may
    act."""

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
    """A client with an Admin who acts, and the users with whom."""

    app: App
    name: str
    email: str
    numbers: dict[str, int]
    stored: str

    async def session(self, kind: Kind) -> str:
        """The token of a new session of that kind; the account is as the kind has it from then on."""
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
        """``meanwhile``: happens between the head of the request and its body."""

        def filled(text: str) -> str:
            for name, number in self.numbers.items():
                text = text.replace(f"<{name}>", str(number))
            return text

        body = act.body
        if body is not None:
            body = {name: filled(value) if isinstance(value, str) else value for name, value in body.items()}
        if meanwhile is not None and body is None:
            body = {}  # not looked at, and waited for all the same
        return await self.app.send(act.method, filled(act.path), body, token=token, meanwhile=meanwhile)


async def client(app: App, step_up: str) -> Client:
    """A client with that rule, an Admin, and others."""
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
    """The code of a refusal, over REST or GraphQL; empty where it succeeded."""
    if reply.json is None:
        return ""
    if "errors" in reply.json:
        return str(reply.json["errors"][0]["extensions"]["code"])
    return "" if reply.json.get("success", True) else str(reply.json["error"]["code"])
