"""An invalid mail server setting stops the start with one line, and ``doctor`` tests the connection."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from manifest_auth.maintenance.startup import build_services
from manifest_auth.runtime.mail import server_of
from manifest_auth.runtime.settings import SettingsError, load
from tests.support.commands import done, run
from tests.support.mail_server import SENDER, MailServer
from tests.support.matrix import matrix

GOOD = {"MANIFEST_SMTP_URL": "smtp://who:secret-word@mail.example", "MANIFEST_MAIL_FROM": SENDER}


@matrix(
    ("url", "host", "port", "is_tls", "user", "password"),
    [
        ("smtp://mail.example", "mail.example", 587, False, "", ""),
        ("smtp://mail.example:25/", "mail.example", 25, False, "", ""),
        ("smtps://mail.example", "mail.example", 465, True, "", ""),
        ("smtp://a%40b:p%2Fw%3A%25@mail.example:2525", "mail.example", 2525, False, "a@b", "p/w:%"),
        ("smtp://[::1]:1025", "::1", 1025, False, "", ""),
    ],
)
def test_the_address_of_a_server_says_it_all(
    url: str, host: str, port: int, is_tls: bool, user: str, password: str
) -> None:
    server = server_of(load({"MANIFEST_SMTP_URL": url, "MANIFEST_MAIL_FROM": SENDER}))
    assert server is not None
    assert (server.host, server.port, server.is_tls, server.user) == (host, port, is_tls, user)
    assert server.password.reveal() == password
    assert "secret" not in repr(server_of(load(GOOD)))
    assert str(server.sender) == SENDER


def test_without_settings_there_is_none() -> None:
    assert server_of(load({})) is None


@matrix(
    ("name", "value"),
    [
        ("SMTP_URL", "mail.example"),
        ("SMTP_URL", "http://who:secret-word@mail.example"),
        ("SMTP_URL", "smtp://who:secret-word@"),
        ("SMTP_URL", "smtp://who:secret-word@mail.example:99999"),
        ("SMTP_URL", "smtp://who:secret-word@mail.example/path"),
        ("SMTP_URL", "smtp://who:secret-word@mail.example?x"),
        ("SMTP_URL", "smtp://secret-word@mail.example"),
        ("SMTP_URL", "smtp://who:secret-wörd@mail.example"),
        ("MAIL_FROM", "no address"),
        ("MAIL_FROM", "a@"),
        ("MAIL_FROM", "Name <a@b.example>\nBcc: c@d.example"),
        ("MAIL_FROM", "<a@b.example"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_line_that_names_it(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^MANIFEST_{name}: .+\Z") as refused:
        build_services(load({**GOOD, "MANIFEST_DATA_DIR": str(tmp_path), f"MANIFEST_{name}": value}))
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@matrix(("given", "missing"), [("SMTP_URL", "MAIL_FROM"), ("MAIL_FROM", "SMTP_URL")])
def test_one_without_the_other_stops_the_start(given: str, missing: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"^MANIFEST_{missing}: required with MANIFEST_{given}$"):
        build_services(load({"MANIFEST_DATA_DIR": str(tmp_path), f"MANIFEST_{given}": GOOD[f"MANIFEST_{given}"]}))


def findings(folder: Path, **settings: str) -> tuple[int, str]:
    """Doctor's exit status, and its line about mail."""
    result = run(folder, "doctor", **settings)
    [line] = [line for line in result.out.splitlines() if line[7:].startswith("mail")]
    return result.status, line


@pytest.mark.processes
def test_doctor_tries_the_mail_server_and_says_what_is_wrong(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "initech")
    status, line = findings(tmp_path)
    assert (status, line.startswith(" note  mail: no server is set up")) == (0, True)
    with MailServer(users={"who": "secret-word"}) as server:
        status, line = findings(tmp_path, **server.settings)
        assert (status, line) == (0, f"  ok   mail: 127.0.0.1:{server.port} accepts mail")
        wrong = {name: value.replace("secret-word", "wrong-word") for name, value in server.settings.items()}
        status, line = findings(tmp_path, **wrong)
        assert (status, "SMTPAuthenticationError: 535" in line) == (1, True)
        assert not [word for word in ("wrong-word", "secret-word") if word in line]
        assert server.mails == []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    status, line = findings(tmp_path, MANIFEST_SMTP_URL=f"smtp://127.0.0.1:{port}", MANIFEST_MAIL_FROM=SENDER)
    assert (status, "ConnectionRefusedError" in line) == (1, True)
    status, line = findings(tmp_path, MANIFEST_SMTP_URL="smtp://x", MANIFEST_MAIL_FROM="nobody")
    assert (status, line) == (1, " BAD   mail: MANIFEST_MAIL_FROM: must be an address, or NAME <ADDRESS>")
