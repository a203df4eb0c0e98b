"""One-time links as the server makes and stores them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from manifest_auth import tenants
from manifest_auth.accounts import one_time_links, users
from manifest_auth.licence import UNCOUNTED
from manifest_auth.store import SystemUnit
from tests.support.application import App
from tests.support.team import Team


def links_made(patch: pytest.MonkeyPatch) -> list[str]:
    """From now on: the token of each one-time link that the server makes."""
    tokens: list[str] = []
    make = one_time_links.make

    def noted(unit: Any, user_id: int, purpose: Any, token: str, *rest: Any, **more: Any) -> int:
        tokens.append(token)
        return make(unit, user_id, purpose, token, *rest, **more)

    patch.setattr(one_time_links, "make", noted)
    return tokens


@contextlib.contextmanager
def random_texts(app: App) -> Iterator[list[str]]:
    """The random texts that the server makes meanwhile: tokens, names of sessions and requests."""
    made: list[str] = []
    original = app.services.random.text

    def text(count: int = 16) -> str:
        made.append(original(count))
        return made[-1]

    with mock.patch.object(app.services.random, "text", text):
        yield made


async def become_admin_past_the_server(team: Team, user_id: int, token: str) -> None:
    """The user has the role Admin as the store has it, and the link with this token is open, as an Admin's never is."""

    def give(unit: SystemUnit) -> None:
        tenant = tenants.find(unit, team.client)
        assert tenant is not None
        own = unit.of(tenant.id)
        users.set_roles(own, UNCOUNTED, users.get(own, user_id, lock=True), 1, lambda unit, user: None)
        found = one_time_links.find(own, token)
        assert found is not None
        assert found.used_at is None

    await team.app.services.store.write(give)
