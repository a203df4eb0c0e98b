"""GraphQL mutations on users, and helpers for their tests."""

from __future__ import annotations

from typing import Any

from tests.support.accounts import Recorded, trail
from tests.support.application import App, Reply
from tests.support.team import Team

USER = "{ id email firstName lastName title description isActive roles { name } }"
_LINK = f"{{ user {USER} link sent expiresAt }}"
INVITE = f"mutation($input: InviteUserInput!) {{ inviteUser(input: $input) {_LINK} }}"
RENEW = f"mutation($id: Int!) {{ renewInvitation(userId: $id) {_LINK} }}"
ADD = f"mutation($input: AddUserInput!) {{ addUser(input: $input) {USER} }}"
UPDATE = f"mutation($id: Int!, $input: UpdateUserInput!) {{ updateUser(id: $id, input: $input) {USER} }}"
SET_ROLES = f"mutation($id: Int!, $roles: [String!]!) {{ setUserRoles(userId: $id, roles: $roles) {USER} }}"
DEACTIVATE = f"mutation($id: Int!) {{ deactivateUser(id: $id) {USER} }}"
RESTORE = f"mutation($id: Int!) {{ restoreUser(id: $id) {USER} }}"
END = "mutation($id: Int!) { endUserSessions(userId: $id) }"
RESET = f"mutation($id: Int!) {{ resetUserPassword(userId: $id) {_LINK} }}"
RESET_FACTORS = (
    "mutation($id: Int!, $reason: String!) { resetUserFactors(userId: $id, reason: $reason) { factors sessions } }"
)
#: Every mutation on an existing user, with valid arguments.
ON_SOMEBODY: dict[str, tuple[str, dict[str, Any]]] = {
    "renewInvitation": (RENEW, {}),
    "updateUser": (UPDATE, {"input": {"title": "Changed"}}),
    "setUserRoles": (SET_ROLES, {"roles": ["Operator"]}),
    "deactivateUser": (DEACTIVATE, {}),
    "restoreUser": (RESTORE, {}),
    "endUserSessions": (END, {}),
    "resetUserPassword": (RESET, {}),
    "resetUserFactors": (RESET_FACTORS, {"reason": "Lost phone"}),
}

NEW = "granite-otter-47-lantern"
ACCEPT, RESET_PATH, FORGOT = (
    f"/api/client/auth/{path}" for path in ("invitations/accept", "password/reset", "password/forgot")
)


def role_names_of(user: dict[str, Any]) -> list[str]:
    return [role["name"] for role in user["roles"]]


def token_in(handed: dict[str, Any]) -> str:
    """The token in a link that was returned."""
    page, _, token = handed["link"].partition("#")
    assert page.endswith("/welcome")
    assert len(token) == 32  # 192 random bits
    return str(token)


async def accept(app: App, token: str, password: str = NEW, **options: Any) -> Reply:
    return await app.post(ACCEPT, {"token": token, "password": password}, **options)


async def reset(app: App, token: str, password: str = NEW, **options: Any) -> Reply:
    return await app.post(RESET_PATH, {"token": token, "newPassword": password}, **options)


async def invited(team: Team, email: str = "", *roles: str, by: str = "Admin") -> tuple[int, str]:
    """A new user with an open invitation; returns ID and token."""
    email = email or f"new-{len(await events(team, 'user_created'))}@{team.client}.example"
    handed = await team.ask(by, INVITE, input={"email": email, "roles": list(roles or ("Viewer",))})
    return int(handed["user"]["id"]), token_in(handed)


async def started_reset(team: Team, user_id: int, by: str = "Admin") -> str:
    """The token of an open reset link."""
    return token_in(await team.ask(by, RESET, id=user_id))


async def events(team: Team, name: str) -> list[Recorded]:
    """The audit events with this name, oldest first."""
    return [event for event in await trail(team.app, team.client) if event.event == name]


async def directory(team: Team, user_id: int) -> dict[str, Any]:
    """A user as any other user sees them."""
    found: dict[str, Any] = await team.ask("Viewer", f"query($id: Int!) {{ user(id: $id) {USER} }}", id=user_id)
    return found
