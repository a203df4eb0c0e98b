"""An installation on SQLite with some data, for backup tests."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from manifest_auth.runtime.files import path_of
from manifest_auth.runtime.settings import Settings, load
from tests.support.commands import done

BYTES = b"\x89PNG\r\n\x1a\n" + b"evidence" * 1000
KEYS = ("Kq3_used-file-0001", "kQ7-unused-file-02")


def quiet(_what: str, _done: int, _of: int | None) -> None:
    """Report no progress."""


def settings_of(folder: Path, name: str = "data", **given: str) -> Settings:
    return load({"MANIFEST_DATA_DIR": str(folder / name), **given})


def make(folder: Path) -> Path:
    """An installation with some data and two uploaded files, without a running server."""
    done(folder, "client", "create", "initech")
    done(folder, "user", "create", "ada@initech.example", "--client", "initech", "--role", "Admin",
         "--password-stdin", given="kestrel-harbor-21-violet\n")  # fmt: skip
    store = sqlite3.connect(folder / "data" / "manifest-auth.db")
    for key, used in zip(KEYS, (7, None), strict=True):
        path = path_of(folder / "data" / "files", key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(BYTES)
        row = (1, key, "a.png", "image/png", len(BYTES), hashlib.sha256(BYTES).hexdigest(), 1, 5, used)
        names = "tenant_id, key, name, media_type, size, sha256, uploaded_by, uploaded_at, used_at"
        store.execute(f"INSERT INTO files ({names}) VALUES (?,?,?,?,?,?,?,?,?)", row)
    session = "'s', 1, 1, 'password', 5, 9, 5, '', '', 'c', 5, 'r', 5"
    columns = "id, tenant_id, user_id, method, created_at, ends_at, last_used_at, address, user_agent, cookie_hash"
    columns += ", cookie_seen_at, refresh_current, refresh_changed_at"
    store.execute(f"INSERT INTO sessions ({columns}) VALUES ({session})")
    store.commit()
    store.close()
    return folder
