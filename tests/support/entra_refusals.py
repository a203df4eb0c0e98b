"""The server's memory of refused Entra ID tokens."""

from __future__ import annotations

import pytest

from manifest_auth.sign_in.providers import entra_bearer
from manifest_auth.sign_in.providers.entra_bearer import EntraTokens
from tests.support.application import App


def _failures(app: App) -> entra_bearer.Failures:
    assert isinstance(app.services.entra, EntraTokens)
    return app.services.entra._failures


def addresses_remembered(app: App) -> int:
    """From how many addresses refused tokens came, as far as memory goes."""
    return len(_failures(app)._turns)


def refusals_remembered(app: App) -> int:
    """Of how many tokens it is known that they are refused."""
    return len(_failures(app)._refused)


def few_refusals_remembered(patch: pytest.MonkeyPatch, most: int) -> None:
    """So many, and no more."""
    patch.setattr(entra_bearer, "MOST_REFUSED", most)
