"""Actions of a crowd's clients, as endless loops of requests with results that a ledger can check."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import time
from typing import Any

from manifest_auth.permissions import Role, mask_of
from tests.kills.crowd import Crowd, Cut
from tests.processes.node_client import AUTH
from tests.support import jobs as j
from tests.support import templates as t
from tests.support import user_management as m
from tests.support.server import DEMO_PASSWORD

_ROLES = [[Role.VIEWER], [Role.OPERATOR], [Role.AUTHOR, Role.VIEWER], [Role.PUBLISHER]]
_names = itertools.count(1)
_PNG = b"\x89PNG\r\n\x1a\n"


def everybody(crowd: Crowd, template: int) -> list[Any]:
    """The actors of one crowd, who work on jobs of ``template``."""
    emails = ("author", "viewer", "approver")
    return [
        *(visitor(crowd, f"{email}@acme.example") for email in emails),
        *(operator(crowd, template) for _ in range(2)),
        user_admin(crowd),
        own_password(crowd, "publisher@acme.example"),
        system_admin(crowd),
    ]


def session_of(token: str) -> str:
    """The session ID in an access token."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"])


async def sign_in(crowd: Crowd, email: str, password: str = DEMO_PASSWORD, **options: Any) -> Any:
    """Sign in; returns the response's data. Raises Cut; a session that nobody holds can then be open."""
    body = {"email": email, "password": password}
    found = await crowd.ask("POST", f"{AUTH}/sign-in", body, event="signed_in", **options)
    if found is not None:
        crowd.ledger.is_now(("session", session_of(found["token"])), "open")
    return found


async def surely_in(crowd: Crowd, email: str) -> str:
    """The access token of a user who stays signed in."""
    while True:
        try:
            return str((await sign_in(crowd, email))["token"])
        except Cut:
            continue


async def visitor(crowd: Crowd, email: str) -> None:
    """Sign in, refresh several times, and sign out. A refresh without a response is repeated with the same token."""
    while crowd.goes_on:
        try:
            held = await sign_in(crowd, email)
        except Cut:
            continue
        token, session = held["token"], session_of(held["token"])
        crowd.signed_in.append((session, token))
        for _ in range(crowd.chance.randrange(4)):
            body = {"refreshToken": held["refreshToken"]}
            held = await crowd.surely("POST", f"{AUTH}/refresh", body)
        if crowd.chance.random() < 0.2:
            continue  # leaves without signing out
        crowd.ledger.may_be(("session", session), "ended")
        try:
            await crowd.ask("POST", f"{AUTH}/sign-out", token=token, event="signed_out")
        except Cut:
            continue
        crowd.ledger.is_now(("session", session), "ended")
        crowd.signed_out.append(token)


async def operator(crowd: Crowd, template: int) -> None:
    """Work on jobs from start to end, until a response is missing, and then on another job."""
    token = await surely_in(crowd, "operator@acme.example")
    while crowd.goes_on:
        try:
            await _job(crowd, token, template)
        except Cut:
            continue


async def _job(crowd: Crowd, token: str, template: int) -> None:
    job = (await crowd.graphql(j.ADD, token, input={"templateId": template}))["id"]
    crowd.ledger.is_now(("job", job), "UNASSIGNED")
    crowd.ledger.is_now(("steps done", job), 0)
    await _move(crowd, ("job", job), "IN_PROGRESS", j.START, token, id=job)
    for step in range(1, len(j.STEPS) + 1):
        text = f"{job} {step}"
        content = _PNG + text.encode()
        sent: dict[str, Any] = {"headers": {"Content-Type": "image/png"}, "content": content}
        sent["allowed"] = {"RATE_LIMITED"}  # uploads interrupted by a kill count until they expire
        file = await crowd.ask("POST", f"/api/client/files?name={job}.png", token=token, **sent)
        crowd.ledger.is_now(("file", file["id"]), hashlib.sha256(content).hexdigest())
        record = await crowd.graphql(j.RECORDS, token, id=job, step=step, input={"text": text})
        crowd.ledger.is_now(("record", job, record["number"]), text)
        await _move(crowd, ("steps done", job), step, j.STEP_DONE, token, id=job, step=step)
    await _move(crowd, ("job", job), "COMPLETED", j.COMPLETE, token, id=job)


async def user_admin(crowd: Crowd) -> None:
    """Create users, and change their roles."""
    token = await surely_in(crowd, "user-admin@acme.example")
    while crowd.goes_on:
        email = f"new-{next(_names)}@acme.example"
        given = {"email": email, "roles": ["Viewer"]}
        try:
            user = (await crowd.graphql(m.ADD, token, "user_created", input=given))["id"]
            crowd.ledger.is_now(("e-mail", user), email)
            crowd.ledger.is_now(("roles", user), mask_of([Role.VIEWER]))
            for _ in range(3):
                roles = crowd.chance.choice(_ROLES)
                names = [role.value for role in roles]
                await _move(crowd, ("roles", user), mask_of(roles), m.SET_ROLES, token, id=user, roles=names)
        except Cut:
            continue


async def _move(crowd: Crowd, key: tuple[Any, ...], value: Any, document: str, token: str, **variables: Any) -> None:
    crowd.ledger.may_be(key, value)
    await crowd.graphql(document, token, **variables)
    crowd.ledger.is_now(key, value)


async def own_password(crowd: Crowd, email: str) -> None:
    """Change the password repeatedly. After a missing response, the next sign-in shows which of the two is valid."""
    held, wanted = DEMO_PASSWORD, ""
    while crowd.goes_on:
        found = None
        # A change without a response can still wait for a standby, and take effect between two attempts.
        for tried in [wanted, held, wanted] if wanted else [held]:
            if found := await _surely_in_or_refused(crowd, email, tried):
                held = tried
                break
        assert found is not None, f"the password of {email} that was answered last does not sign in any more"
        wanted = f"granite-otter-{next(_names)}-lantern-{crowd.chance.randrange(10**9)}"
        body = {"currentPassword": held, "newPassword": wanted}
        try:
            await crowd.ask("POST", f"{AUTH}/password", body, found["token"], "password_changed")
        except Cut:
            continue
        held, wanted = wanted, ""


async def _surely_in_or_refused(crowd: Crowd, email: str, password: str) -> Any:
    while True:
        try:
            return await _forgettable(crowd, email, password)
        except Cut:
            continue


async def _forgettable(crowd: Crowd, email: str, password: str) -> Any:
    """Sign in with a session that a password change can end: the event is checked, but not the session's state."""
    body = {"email": email, "password": password}
    return await crowd.ask("POST", f"{AUTH}/sign-in", body, event="signed_in", may_refuse=True)


async def system_admin(crowd: Crowd) -> None:
    """Create clients, and rename them."""
    body = {"username": "admin", "password": DEMO_PASSWORD}
    token, until = "", 0.0
    while crowd.goes_on:
        if time.monotonic() > until:  # a system admin's token is valid for fifteen minutes
            until = time.monotonic() + 600
            token = (await crowd.surely("POST", "/api/admin/auth/sign-in", body))["token"]
        identifier = f"firm-{next(_names)}"
        path, key = f"/api/admin/clients/{identifier}", ("client", identifier)
        given = {"identifier": identifier, "name": "First"}
        try:
            await crowd.ask("POST", "/api/admin/clients", given, token, "client_created")
            crowd.ledger.is_now(key, "First")
            for name in ("Second", "Third"):
                crowd.ledger.may_be(key, name)
                await crowd.ask("PATCH", path, {"name": name}, token, "client_changed")
                crowd.ledger.is_now(key, name)
        except Cut:
            continue


async def published_template(crowd: Crowd) -> int:
    """The ID of a template for new jobs."""
    token = await surely_in(crowd, "admin@acme.example")
    template = await crowd.graphql(t.ADD, token, input={"name": "Valve check", "steps": j.STEPS})
    for document in (t.SUBMIT, t.APPROVE, t.PUBLISH):
        await crowd.graphql(document, token, id=template["latestVersion"]["id"])
    return int(template["id"])
