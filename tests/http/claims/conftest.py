"""Fixtures: name servers for claimed domains, and an Admin who verifies a Microsoft directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.microsoft.directory_prover import GLOBAL, Prover, prover_of
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.application import App
from tests.support.background_jobs import domain_checks_stand_still
from tests.support.domain_claims import asking
from tests.support.name_servers import NameServer


@pytest.fixture(scope="module")
def zone() -> Iterator[NameServer]:
    """A name server that serves the records a test publishes."""
    with NameServer() as server:
        yield server


@pytest.fixture(scope="module")
def no_own_checks() -> Iterator[None]:
    """Keep the server from checking records on its own, so that tests decide when it does."""
    with domain_checks_stand_still():
        yield


@pytest.fixture
def asked(app: App, zone: NameServer) -> Iterator[None]:
    """The application queries :func:`zone` for records."""
    with asking(app, zone.address):
        yield


@pytest.fixture
async def prover(setup: MicrosoftSetup) -> Prover:
    """An Admin who is a Global Administrator at Microsoft."""
    setup.microsoft.id_claims = {"wids": [GLOBAL]}
    return await prover_of(setup)
