"""Fixtures: a client's SAML provider."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.single_sign_on import SamlProvider, saml_provider


@pytest.fixture(scope="module")
async def okta(app: App) -> SamlProvider:
    """The provider of ``acme``, shared by a module's tests."""
    return await saml_provider(app)
