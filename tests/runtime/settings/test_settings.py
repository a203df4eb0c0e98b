"""Settings come from environment, file, and default; an invalid one stops the start with one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest_auth.maintenance.startup import build_services
from manifest_auth.runtime.settings import Settings, SettingsError, load, variable
from tests.support.commands import run
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY

REMOTE = {"MANIFEST_PUBLIC_URL": "https://auth.example.com"}
WRONG: list[tuple[str, str]] = [
    ("PORT", "eighty"),
    ("TRACING", "yes"),
    ("PORT", "-1"),
    ("PORT", "65536"),
    ("PORT", "80.5"),
    ("WORKERS", "0"),
    ("WORKERS", "many"),
    ("PUBLIC_URL", "auth.example.com"),
    ("PUBLIC_URL", "ftp://auth.example.com"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://auth.example.com/path"),
    ("PUBLIC_URL", "https://user@auth.example.com"),
    ("PUBLIC_URL", "https://auth.example.com:99999"),
    ("PUBLIC_URL", "https://auth.example.com?x=1"),
    ("DATABASE_URL", "mysql://x/y"),
    ("DATABASE_URL", "data.db"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "postgresql://manifest:a,b@one.example,two.example/manifest"),
    ("DATABASE_URL", "postgresql:///manifest?host=one.example,two.example"),
    ("DATABASE_URL", "postgresql://manifest:p@w@db.example/manifest"),
    ("DATABASE_URL", "postgresql://manifest:p/w@db.example/manifest"),
    ("DATABASE_URL", "postgresql://manifest:p#w@db.example/manifest"),
    ("DATABASE_DIRECT_URL", "sqlite:///direct.db"),
    ("DATABASE_DIRECT_URL", "postgresql://db.example/manifest"),  # with a database in a file
    ("DATABASE_WAKE", "on"),
    ("DATABASE_UPGRADE", "later"),
    ("DATABASE_POOL", "1"),
    ("DEPLOYMENT", "cloud"),
    ("ACCESS_TOKEN_TTL", "0"),
    ("ACCESS_TOKEN_TTL", "24h"),
    ("ACCESS_TOKEN_TTL", "99999999999999999999"),
    ("SERVICE_TOKEN_TTL", "59"),
    ("SERVICE_TOKEN_TTL", "3601"),
    ("REFRESH_TOKEN_TTL", "1"),
    ("REFRESH_TOKEN_TTL", "3600"),  # shorter than the access token's
    ("SESSION_IDLE_TTL", "-7"),
    ("REFRESH_GRACE", "301"),
    ("REFRESH_GRACE", ""),
    ("TOKEN_ALGORITHM", "none"),
    ("TOKEN_ALGORITHM", "hs256"),
    ("ARGON2_MEMORY", "0"),
    ("HASH_QUEUE", "0"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("TRUSTED_PROXIES", "proxy.example"),
    ("ADMIN_ADDRESSES", "10.0.0.0/33"),
    ("ADMIN_ADDRESSES", "office.example"),
    ("CLIENT_DELETION_DAYS", "-1"),
    ("CLIENT_DELETION_DAYS", "3651"),
    ("CLIENT_DELETION_AUDIT", "forget"),
    ("AUDIT_DAYS", "-1"),
    ("RATE_LIMITS", "no"),
    ("LOG_LEVEL", "verbose"),
    ("LOG_REQUESTS", "some"),
    ("TRACE_OUTGOING", "https://idp.example"),
    ("METRICS_LISTEN", "9100x"),
    ("METRICS_LISTEN", "127.0.0.1:70000"),
    ("INTROSPECTION", "yes"),
    ("INSECURE_PUBLIC_URL", "yes"),
    ("SHUTDOWN_DRAIN", "-1"),
    ("SHUTDOWN_GRACE", "0"),
    ("OUTGOING_PRIVATE", "yes"),
    ("PROVIDER_TIMEOUT", "0.4"),
    ("PROVIDER_TIMEOUT", "31"),
    ("PROVIDER_TIMEOUT", "nan"),
    ("PROVIDER_TIMEOUT", "soon"),
    ("DOMAIN_PROOF", "both"),
    ("PASSKEY_RP_ID", "example.com"),
    ("PASSKEY_RP_ID", "com"),
    ("PASSKEY_RP_ID", "127.0.0.1"),
    ("PASSKEY_ORIGINS", "https://example.com"),
    ("PASSKEY_ORIGINS", "android:apk-key-hash:abc"),
    ("DNS_SERVERS", "ns.acme.example"),
    ("DNS_SERVERS", "192.0.2.1,,192.0.2.2"),
    ("DNS_SERVERS", "192.0.2.1:0"),
    ("DNS_SERVERS", "192.0.2.1:65536"),
    ("DNS_SERVERS", "[2001:db8::1"),
    ("OPERATOR_EMAIL", "Operator"),
    ("OPERATOR_EMAIL", "a@b.example, c@b.example"),
    ("MICROSOFT_CLOUD", "mars"),
    ("MICROSOFT_APP_ID", "contoso"),
    ("MICROSOFT_APP_ID", "0e0e0e0e-5555-4555-8555-0000000000ee"),  # without its secret
    ("MICROSOFT_APP_SECRET", "without the id"),
    ("FILE_LIMIT", "1023"),
    ("FILE_LIMIT", "2000000000"),
    ("FILE_LIMIT", "1 MiB"),
    ("UPLOAD_QUOTA", "1023"),
    ("UPLOAD_QUOTA", "10 GiB"),
    ("FILES", "s3:///prefix"),
    ("FILES", "https://bucket.example"),
    ("FILES_ENDPOINT", "ftp://s3.example"),
    ("FILES_ACCESS_KEY", "without its secret"),
    ("FILES_SECRET_KEY", "without the access key"),
]


@matrix(("name", "value"), WRONG)
def test_a_wrong_value_is_told_in_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({f"MANIFEST_{name}": value})
    text = str(refused.value)
    assert text.startswith(f"MANIFEST_{name}: ")
    assert "\n" not in text
    assert len(text) < 200


def test_every_setting_with_bounds_is_in_the_table_or_free() -> None:
    free = {
        "files_region",
        "host",
        "data_dir",
        "secret_key",
        "license_public_key",
        "token_issuer",
        "metrics_token",
        "demo_password",
    }
    tried = {name.lower() for name, _ in WRONG}
    alike = {"session_max_ttl", "admin_session_ttl", "admin_access_token_ttl", "argon2_passes", "argon2_lanes"}
    elsewhere = {
        "microsoft_custom_cloud",
        "smtp_url",
        "mail_from",
    }  # see the next test, and tests/runtime/mail/test_mail_settings.py
    assert set(Settings.__struct_fields__) - tried - free - alike - elsewhere <= {"hash_workers"}


@matrix("addresses", ["login=x", "login=https://login.example", "mars=https://mars.example", "https://x"])
def test_a_wrong_cloud_of_the_callers_own_stops_the_start_too(addresses: str, tmp_path: Path) -> None:
    cloud = {"MANIFEST_MICROSOFT_CLOUD": "custom", "MANIFEST_MICROSOFT_CUSTOM_CLOUD": addresses}
    settings = load({"MANIFEST_DATA_DIR": str(tmp_path), **cloud})
    with pytest.raises(SettingsError, match=r"^MANIFEST_MICROSOFT_CUSTOM_CLOUD: .+$"):
        build_services(settings)


@matrix("given", [REMOTE, {"MANIFEST_HOST": "0.0.0.0"}])
def test_rate_limits_are_off_on_loopback_only(given: dict[str, str]) -> None:
    assert load({"MANIFEST_RATE_LIMITS": "off"}).rate_limits == "off"
    with pytest.raises(SettingsError, match="MANIFEST_RATE_LIMITS"):
        load({"MANIFEST_RATE_LIMITS": "off", **given})


@matrix(("name", "meant"), [("MANIFEST_PROT", "MANIFEST_PORT"), ("MANIFEST_ACCESS_TTL", "MANIFEST_ACCESS_TOKEN_TTL")])
def test_an_unknown_variable_gets_a_suggestion(name: str, meant: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: "1"})
    assert str(refused.value) == f"{name} isn't a setting; did you mean {meant}?"


def test_an_unknown_variable_without_a_likeness_gets_none() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"MANIFEST_QQQQQQ": "1"})
    assert str(refused.value) == "MANIFEST_QQQQQQ isn't a setting"


def test_environment_over_file_over_default(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 9001\nworkers = 2\npublic_url = "https://file.example.com"\n')
    loaded = load({"MANIFEST_CONFIG": str(file), "MANIFEST_PORT": "9002"}, workers=3)
    assert (loaded.port, loaded.workers, loaded.public_url) == (9002, 3, "https://file.example.com")
    assert loaded.access_token_ttl == 24 * 3600


def test_the_defaults_are_these() -> None:
    loaded = load({})
    day = 24 * 3600
    assert (loaded.access_token_ttl, loaded.refresh_token_ttl, loaded.session_idle_ttl) == (day, 30 * day, 7 * day)
    assert (loaded.refresh_grace, loaded.deployment, loaded.token_algorithm) == (10, "hosted", "")
    assert (loaded.argon2_memory, loaded.argon2_passes, loaded.argon2_lanes) == (19456, 2, 1)
    assert loaded.database == "sqlite:///data/manifest-auth.db"
    assert loaded.rate_limits == "on"


@matrix(
    ("content", "said"),
    [
        ("prot = 1", "prot isn't a setting; did you mean port?"),
        ("port = 'x'", "settings.toml: port: Expected a whole number"),
        ("port = ", "MANIFEST_CONFIG"),
        ("[server]\nport = 1", "server isn't a setting"),
        ("trusted_proxies = ['10.0.0.0/8']", "settings.toml: trusted_proxies: "),
        ("secret_key_file = 1", "secret_key_file: must be the path of a file"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(content)
    with pytest.raises(SettingsError) as refused:
        load({"MANIFEST_CONFIG": str(file)})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_links_of_kubernetes_to_a_service_named_manifest_are_ignored() -> None:
    links = {"PORT": "tcp://10.0.0.1:80", "SERVICE_HOST": "10.0.0.1", "SERVICE_PORT_HTTP": "80"}
    links |= {"PORT_80_TCP": "tcp://10.0.0.1:80", "PORT_80_TCP_PROTO": "tcp", "SERVICE_PORT": "80"}
    assert load({f"MANIFEST_{name}": text for name, text in links.items()}) == load({})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MANIFEST_CONFIG"):
        load({"MANIFEST_CONFIG": str(tmp_path / "none.toml")})


def test_secrets_are_never_printed() -> None:
    loaded = load(
        {"MANIFEST_SECRET_KEY": SECRET_KEY, "MANIFEST_METRICS_TOKEN": "tok-1", "MANIFEST_DEMO_PASSWORD": "pw-1"}
    )
    for secret in (SECRET_KEY, "tok-1", "pw-1"):
        assert secret not in repr(loaded)
        assert secret not in str(loaded)


def test_every_setting_says_what_it_is_for() -> None:
    text = Path("docs/settings.md").read_text("utf-8")
    for field in Settings.__struct_fields__:
        assert f"`{variable(field)}`" in text


START: list[tuple[dict[str, str], str]] = [
    ({"MANIFEST_PORT": "x"}, "MANIFEST_PORT"),
    ({"MANIFEST_PROT": "1"}, "MANIFEST_PROT isn't a setting; did you mean MANIFEST_PORT?"),
    ({"MANIFEST_SECRET_KEY": "changeme"}, "MANIFEST_SECRET_KEY"),
    ({"MANIFEST_SECRET_KEY": "0" * 64}, "MANIFEST_SECRET_KEY"),
    ({"MANIFEST_SECRET_KEY": "0123456789abcdef" * 2}, "MANIFEST_SECRET_KEY"),
    ({"MANIFEST_SECRET_KEY": "short", "MANIFEST_WORKERS": "2"}, "MANIFEST_SECRET_KEY"),
    ({"MANIFEST_DATABASE_URL": "postgresql://localhost/x"}, "MANIFEST_SECRET_KEY: required with PostgreSQL"),
    ({"MANIFEST_DEPLOYMENT": "on-premise"}, "MANIFEST_LICENSE_PUBLIC_KEY: required"),
    ({"MANIFEST_DEPLOYMENT": "on-premise", "MANIFEST_LICENSE_PUBLIC_KEY": "abc"}, "MANIFEST_LICENSE_PUBLIC_KEY"),
    ({"MANIFEST_HOST": "999.1.1.1", **REMOTE}, "MANIFEST_HOST: can't listen"),
    ({"MANIFEST_METRICS_LISTEN": "192.0.2.9:9100"}, "MANIFEST_METRICS_LISTEN: can't listen"),
]


@pytest.mark.processes
@rule("KEY-STRENGTH", "SETTINGS-SAFE")
@matrix(("settings", "said"), START, ids=lambda v: v if isinstance(v, str) else "")
def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    result = run(tmp_path, "serve", **settings)
    assert result.status == 2
    assert result.line.startswith(said)
    assert result.out == ""
    assert "Traceback" not in result.err
    if secret := settings.get("MANIFEST_SECRET_KEY"):
        assert secret not in result.err
