"""A listener reachable from other machines requires an https public address, or a setting that allows insecure use."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from manifest_auth.http import uvicorn_server
from manifest_auth.runtime.settings import SettingsError, check_listener, load
from tests.support.commands import run
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.server import served

ALLOWED = {"MANIFEST_INSECURE_PUBLIC_URL": "allowed"}
CONTAINER = {"MANIFEST_INSECURE_PUBLIC_URL": "loopback", "MANIFEST_HOST": "0.0.0.0"}
INSECURE = [
    "http://127.0.0.1:8080",
    "https://localhost:8443",
    "http://auth.example.com",
    "HTTP://auth.example.com",
    "http://192.0.2.7:8080",
]
REACHABLE = ["0.0.0.0", "::", "", "192.0.2.7", "auth.example.com", "::ffff:0.0.0.0", "0", "*"]


@rule("DEVIATION-COOKIE-NAME")
@matrix("host", REACHABLE)
@matrix("url", INSECURE)
def test_an_insecure_public_address_is_rejected_where_others_reach_the_listener(host: str, url: str) -> None:
    given = {"MANIFEST_HOST": host, "MANIFEST_PUBLIC_URL": url}
    with pytest.raises(SettingsError) as refused:
        check_listener(load(given))
    text = str(refused.value)
    assert text.startswith("MANIFEST_PUBLIC_URL: ")
    assert "MANIFEST_INSECURE_PUBLIC_URL=allowed" in text
    assert url in text
    assert "\n" not in text
    check_listener(load({**given, **ALLOWED}))


@matrix("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
@matrix("url", INSECURE)
def test_a_loopback_listener_might_have_any_public_address(host: str, url: str) -> None:
    check_listener(load({"MANIFEST_HOST": host, "MANIFEST_PUBLIC_URL": url}))


@matrix("url", INSECURE)
def test_a_container_serves_no_insecure_public_address_but_loopback(url: str) -> None:
    loaded = load({**CONTAINER, "MANIFEST_PUBLIC_URL": url})
    if loaded.is_loopback:
        check_listener(loaded)
        assert not loaded.introspects
        assert loaded.is_local_container
    else:
        with pytest.raises(SettingsError, match="MANIFEST_PUBLIC_URL"):
            check_listener(loaded)
        assert not loaded.is_local_container


def test_a_container_is_at_localhost_unless_told_otherwise(tmp_path: Path) -> None:
    assert load(CONTAINER).public_url == "http://localhost:8080"
    (tmp_path / "file").write_text('public_url = "https://auth.example.com"')
    assert load({**CONTAINER, "MANIFEST_CONFIG": str(tmp_path / "file")}).public_url == "https://auth.example.com"


@matrix("host", REACHABLE)
def test_a_public_address_of_https_is_served_everywhere(host: str) -> None:
    check_listener(load({"MANIFEST_HOST": host, "MANIFEST_PUBLIC_URL": "https://auth.example.com"}))


def test_a_cookie_is_secure_unless_the_address_is_plain_http_however_it_is_spelled() -> None:
    assert not load({"MANIFEST_PUBLIC_URL": "HTTP://auth.example.com"}).secure_cookies
    assert load({"MANIFEST_PUBLIC_URL": "HTTPS://auth.example.com"}).secure_cookies


@pytest.mark.processes
@matrix(
    ("arguments", "settings"),
    [
        (("--host", "0.0.0.0"), {}),
        (("--host", "0.0.0.0", "--port", "0"), {}),
        (("--host", "0.0.0.0"), {"MANIFEST_PUBLIC_URL": "http://auth.example.com"}),
        ((), {"MANIFEST_HOST": "::"}),
        ((), {"MANIFEST_HOST": "0.0.0.0", "MANIFEST_WORKERS": "2"}),
    ],
)
def test_such_a_start_is_rejected_with_one_line_and_leaves_nothing(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str]
) -> None:
    result = run(tmp_path, "serve", *arguments, **settings)
    assert result.status == 2
    assert result.line.startswith("MANIFEST_PUBLIC_URL: ")
    assert result.out == ""
    assert not (tmp_path / "data").exists()


def test_the_only_function_that_listens_rejects_too() -> None:
    with pytest.raises(SettingsError, match="MANIFEST_INSECURE_PUBLIC_URL"):
        uvicorn_server.run(load({"MANIFEST_HOST": "0.0.0.0"}))


@pytest.mark.processes
def test_who_allows_it_is_served_but_for_metrics(tmp_path: Path) -> None:
    with served(tmp_path, demo=False, **CONTAINER) as server:  # type: ignore[arg-type]
        with urllib.request.urlopen(f"{server.base}/readyz", timeout=60) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server.base}/metrics", timeout=60)


@pytest.mark.processes
def test_doctor_says_that_it_would_not_start(tmp_path: Path) -> None:
    shown = run(tmp_path, "doctor", MANIFEST_HOST="0.0.0.0")
    assert shown.status == 1
    assert "MANIFEST_INSECURE_PUBLIC_URL=allowed" in shown.out
