"""The GraphQL explorer is available where introspection is allowed, loads no external files, and contains no data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.application import App, running
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store


async def test_the_page_and_what_it_can_load(app: App) -> None:
    reply = await app.get("/explorer")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert (policy["base-uri"], policy["form-action"]) == ("'none'", "'none'")
    for source in (policy["script-src"], policy["style-src"]):
        assert re.fullmatch(r"'sha256-[\w+/]{43}='", source)
    assert "set-cookie" not in reply.headers
    assert not re.search(r"https?://|\bsrc=|<link|@import|localStorage|innerHTML", reply.text)
    assert (await app.send("HEAD", "/explorer")).status == 200


@matrix(
    ("settings", "is_there"),
    [
        ({}, True),
        ({"MANIFEST_INTROSPECTION": "off"}, False),
        ({"MANIFEST_PUBLIC_URL": "https://auth.example.com"}, False),
        ({"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_INTROSPECTION": "on"}, True),
    ],
)
async def test_it_follows_the_switch_of_introspection(tmp_path: Path, settings: dict[str, str], is_there: bool) -> None:
    async with running(f"sqlite:///{tmp_path / 'one.db'}", **settings) as app:
        for token in (None, (await app.sign_in(client="acme")).data["token"]):
            reply = await app.get("/explorer", token=token)
            if is_there:
                assert (reply.status, "GraphQL explorer" in reply.text) == (200, True)
            else:
                check_refusal(reply, 404, "NOT_FOUND")
                assert "html" not in reply.headers["content-type"]
