"""The page that one-time links open, and the request with which it asks what the link is for."""

from __future__ import annotations

import base64
import hashlib
import re

from tests.support.accounts import settle
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.team import new_team
from tests.support.user_management import invited, started_reset

LOOK = "/api/client/auth/link"


async def test_what_the_link_is_good_for_is_told_to_its_holder(app: App) -> None:
    team = await new_team(app)
    await settle(
        team.app, team.client, password={"characterClasses": 2}, returnAddresses=["app.x:/in", "https://a.example/in"]
    )
    user_id, token = await invited(team, "holder@engines.example")
    told = check_success(await team.app.post(LOOK, {"token": token}))
    assert told.pop("expiresAt").endswith("Z")
    assert told == {
        "purpose": "invitation",
        "email": "holder@engines.example",
        "client": {"identifier": team.client, "name": team.client},
        "password": {"minLength": 15, "maxLength": 256, "characterClasses": 2},
        "message": "",
        "providers": [],
        "returnTo": "https://a.example/in",
    }
    told = check_success(await team.app.post(LOOK, {"token": await started_reset(team, user_id)}))
    assert (told["purpose"], told["providers"]) == ("reset", [])


async def test_the_page_runs_one_script_and_loads_nothing(app: App) -> None:
    reply = await app.get("/welcome")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    check_headers_of_a_page(reply)
    policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
    for kind in ("script", "style"):
        [inside] = re.findall(f"<{kind}>(.*?)</{kind}>", reply.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert policy.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert policy.pop("connect-src") == "'self'"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy) >= {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set(policy.values()) == {"'none'"}
    assert not re.search(r"""\b(src|href|action|on\w+)\s*=\s*["']""", reply.text)


def check_headers_of_a_page(reply: Reply) -> None:
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["x-content-type-options"] == "nosniff"
