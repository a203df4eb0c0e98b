"""Reads the file that ``--env-file`` names: settings and other variables, a ``NAME=VALUE`` on each line.

Nothing in it is run or expanded. What is accepted means the same to systemd (``EnvironmentFile=``); what systemd or a
shell would read differently, like a backslash, is refused unless quotes make it plain.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from pathlib import Path

from manifest_auth.runtime.settings.values import PREFIX, SettingsError

_BLANK = " \t\r"
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"\\]*)\"")


def adopt(path: str, environ: MutableMapping[str, str] | None = None) -> None:
    """Puts the variables of the file into the environment, which the web processes inherit.

    Raises :class:`SettingsError` for a file that cannot be read, and for a setting to which the environment gives
    another value: neither of the two could win without a surprise.
    """
    environ = os.environ if environ is None else environ
    found = read(path)
    for name, value in found.items():
        if name.startswith(PREFIX) and environ.get(name, value) != value:
            raise SettingsError(f"{name}: the environment and {path} give different values; keep one of them")
    environ.update(found)


def read(path: str) -> dict[str, str]:
    """The variables of the file. Raises :class:`SettingsError` with one line, which names no value."""
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not in UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(_BLANK)
        if not line or line[0] in "#;":
            continue
        where = f"{path}, line {number}"
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise SettingsError(f"{where}: is not NAME=VALUE")
        name, value = matched[1], matched[2].strip(_BLANK)
        if name in found:
            raise SettingsError(f"{where}: {name} is there a second time")
        found[name] = _value(value, f"{where}: {name}")
    return found


def _value(text: str, where: str) -> str:
    if "\0" in text:
        raise SettingsError(f"{where}: has a NUL character")
    if text[:1] in ("'", '"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise SettingsError(
                f"{where}: must end with the quote that it begins with, and have no other; a value with a backslash "
                "stands in single quotes"
            )
        return quoted[1] if quoted[1] is not None else quoted[2]
    if "\\" in text:
        raise SettingsError(f"{where}: a value with a backslash stands in single quotes")
    return text
