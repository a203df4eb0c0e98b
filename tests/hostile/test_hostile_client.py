"""A hostile client against two honest ones: nobody becomes another user, in another client or above their rank."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator

import pytest

from manifest_auth.runtime.settings import Settings
from tests.hostile import (
    account_attacks,
    callback_attacks,
    directory_attacks,
    domain_attacks,
    planted_attacks,
    trust_attacks,
)
from tests.hostile.scenario import ATTACKS, scenario_in
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, setup_on
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store

MODULES = (callback_attacks, directory_attacks, domain_attacks, account_attacks, planted_attacks, trust_attacks)


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
async def setup(database_url: str, mail: MailServer) -> AsyncIterator[MicrosoftSetup]:
    given = {"MANIFEST_TRUSTED_PROXIES": "192.0.2.1", **mail.settings}
    if "upload_quota" in inspect.signature(Settings).parameters:
        given["MANIFEST_UPLOAD_QUOTA"] = "200000"
    async with setup_on(database_url, **given) as found:
        yield found


def test_there_are_forty_listed_attacks() -> None:
    assert len(ATTACKS) >= 40
    assert sum(not is_guard for _, is_guard in ATTACKS.values()) >= 30


@matrix("name", ATTACKS)
async def test_no_attack_succeeds(setup: MicrosoftSetup, mail: MailServer, name: str) -> None:
    run, _ = ATTACKS[name]
    async with scenario_in(setup, mail) as scenario:
        assert not await run(scenario), f"{name} succeeded"
