"""Secrets and database addresses can be in files: ``MANIFEST_…_FILE``, and systemd credentials."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Sealer, secret_keys
from manifest_auth.runtime.settings import FILE_FIELDS, Secret, Settings, SettingsError, load
from tests.support.commands import run_here
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY

OTHER_KEY = SECRET_KEY[::-1]


def placed(folder: Path, text: str | bytes, name: str = "value") -> str:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder / name)


def test_every_secret_can_be_a_file() -> None:
    hints = get_type_hints(Settings)
    assert {field for field, kind in hints.items() if kind == Secret | None} < FILE_FIELDS
    assert {"database_url", "database_direct_url"} <= FILE_FIELDS


@matrix(
    "field", sorted(FILE_FIELDS - {"secret_key", "microsoft_app_secret", "files_secret_key", "database_direct_url"})
)
@matrix("end", ["", "\n", "\r\n"])
def test_a_file_of_its_own_gives_a_value_in_each_way(tmp_path: Path, field: str, end: str) -> None:
    value = "sqlite:///a.db" if "database" in field else "  top $ecret  "
    name, path = f"MANIFEST_{field.upper()}", placed(tmp_path, f"{value}{end}", f"MANIFEST_{field.upper()}")
    config = placed(tmp_path, f'{field}_file = "{path}"', "settings.toml")
    ways = ({f"{name}_FILE": path}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}, {"MANIFEST_CONFIG": config})
    for environ in ways:
        found = getattr(load(environ), field)
        assert (found.reveal() if isinstance(found, Secret) else found) == value


@rule("SETTINGS-SAFE")
@matrix("ways", [("variable", "file"), ("variable", "credential"), ("file", "credential"), ("toml", "file")])
def test_two_sources_stop_the_start_without_a_value(tmp_path: Path, ways: tuple[str, ...]) -> None:
    path = placed(tmp_path, "token-1", "MANIFEST_METRICS_TOKEN")
    given = {
        "variable": {"MANIFEST_METRICS_TOKEN": "token-1"},
        "file": {"MANIFEST_METRICS_TOKEN_FILE": path},
        "credential": {"CREDENTIALS_DIRECTORY": str(tmp_path)},
        "toml": {"MANIFEST_CONFIG": placed(tmp_path, 'metrics_token = "token-1"', "settings.toml")},
    }
    with pytest.raises(SettingsError, match=r"^MANIFEST_METRICS_TOKEN: both .* set it; keep only one") as refused:
        load(given[ways[0]] | given[ways[1]])
    assert "token-1" not in str(refused.value)
    assert "\n" not in str(refused.value)


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: None, "No such file or directory"),
    (lambda path: path.mkdir(), "isn't a regular file"),
    (os.mkfifo, "isn't a regular file"),
    (lambda path: path.touch(), "is empty"),
    (lambda path: path.write_text(" \n"), "is empty"),
    (lambda path: path.write_text("a\0b"), "contains a NUL character"),
    (lambda path: path.write_text("a\nb"), "contains more than one line"),
    (lambda path: path.write_bytes(b"\xff"), "isn't UTF-8"),
    (lambda path: path.write_bytes(b"a" * 70_000), "is larger than 64 KiB"),
    (lambda path: path.symlink_to(path), "symbolic links"),
]


@rule("SETTINGS-SAFE")
@matrix(("make", "said"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_that_holds_no_value_stops_the_start(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    path = tmp_path / "MANIFEST_SMTP_URL"
    make(path)
    ways = [{"MANIFEST_SMTP_URL_FILE": str(path)}]
    ways += [{"CREDENTIALS_DIRECTORY": str(tmp_path)}] if said != "No such file or directory" else []
    for environ in ways:
        with pytest.raises(SettingsError) as refused:
            load(environ)
        assert str(refused.value).startswith("MANIFEST_SMTP_URL")
        assert str(path) in str(refused.value)
        assert said in str(refused.value)


@matrix(
    ("environ", "said"),
    [
        ({"MANIFEST_PORT_FILE": "x"}, "MANIFEST_PORT_FILE isn't a setting"),
        ({"MANIFEST_SMTP_UR_FILE": "x"}, "did you mean MANIFEST_SMTP_URL_FILE?"),
        ({"MANIFEST_SMTP_URL_FILE": ""}, "must be the path of a file"),
        ({"CREDENTIALS_DIRECTORY": __file__}, "CREDENTIALS_DIRECTORY: "),
    ],
)
def test_a_name_that_is_no_file_is_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(environ)
    assert said in str(refused.value)


def test_credentials_of_others_are_left_alone_and_a_misspelt_one_is_told(tmp_path: Path) -> None:
    placed(tmp_path, "x", "tls.key")
    assert load({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == load({"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})
    placed(tmp_path, "x", "MANIFEST_PUBLIC_URL")
    with pytest.raises(SettingsError, match="MANIFEST_PUBLIC_URL isn't a setting that can be a file"):
        load({"CREDENTIALS_DIRECTORY": str(tmp_path)})


@rule("SETTINGS-SAFE")
def test_the_file_of_a_secret_key_is_looked_at_again_before_sealing(tmp_path: Path) -> None:
    path = placed(tmp_path, f"{SECRET_KEY}\n")
    keys = secret_keys(load({"MANIFEST_SECRET_KEY_FILE": path}))
    placed(tmp_path, f"{OTHER_KEY}\n{SECRET_KEY}\n", "newer")
    (tmp_path / "newer").replace(path)
    sealed = Sealer(keys, Random()).seal(b"value", "row")
    assert Sealer(secret_keys(load({"MANIFEST_SECRET_KEY": OTHER_KEY})), Random()).open(sealed, "row") == b"value"


def test_commands_take_a_file_of_settings_anywhere_and_leave_keys_of_others_alone(tmp_path: Path) -> None:
    key = placed(tmp_path, SECRET_KEY)
    placed(tmp_path, f'secret_key_file = "{key}"', "settings.toml")
    for place, client in enumerate(("acme", "initech", "umbrella")):
        words = ["client", "create", client]
        words[place:place] = ["--config", "settings.toml"]
        assert run_here(tmp_path, *words).out.startswith(f"Created client {client} ")
    assert not (tmp_path / "data" / "secret.key").exists()
    refused = run_here(tmp_path, "keys", "reencrypt", "--new-key", "--config=settings.toml")
    assert (refused.status, key in refused.line) == (1, True)
    assert Path(key).read_text() == SECRET_KEY
