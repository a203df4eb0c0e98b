"""``--env-file`` names a settings file that means the same to every reader, and that is never executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest_auth.runtime.settings import SettingsError, adopt
from tests.support.commands import done, run
from tests.support.matrix import matrix
from tests.support.rules import rule

NASTY = "a$HOME&b;c<d>`touch ran`$(touch ran)|e\"f'g#h"
WHOLE = f"""# A comment
; another one

MANIFEST_SMTP_URL=smtp://ada:{NASTY}@mail.example
  MANIFEST_MAIL_FROM= Manifest <no-reply@auth.example.com> \r
SSL_CERT_FILE='/etc/a folder/with\\backslash'
MANIFEST_TOKEN_ISSUER="with 'single' quotes"
MANIFEST_FILES=
"""
REFUSED = [
    ("MANIFEST_PORT", "isn't NAME=VALUE"),
    ("export MANIFEST_PORT=1", "isn't NAME=VALUE"),
    ("MANIFEST-PORT=1", "isn't NAME=VALUE"),
    ("MANIFEST_FILES=a\\\nb", "backslash"),
    ("MANIFEST_FILES=a\\$b", "backslash"),
    ('MANIFEST_FILES="a\\$b"', "backslash"),
    ("MANIFEST_FILES='a", "quote"),
    ("MANIFEST_FILES='a'b", "quote"),
    ("MANIFEST_FILES=\"a\" 'b'", "quote"),
    ("MANIFEST_FILES='a' # more", "quote"),
    ("MANIFEST_FILES=a\nMANIFEST_FILES=a", "line 3: MANIFEST_FILES is set a second time"),
    ("MANIFEST_FILES=a\0b", "NUL"),
    ("MANIFEST_FILES=\udcff", "isn't UTF-8"),
]


def _file(folder: Path, text: str) -> str:
    (folder / "settings").write_bytes(text.encode(errors="surrogateescape"))
    return str(folder / "settings")


def test_a_value_is_what_stands_there(tmp_path: Path) -> None:
    environ: dict[str, str] = {"HOME": "/home"}
    adopt(_file(tmp_path, WHOLE), environ)
    assert environ == {
        "HOME": "/home",
        "MANIFEST_SMTP_URL": f"smtp://ada:{NASTY}@mail.example",
        "MANIFEST_MAIL_FROM": "Manifest <no-reply@auth.example.com>",
        "SSL_CERT_FILE": "/etc/a folder/with\\backslash",
        "MANIFEST_TOKEN_ISSUER": "with 'single' quotes",
        "MANIFEST_FILES": "",
    }


@rule("SETTINGS-SAFE")
@matrix(("text", "why"), REFUSED)
def test_what_another_reader_would_take_differently_is_rejected(tmp_path: Path, text: str, why: str) -> None:
    path, environ = _file(tmp_path, f"MANIFEST_PORT_=1\n{text}\n"), dict[str, str]()
    with pytest.raises(SettingsError, match=why) as refused:
        adopt(path, environ)
    assert str(refused.value).startswith(path)
    assert "\n" not in str(refused.value)
    assert environ == {}


@pytest.mark.processes
@rule("SETTINGS-SAFE")
def test_a_command_runs_nothing_of_it(tmp_path: Path) -> None:
    data = tmp_path / "a$(touch ran);touch ran&" / "`touch ran` b"
    path = _file(tmp_path, f"MANIFEST_DATA_DIR={data}\n")
    for option in (("--env-file", path), (f"--env-file={path}",)):
        done(tmp_path, *option, "client", "create", f"acme{len(option)}", MANIFEST_DATA_DIR=str(data))
    assert (data / "manifest-auth.db").exists()
    assert not [path for path in tmp_path.rglob("*ran") if path.is_file()]


@pytest.mark.processes
@rule("SETTINGS-SAFE")
def test_a_setting_that_the_environment_gives_differently_is_rejected(tmp_path: Path) -> None:
    path = _file(tmp_path, "MANIFEST_TOKEN_ISSUER=secret-1\n")
    refused = run(tmp_path, "--env-file", path, "doctor", MANIFEST_TOKEN_ISSUER="secret-2")
    assert refused.status == 2
    assert (
        refused.line == f"MANIFEST_TOKEN_ISSUER: the environment and {path} set different values; keep only one of them"
    )
    missing = run(tmp_path, "--env-file", f"{path}-missing", "doctor")
    assert (missing.status, missing.line) == (2, f"{path}-missing: No such file or directory")
