"""Collects the given settings, each with its source: variables, files, credentials, and TOML."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from manifest_auth.runtime.settings.values import FILE_FIELDS, PREFIX, Secret, Settings, SettingsError, variable

CONFIG, CREDENTIALS = "MANIFEST_CONFIG", "CREDENTIALS_DIRECTORY"
_FILE = "_file"
_MOST = 65536  # bytes of a value
#: Variables that Kubernetes sets for a service named ``manifest``, and the value of ``MANIFEST_PORT`` for it.
_SERVICE_LINK = re.compile(r"MANIFEST_(SERVICE_(HOST|PORT(_\w+)?)|PORT_[0-9]+_(TCP|UDP)\w*)\Z")
_SERVICE_PORT = re.compile(r"(tcp|udp)://")


class Given(NamedTuple):
    """A value and its source. ``name``: what the operator wrote; ``file``: the file that contains it."""

    value: Any
    name: str
    file: str | None = None

    @property
    def place(self) -> str:
        return f"{self.name} ({self.file})" if self.file else self.name


def gather(environ: Mapping[str, str]) -> dict[str, Given]:
    """Returns each given setting with its source. A variable takes precedence over the TOML file; a value in its own
    file must be the only one. Raises :class:`SettingsError` with one line, which contains no value."""
    found: dict[str, Given] = {}
    for field, given in (*_of_toml(environ.get(CONFIG)), *_of_variables(environ), *_of_credentials(environ)):
        before = found.get(field)
        if before is not None and (before.file or given.file):
            raise SettingsError(
                f"{variable(field)}: both {before.place} and {given.place} set it; keep only one of them"
            )
        found[field] = given
    return found


def _of_toml(path: str | None) -> Iterator[tuple[str, Given]]:
    if not path:
        return
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{CONFIG}: {path}: {getattr(error, 'strerror', None) or error}") from None
    for key, value in values.items():
        yield _given(key, value, f"{path}: {key}")


def _of_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    for name, text in environ.items():
        # MANIFEST_AUTH_… is ignored: Kubernetes sets such variables for a service named manifest-auth.
        if not name.startswith(PREFIX) or name == CONFIG or name.startswith("MANIFEST_AUTH_"):
            continue
        if _SERVICE_LINK.match(name) or (name == "MANIFEST_PORT" and _SERVICE_PORT.match(text)):
            continue
        key = name.removeprefix(PREFIX).lower()
        yield _given(key, text, name, PREFIX)


def _of_credentials(environ: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    """Yields the files that systemd provides for ``LoadCredential=MANIFEST_NAME:…`` (systemd.exec(5), CREDENTIALS)."""
    folder = environ.get(CREDENTIALS)
    if not folder:
        return
    try:
        names = sorted(path.name for path in Path(folder).iterdir() if path.name.startswith(PREFIX))
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingsError(f"{CREDENTIALS}: {folder}: {error.strerror}") from None
    for name in names:
        field = name.removeprefix(PREFIX).lower()
        if field not in FILE_FIELDS:
            raise SettingsError(f"{CREDENTIALS}: {name} isn't a setting that can be a file{_like(field, PREFIX)}")
        yield field, _of_file(name, str(Path(folder, name)))


def _given(key: str, value: Any, name: str, prefix: str = "") -> tuple[str, Given]:
    """Returns the setting of a key, and its value: the given one, or the content of the file that it names."""
    if key in Settings.__struct_fields__:
        return key, Given(value, name)
    field = key.removesuffix(_FILE)
    if field == key or field not in FILE_FIELDS:
        raise SettingsError(f"{name} isn't a setting{_like(key, prefix)}")
    return field, _of_file(name, value)


def _like(key: str, prefix: str = "") -> str:
    """Returns the most similar setting, in the form in which it was given."""
    names = [*Settings.__struct_fields__, *(f"{field}{_FILE}" for field in sorted(FILE_FIELDS))]
    close = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {prefix}{close[0].upper() if prefix else close[0]}?" if close else ""


def _of_file(name: str, path: object) -> Given:
    try:
        if not isinstance(path, str) or not path:
            raise ValueError("must be the path of a file")
        text = _content(path)
        if "\n" in text and name.removeprefix(PREFIX).lower().removesuffix(_FILE) != "secret_key":
            raise ValueError(f"{path} contains more than one line")
    except (OSError, ValueError) as error:
        why = f"{path}: {error.strerror}" if isinstance(error, OSError) else error
        raise SettingsError(f"{name}: {why}") from None
    return Given(Secret(text, path), name, path)


def _content(path: str) -> str:
    """Returns the text of the file, without the newline at its end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} isn't a regular file")
        content = os.read(descriptor, _MOST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST:
        raise ValueError(f"{path} is larger than {_MOST // 1024} KiB")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} isn't UTF-8") from None
    if not text.strip():
        raise ValueError(f"{path} is empty")
    if "\0" in text:
        raise ValueError(f"{path} contains a NUL character")
    return text
