"""Sources of the secret keys, newest first; a replaced file is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest_auth.cli import keys
from manifest_auth.maintenance.reencrypt import Report
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Sealer, add_newest_key, keys_of_a_start, secret_keys
from manifest_auth.runtime.settings import SettingsError, load
from tests.support.matrix import matrix
from tests.support.secret_keys import SECRET_KEY

OLD, NEW = bytes.fromhex(SECRET_KEY), bytes(range(32))


def test_a_file_that_was_replaced_is_read_again_before_the_next_value_is_sealed(tmp_path: Path) -> None:
    settings = load({"MANIFEST_DATA_DIR": str(tmp_path)})
    server, starter = (Sealer(keys_of_a_start(settings, Random(), lambda: True), Random()) for _ in range(2))
    before = server.seal(b"before", "row")
    add_newest_key(tmp_path / "secret.key", Random())
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
    after = server.seal(b"after", "row")
    fresh = Sealer(secret_keys(settings), Random())
    assert (fresh.open(before, "row"), fresh.open(after, "row")) == (b"before", b"after")
    assert fresh.renew(after, "row") is None
    renewed = fresh.renew(before, "row")
    assert renewed is not None
    assert starter.open(renewed, "row") == b"before"  # it only reads the file if it can't decrypt
    newest = (tmp_path / "secret.key").read_text().splitlines()[0]
    (tmp_path / "secret.key").write_text(newest + "\n")
    assert server.open(renewed, "row") == b"before"
    (tmp_path / "secret.key").write_text("spoilt\n")
    assert server.open(server.seal(b"still", "row"), "row") == b"still"


def test_new_keys_that_are_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    settings = load({"MANIFEST_DATA_DIR": str(tmp_path)})
    first = keys_of_a_start(settings, Random(), lambda: True).texts
    for _ in range(3):
        add_newest_key(tmp_path / "secret.key", Random())
    found = secret_keys(settings).texts
    assert len(set(found)) == 4
    assert found[3:] == first


@matrix("between", [",", ", ", "\n", " "])
def test_older_keys_follow_the_newest(between: str) -> None:
    texts = [NEW.hex(), OLD.hex()]
    settings = load({"MANIFEST_SECRET_KEY": between.join(texts)})
    assert secret_keys(settings).texts == texts


@matrix("second", ["short", "0" * 64, "zz" * 32])
def test_an_older_key_that_is_none_stops_the_start(second: str) -> None:
    settings = load({"MANIFEST_SECRET_KEY": f"{NEW.hex()},{second}"})
    with pytest.raises(SettingsError, match="MANIFEST_SECRET_KEY: must be 32 random bytes"):
        secret_keys(settings)


def test_a_file_that_cannot_be_read_is_not_called_lost(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir()
    (tmp_path / "file").touch()
    for folder, why in ((tmp_path, "Is a directory"), (tmp_path / "file", "Not a directory")):
        with pytest.raises(SettingsError, match=f"MANIFEST_DATA_DIR: {folder}/secret.key: {why}"):
            secret_keys(load({"MANIFEST_DATA_DIR": str(folder)}))


LOST = [f"passkeys/{number}" for number in range(25)]


@matrix(
    ("report", "older", "in_file", "named", "told"),
    [
        (Report(7, lost=LOST[:2]), 1, True, LOST[:2], "2 values can't be decrypted. Add their key"),
        (Report(7, lost=LOST, is_unfinished=True), 1, True, LOST[:20], "25 values can't be decrypted. Add their key"),
        (Report(7, is_unfinished=True), 1, True, [], "A server still encrypts with an older key. Restart all"),
        (Report(7), 1, True, [], "The older key is needed only for backups made until now. Keep it"),
        (Report(7), 2, False, [], "The 2 older keys are needed only for backups made until now. Keep"),
        (Report(7), 0, True, [], None),
    ],
    ids=["two lost", "many lost", "unfinished", "one older", "two older", "none older"],
)
def test_the_command_says_what_to_do_next(
    report: Report, older: int, in_file: bool, named: list[str], told: str | None
) -> None:
    first, *rest = keys._result(report, older, in_file=in_file)
    assert first == "Checked 7 encrypted values, and encrypted 0 of them again with the newest key."
    assert rest[: len(named)] == [f"No key decrypts {row}. It wasn't changed." for row in named]
    assert [line[: len(told or "")] for line in rest[len(named) :]] == ([told] if told else [])
