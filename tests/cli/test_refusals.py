"""Errors of the command line are one line, with status 1; wrong usage has status 2."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from manifest_auth.cli.main import parser
from tests.support.commands import done_here, installation, run_here, typed
from tests.support.matrix import matrix

PASSWORD = "glacier-pencil-77-mango"
USER = ("user", "create", "ann@initech.example", "--client", "initech")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the client initech, its user ann, and the system admin root."""
    folder = tmp_path_factory.mktemp("refusals")
    done_here(installation(folder), "client", "create", "initech")
    done_here(folder, "admin", "create", "root", "--password-stdin", given=PASSWORD)
    done_here(folder, *USER, "--role", "Viewer", "--password-stdin", given=PASSWORD)
    return folder


def test_two_different_passwords_at_the_prompt_are_rejected(folder: Path) -> None:
    status, shown = typed(folder, ("admin", "create", "eve"), [PASSWORD, PASSWORD + "x"])
    assert status == 1
    assert shown.splitlines()[-1] == "manifest-auth: the passwords don't match"


WEAK = ["", "short", "password1234567", "initech-initech-1", "aaaaaaaaaaaaaaaaaaaa", "x" * 257]


@matrix("password", WEAK)
def test_a_weak_password_is_rejected_in_one_line(folder: Path, password: str) -> None:
    command = (*USER[:2], "weak@initech.example", *USER[3:], "--role", "Viewer", "--password-stdin")
    result = run_here(folder, *command, given=f"{password}\n")
    assert (result.status, result.out) == (1, "")
    assert result.line.startswith("password: ")
    assert len(password) < 10 or password not in result.err


def test_an_admins_weak_password_is_rejected_in_one_line(folder: Path) -> None:
    result = run_here(folder, "admin", "create", "weak", "--password-stdin", given="password1234567\n")
    assert (result.status, result.out) == (1, "")
    assert result.line.startswith("password: ")


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("client", "create", "initech"), "This identifier is already taken"),
    (("client", "create", "No_Good"), "identifier"),
    (("client", "create", "x"), "identifier"),
    ((*USER, "--role", "Viewer", "--password-stdin"), "A user with this email address already exists"),
    (("user", "create", "no-address", *USER[3:], "--role", "Viewer", "--password-stdin"), "email"),
    (
        ("user", "create", "c@x.example", "--client", "none", "--role", "Viewer", "--password-stdin"),
        "no client has the identifier",
    ),
    (("client", "suspend", "none"), "no client has the identifier"),
    (("client", "restore", "initech"), "The client isn't suspended"),
    (("user", "deactivate", "no@initech.example", *USER[3:]), "client initech has no user no@initech.example"),
    (("user", "restore", *USER[2:]), "The user isn't deactivated"),
    (("service-account", "disable", "robot", *USER[3:]), "client initech has no service account robot"),
    (("service-account", "revoke", *USER[3:], "--", "-abc"), "has no valid API key or client secret -abc"),
    (("admin", "create", "root", "--password-stdin"), "A system admin with this name already exists"),
]


@matrix(("arguments", "said"), REFUSED, ids=lambda v: " ".join(v) if isinstance(v, tuple) else v)
def test_impossible_requests_are_rejected_in_one_line(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run_here(folder, *arguments, given=PASSWORD)
    assert result.status == 1
    assert said in result.line


def _has_actions(command: argparse.ArgumentParser) -> bool:
    return any(isinstance(one, argparse._SubParsersAction) for one in command._actions)


[COMMANDS] = [one for one in parser()._actions if isinstance(one, argparse._SubParsersAction)]
USAGE: list[tuple[str, ...]] = [
    (),
    *((name,) for name, command in COMMANDS.choices.items() if _has_actions(command)),
    ("nonsense",),
    ("user", "create"),
    (*USER,),  # without a role
    (*USER, "--role", "Boss"),
    (*USER, "--role", "Viewer", "--password", PASSWORD),
    ("admin", "create", "root", PASSWORD),
    ("admin", "create", "root", f"--password={PASSWORD}"),
    ("serve", "--port", "x"),
]


@matrix("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_status_2(folder: Path, arguments: tuple[str, ...]) -> None:
    result = run_here(folder, *arguments)
    assert result.status == 2
    assert "usage: manifest-auth" in result.err
    assert "Traceback" not in result.err
