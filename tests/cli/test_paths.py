"""Paths in arguments are relative to the operator's folder, even in the command that runs like the service."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifest_auth.cli.arguments import given_path
from manifest_auth.cli.main import parser
from tests.support.commands import done, environment
from tests.support.secret_keys import SECRET_KEY

WRAPPER = Path(__file__).parents[2] / "deploy" / "as-service"
KEY = {"MANIFEST_SECRET_KEY": SECRET_KEY}


def arguments_of(grammar: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in grammar._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from arguments_of(each)
        else:
            yield action


def test_every_argument_that_names_a_file_starts_where_the_operator_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANIFEST_AUTH_CALLED_FROM", "/home/ada")
    assert [str(given_path(text)) for text in ("a.tar", "/b.tar", "../c.tar")] == [
        "/home/ada/a.tar", "/b.tar", "/home/ada/../c.tar",
    ]  # fmt: skip
    named = {"/".join(one.option_strings) or one.dest: one for one in arguments_of(parser())}
    of_files = {name for name, one in named.items() if one.metavar in ("FILE", "FOLDER") or one.dest == "file"}
    typed = {name for name, one in named.items() if one.type is given_path}
    assert of_files - {"--metadata"} == typed  # this one can be `-`, and uses the same function
    assert not [name for name, one in named.items() if one.type is Path]


def as_service(folder: Path, here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command that `install --service` creates, on a machine with everything in this folder."""
    places = {
        "/var/lib/manifest-auth": folder / "data",
        "/etc/manifest-auth/environment": folder / "environment",
        "/opt/manifest-auth/current": folder / "current",
        "/run/credentials/manifest-auth.service": folder / "credentials",
    }
    text = WRAPPER.read_text()
    for place, ours in places.items():
        assert place in text
        text = text.replace(place, str(ours))
    programs = {"current/bin/manifest-auth": f'exec {sys.executable} -m manifest_auth "$@"',
                "bin/setpriv": 'shift 3; exec "$@"', "as-service": text}  # fmt: skip
    for name, content in programs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if content.startswith("#!") else f"#!/bin/sh\n{content}\n")
        path.chmod(0o755)
    (folder / "environment").touch()
    env = environment(folder, **KEY) | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        [folder / "as-service", *arguments], cwd=here, env=env, capture_output=True, text=True, check=False
    )


def test_the_command_of_a_service_writes_and_reads_where_it_was_called(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "acme", **KEY)
    here = tmp_path / "home of ada"
    here.mkdir()
    for line in ("audit export --output acme.jsonl", "audit verify acme.jsonl", "backup saved.tar"):
        ran = as_service(tmp_path, here, *line.split())
        assert ran.returncode == 0, ran.stderr
    assert {path.name for path in here.iterdir()} == {"acme.jsonl", "saved.tar"}
    assert not (tmp_path / "data" / "acme.jsonl").exists()


def test_the_command_of_a_service_has_the_credentials_of_its_unit(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    (tmp_path / "data").mkdir()
    for there in (False, True):
        if there:
            credentials.mkdir()
            (credentials / "MANIFEST_METRICS_TOKEN").write_text("token\n")
        ran = as_service(tmp_path, tmp_path, "settings", "--changed")
        assert ran.returncode == 0, ran.stderr
        line = f"MANIFEST_METRICS_TOKEN=(hidden)\tMANIFEST_METRICS_TOKEN ({credentials}/MANIFEST_METRICS_TOKEN)"
        assert (line in ran.stdout.splitlines()) is there
