"""Notes of the settings of running servers with a data folder, so that ``doctor`` can report differences.

A server keeps a note while it runs, with a MAC of each setting, which does not reveal the value.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from manifest_auth.runtime.os_process import own_folder
from manifest_auth.runtime.sealing import Macs, secret_keys
from manifest_auth.runtime.settings import Secret, Settings, variable

_PREFIX, _NOTE = ".running-", "settings.json"
_KEY = "secret_key"


@contextlib.contextmanager
def noted(settings: Settings, elsewhere: Collection[str]) -> Iterator[None]:
    """Keeps the note. ``elsewhere``: settings from the command line or from systemd. If the folder can't be written,
    there is no note."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            Path(settings.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = stack.enter_context(own_folder(_PREFIX, Path(settings.data_dir)))
            macs, fields = _macs(settings), set(settings.__struct_fields__) - {*elsewhere, _KEY}
            told = {field: macs.make(_message(settings, field)) for field in fields}
            told |= {_KEY: macs.make(_KEY.encode())} if settings.secret_key is not None else {}
            making = folder / f"{_NOTE}.making"
            making.write_text(json.dumps(told), "utf-8")
            making.rename(folder / _NOTE)
        yield


def differing(settings: Settings) -> list[list[str]]:
    """Returns, for each server that runs with this data folder, the variables with values that differ from these
    settings."""
    found = []
    for note in Path(settings.data_dir).glob(f"{_PREFIX}*/{_NOTE}"):
        with contextlib.suppress(OSError, ValueError):
            if _lives(note.parent):
                found.append(_differing(settings, json.loads(note.read_text("utf-8"))))
    return [each for each in found if each is not None]


def _differing(settings: Settings, told: dict[str, str]) -> list[str] | None:
    """Returns the differing variables; None if the MACs were made with a key that this process doesn't have."""
    key, macs = told.pop(_KEY, None), _macs(settings)
    if (key is None) != (settings.secret_key is None) or (key and not macs.is_valid(_KEY.encode(), key)):
        return [variable(_KEY)]  # without it, the others can't be compared
    known = [field for field in settings.__struct_fields__ if field in told]
    same = [field for field in known if macs.is_valid(_message(settings, field), told[field])]
    return [variable(field) for field in known if field not in same] if same else None


def _macs(settings: Settings) -> Macs:
    return Macs(secret_keys(settings))


def _message(settings: Settings, field: str) -> bytes:
    value = getattr(settings, field)
    return f"{field}={value.reveal() if isinstance(value, Secret) else value!r}".encode()


def _lives(folder: Path) -> bool:
    """Whether the server that made the folder holds its lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
