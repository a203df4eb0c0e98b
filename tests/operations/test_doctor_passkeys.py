"""``doctor`` and the start report where passkeys don't work, and how many a new public address makes unusable."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog
from structlog.testing import capture_logs

from manifest_auth.maintenance.doctor.environment import Finding, passkey_findings
from manifest_auth.runtime.settings import Settings, load
from manifest_auth.sign_in.passkeys import ceremonies
from tests.support.application import App, running
from tests.support.matrix import matrix
from tests.support.passkeys import PUBLIC, with_passkey

HERE = PUBLIC["MANIFEST_PUBLIC_URL"]


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, **PUBLIC) as application:
        yield application


def _settings(public_url: str, **others: str) -> Settings:
    return load({"MANIFEST_PUBLIC_URL": public_url, **others})


async def _found(app: App, settings: Settings) -> list[Finding]:
    return await passkey_findings(settings, app.services.store)


async def test_where_none_was_made_all_is_well(app: App) -> None:
    assert await _found(app, _settings(HERE)) == [("ok", "passkeys: they belong to login.example.com")]
    parent = _settings(HERE, MANIFEST_PASSKEY_RP_ID="example.com")
    assert await _found(app, parent) == [("ok", "passkeys: they belong to example.com")]


async def test_where_browsers_make_none_it_is_a_note(app: App) -> None:
    [(level, text)] = await _found(app, _settings("http://127.0.0.1:8080"))
    assert (level, "IP address" in text) == ("note", True)


@pytest.mark.processes
async def test_a_new_address_that_voids_passkeys_is_bad_and_counts_them(app: App) -> None:
    await with_passkey(app)
    await with_passkey(app)
    [(level, text)] = await _found(app, _settings("https://auth.other.example"))
    assert (level, text.startswith("passkeys: 2 were created for login.example.com")) == ("bad", True)
    assert [level for level, _ in await _found(app, _settings("https://192.0.2.1"))] == ["bad", "note"]
    assert [level for level, _ in await _found(app, _settings(HERE))] == ["ok"]
    parent = _settings(HERE, MANIFEST_PASSKEY_RP_ID="example.com")
    [(level, text)] = await _found(app, parent)
    assert (level, "is ignored" in text) == ("note", True)


@pytest.mark.processes
@matrix(
    ("public_url", "events"),
    [
        (HERE, []),
        ("https://new.login.example.com", []),
        ("https://auth.other.example", ["passkeys_void"]),
        ("https://192.0.2.1", ["passkeys_off", "passkeys_void"]),
    ],
)
async def test_the_start_says_so(app: App, public_url: str, events: list[str]) -> None:
    await with_passkey(app)
    with capture_logs() as lines:
        await ceremonies.log_state(app.services.store, _settings(public_url), structlog.get_logger())
    assert [line["event"] for line in lines] == events
