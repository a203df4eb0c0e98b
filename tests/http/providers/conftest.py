"""Fixtures: a caller who can edit a client's providers, and a stand-in provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.providers.provider_editors import Editor, editor
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.oidc_op import Op, provider


@pytest.fixture
async def admin(app: App) -> Editor:
    """A system admin."""
    return await editor(app, "system admin", await new_client(app))


@pytest.fixture
def op(app: App) -> Iterator[Op]:
    """An OpenID provider with ES256, because its keys are created quickly."""
    with provider(app.clock, alg="ES256") as standing_in:
        yield standing_in
