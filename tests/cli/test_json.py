"""``--json`` of every command that prints data, and the output of ``settings``."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from manifest_auth.cli.main import parser
from manifest_auth.cli.reference import leaves
from tests.support.commands import done_here, installation, run, run_here
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY

PASSWORD = "glacier-pencil-77-mango"
#: Commands that serve, confirm the input, or print one value or lines of JSON.
WITHOUT = {"serve", "demo", "db upgrade", "license issue", "audit export"}
WITHOUT |= {f"client {act}" for act in ("suspend", "restore", "end-sessions")}
WITHOUT |= {f"service-account {act}" for act in ("disable", "enable", "revoke")}
WITHOUT |= {f"{what} {act}" for what in ("domain", "directory") for act in ("vouch", "release")}


def test_every_command_that_prints_data_can_print_json(tmp_path: Path) -> None:
    folder, tried = installation(tmp_path), set()
    every = {" ".join(words): command for words, command, _ in leaves(parser())}

    def told(command: str, *more: str, given: str = "") -> Any:
        tried.add(command)
        how = run if command in ("backup", "restore") else run_here  # those two handle signals
        result = json.loads(how(folder, *command.split(), *more, "--json", given=given).out)
        _has_the_listed_members(every[command], result)
        return result

    user, stdin = ("ann@acme.example", "--client", "acme"), ("--password-stdin",)
    assert told("client create", "acme") == {"id": 1, "identifier": "acme"}
    assert told("setup-code")["url"].endswith("/installation/setup")
    assert told("admin create", "root", *stdin, given=PASSWORD) == {"id": 1, "name": "root"}
    assert told("user create", *user, "--role", "Viewer", *stdin, given=PASSWORD)["email"] == user[0]
    assert told("user roles", *user, "--role", "Operator")["roles"] == ["Operator"]
    assert told("client list")[0]["state"] == "active"
    assert told("user list", *user[1:])[0]["roles"] == ["Operator"]
    assert told("user end-sessions", *user) == {"sessions": 0}
    assert told("user deactivate", *user) == {"id": 1}
    assert told("user restore", *user) == {"id": 1, "link": None}
    assert told("service-account list", *user[1:]) == []
    assert told("user link", *user)["link"].startswith("http")
    assert told("admin addresses", "127.0.0.1") == {"adminAddresses": "127.0.0.1/32", "environmentAdminAddresses": ""}
    assert len(told("admin reset", "root", "--new-password")["password"]) > 9
    openid = ("--issuer", "https://idp.example", "--client-id", "x", "--domain", "acme.example", "--vouch")
    assert told("provider create", "okta", *user[1:], *openid)["serviceProvider"]["callbackUrl"]
    assert told("provider list", *user[1:])[0]["state"] == "on"
    assert told("provider callbacks")[0]["client"] == "acme"
    assert told("provider test", "okta", *user[1:])[-1].keys() == {"level", "text"}
    assert [claim["what"] for claim in told("claims list")] == ["acme.example"]
    assert told("keys rotate") == {"algorithm": "ES256"}
    assert told("keys reencrypt", "--new-key")["lost"] == []
    assert told("license keygen").keys() == {"private", "public"}
    assert told("license status")["installationId"]
    assert told("db status")["state"] == "current"
    assert told("audit verify")["ok"]
    assert told("backup", "saved.tar")["isRecorded"]
    assert told("restore", "saved.tar", "--data-dir", "elsewhere")["needsKey"]
    assert told("doctor")["findings"][0] == {"level": "ok", "text": "clock: plausible"}
    assert told("settings")[0]["name"] == "MANIFEST_PUBLIC_URL"
    elsewhere = {"license inspect", "license install", "keys lost", "user reset-factors"}  # need more than this
    assert {name for name, command in every.items() if any(each.dest == "json" for each in command._actions)} == (
        tried | elsewhere
    )
    assert every.keys() == tried | elsewhere | WITHOUT


def _has_the_listed_members(command: ArgumentParser, result: Any) -> None:
    """Compare the result with the help of ``--json``, which the docs repeat."""
    [listed] = [each.help or "" for each in command._actions if each.dest == "json"]
    members = listed.partition("JSON (")[2].rpartition(")")[0]
    assert members, command.prog
    if "in the API" in members:
        return
    every, _, rest = (
        re.sub(r" \([^)]*\)", "", members.partition("; --note")[0]).removeprefix("each: ").partition("; if known: ")
    )
    assert members.startswith("each: ") == isinstance(result, list)
    for found in result if isinstance(result, list) else [result]:
        assert set(every.split(", ")) <= found.keys() <= {*every.split(", "), *rest.split(", ")}, command.prog


def test_the_help_of_each_command_describes_it_and_names_the_options_of_all_commands() -> None:
    for words, command, _ in leaves(parser()):
        assert command.description, words
        assert "--config FILE" in command.format_help(), words


@rule("SETTINGS-SAFE")
def test_settings_are_shown_with_what_set_them_and_without_secrets(tmp_path: Path) -> None:
    key, password = tmp_path / "key", "hunter:%402"
    key.write_text(SECRET_KEY)
    (tmp_path / "env").write_text(f"MANIFEST_SMTP_URL=smtp://a:{password}@mail\nMANIFEST_MAIL_FROM=a@b.example\n")
    (tmp_path / "settings.toml").write_text(f"port = 9001\nsecret_key_file = '{key}'\n")
    database = f"postgresql://ada:{password}@db.example/a?password={password}&b=c"
    files = ("--env-file", "env", "--config", "settings.toml")
    shown = done_here(tmp_path, "settings", *files, "--changed", MANIFEST_DATABASE_URL=database)
    lines = [line for line in shown.splitlines() if "ARGON2" not in line and "DATA_DIR" not in line]
    assert lines == [
        f"MANIFEST_PORT=9001\t{tmp_path}/settings.toml: port".replace(f"{tmp_path}/", ""),
        "MANIFEST_DATABASE_URL=postgresql://ada:(hidden)@db.example/a?password=(hidden)&b=c\tenvironment",
        f"MANIFEST_SECRET_KEY=(hidden)\tsettings.toml: secret_key_file ({key})",
        "MANIFEST_SMTP_URL=(hidden)\tenv",
        "MANIFEST_MAIL_FROM=a@b.example\tenv",
    ]
    whole = done_here(tmp_path, "settings", "--json", *files, MANIFEST_DATABASE_URL=database)
    assert {"name": "MANIFEST_HOST", "value": "127.0.0.1", "source": "default"} in json.loads(whole)
    for secret in (password, SECRET_KEY):
        assert secret not in shown + whole
