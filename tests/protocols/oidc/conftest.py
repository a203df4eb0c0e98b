"""Fixture ``rp``: a relying party, a provider on a real socket, and one clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from manifest_auth.protocols.oidc import Client
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.settings import load
from tests.protocols.oidc.relying_party import RelyingParty
from tests.support.application import FrozenClock
from tests.support.oidc_op import provider


@pytest.fixture
async def rp(request: pytest.FixtureRequest) -> AsyncIterator[RelyingParty]:
    """A relying party with ES256, because its keys are created quickly; tests of another algorithm set it. Providers
    have half a minute, or the time in the mark ``settings``."""
    clock = FrozenClock()
    mark = request.node.get_closest_marker("settings")
    outgoing = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30", **(mark.kwargs if mark else {})}))
    with provider(clock, alg="ES256") as op:
        yield RelyingParty(op, clock, outgoing, Client(outgoing, clock))
    await outgoing.close()
