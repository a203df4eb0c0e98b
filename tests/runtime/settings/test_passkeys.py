"""Passkey settings determine the RP ID, the origins where passkeys work, and where browsers create none."""

from __future__ import annotations

import pytest

from manifest_auth.runtime.settings import (
    Settings,
    SettingsError,
    load,
    passkey_origins,
    passkey_rp_id,
    why_no_passkeys,
)
from tests.support.matrix import matrix

ANDROID = "android:apk-key-hash:" + "A" * 43


def _loaded(public_url: str, **others: str) -> Settings:
    given = {f"MANIFEST_{name.upper()}": value for name, value in others.items()}
    return load({"MANIFEST_PUBLIC_URL": public_url, **given})


def test_without_settings_they_belong_to_the_public_host() -> None:
    settings = _loaded("https://Login.Example.com:8443")
    assert passkey_rp_id(settings) == "login.example.com"
    assert passkey_origins(settings) == ("https://login.example.com:8443",)


def test_a_parent_domain_and_more_origins_below_it_can_be_named() -> None:
    settings = _loaded(
        "https://login.example.com",
        passkey_rp_id="example.com",
        passkey_origins=f"https://app.example.com, https://example.com:444,{ANDROID}",
    )
    assert passkey_rp_id(settings) == "example.com"
    assert passkey_origins(settings) == (
        "https://login.example.com", "https://app.example.com", "https://example.com:444", ANDROID,
    )  # fmt: skip


@matrix("rp_id", ["ogin.example.com", "app.login.example.com", "other.com", "com", "Example.com", ".example.com"])
def test_no_other_domain_can_be_named(rp_id: str) -> None:
    with pytest.raises(SettingsError, match="MANIFEST_PASSKEY_RP_ID"):
        _loaded("https://login.example.com", passkey_rp_id=rp_id)


@matrix(
    "origin",
    ["http://login.example.com", "https://example.com", "https://evil-login.example.com", "https://login.example.com/",
     "https://LOGIN.example.com", "https://login.example.com:443", "https://u@login.example.com", "ios:bundle-id:x",
     "https://login.example.com:x", "android:apk-key-hash:" + "A" * 42],
)  # fmt: skip
def test_no_other_origin_can_be_named(origin: str) -> None:
    with pytest.raises(SettingsError, match="MANIFEST_PASSKEY_ORIGINS"):
        _loaded("https://login.example.com", passkey_origins=origin)


@matrix(
    ("public_url", "why"),
    [
        ("https://login.example.com", ""),
        ("http://localhost:8080", ""),
        ("http://auth.localhost:8080", ""),
        ("http://127.0.0.1:8080", "IP address"),
        ("https://192.0.2.1", "IP address"),
        ("https://[2001:db8::1]", "IP address"),
        ("http://login.example.com", "plain HTTP"),
    ],
)
def test_browsers_make_them_for_names_in_secure_contexts(public_url: str, why: str) -> None:
    found = why_no_passkeys(_loaded(public_url))
    assert bool(found) == bool(why)
    assert why in found
