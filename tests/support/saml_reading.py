"""Observes how the server reads SAML responses: in which threads, and one that takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from manifest_auth.protocols import saml
from tests.support.application import App


def most_at_once(app: App) -> int:
    """So many responses are read at once."""
    return app.services.saml_thread.most


def threads_of_reading(patch: pytest.MonkeyPatch) -> list[str]:
    """From now on: in which thread each response was read or verified."""
    seen: list[str] = []

    def watched(name: str) -> None:
        original: Callable[..., Any] = getattr(saml, name)

        def work(*given: Any) -> Any:
            where = "the loop" if threading.current_thread() is threading.main_thread() else "a thread"
            seen.append(f"{name.removesuffix('_response')} in {where}")
            return original(*given)

        patch.setattr(saml, name, work)

    watched("read_response")
    watched("verify")
    return seen


def reading_waits(patch: pytest.MonkeyPatch) -> threading.Event:
    """From now on responses are read once this is set."""
    original, go_on = saml.read_response, threading.Event()

    def slow(encoded: str) -> Any:
        assert go_on.wait(30)
        return original(encoded)

    patch.setattr(saml, "read_response", slow)
    return go_on
