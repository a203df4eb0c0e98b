"""Limits are listed here as numbers.

Tests that read a limit from the code wouldn't notice a change.
"""

from __future__ import annotations

import importlib

from tests.support.matrix import matrix

KIB = 1024
LIMITS = {
    "api.graphql.lists": {"MOST": 100},
    "api.graphql.limits": {
        "MAX_LENGTH": 32 * KIB,
        "MAX_TOKENS": 2000,
        "MAX_DEPTH": 12,
        "MAX_FIELDS": 500,
        "MAX_ALIASES": 30,
        "MAX_ROOT_FIELDS": 20,
        "MAX_ARGUMENTS": 200,
        "MAX_VARIABLES": 100,
        "MAX_VALUES": 2000,
        "MAX_DIRECTIVES": 50,
        "MAX_DEFINITIONS": 20,
        "MAX_INTROSPECTIONS": 2,
        "MAX_INTROSPECTION_DEPTH": 16,
        "MAX_REPEATS": 20,
    },
    "licence.gate": {"SKEW_MS": 5 * 60_000},
    "licence.licence": {"MAX_LENGTH": 8 * KIB},
    "protocols.microsoft": {"MAX_LENGTH": 16 * KIB, "SKEW_S": 60},
    "protocols.oidc.person_claims": {"MAX_LENGTH": 16 * KIB, "MAX_SUBJECT": 255, "SKEW_S": 60},
    "protocols.oidc.client": {"MOST": 1000},
    "protocols.oidc.discovery": {"MOST": 100},
    "accounts.password_rules": {"MOST": 256},
    "providers.providers": {"MOST": 50},
    "protocols.saml.document": {"LARGEST": 256 * KIB, "SKEW_MS": 60_000},
    "sessions.principals": {"MOST": 100_000},
    "sign_in.exchange_codes": {"LIFE_MS": 60_000},
    "sign_in.providers.entra": {"KEEP_MS": 5 * 60_000},
    "throttle.limits": {"FLOW_LIFE_S": 600},
    "sessions.tokens.access": {
        "MAX_LENGTH": 8 * KIB,
        "SKEW_S": 60,
        "MOST_BYTES": 48 * KIB * KIB,
        "MOST_ADMIN_BYTES": KIB * KIB,
    },
    "audit.events": {"MOST_DOUBTS": 8, "MOST_REMEMBERED": 10_000},
}


@matrix("module", LIMITS)
def test_the_limits_are_unchanged(module: str) -> None:
    found = importlib.import_module(f"manifest_auth.{module}")
    assert {name: getattr(found, name) for name in LIMITS[module]} == LIMITS[module]
