"""Makes the *next* release: this tree with a revision that adds columns and a table, and code that writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import manifest_auth
from manifest_auth.store import migrate

SCHEMA, VERSION = "0012", "99.0.0"
_REVISION = f'''"""Adds when a program of the next release saw a user last, and notes of users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{SCHEMA}"
down_revision = "{migrate.HEAD}"
READABLE_BY = "{migrate.HEAD}"


def upgrade() -> None:
    op.add_column("users", sa.Column("next_seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("sessions", sa.Column("next_kind", sa.Text(), nullable=False, server_default="old"))
    op.create_table("next_notes", sa.Column("id", sa.Integer(), primary_key=True), sqlite_strict=True)
'''
#: File, text, and what is put in its place.
_EDITS = (
    ("__init__.py", f'__version__ = "{manifest_auth.__version__}"', f'__version__ = "{VERSION}"'),
    (
        "store/tables/accounts.py",
        'time("last_sign_in_at", nullable=True),\n',
        'time("last_sign_in_at", nullable=True),\n    time("next_seen_at", nullable=True),\n',
    ),
    (
        "accounts/users/users.py",
        '.values(last_sign_in_at=bindparam("now")))',
        '.values(last_sign_in_at=bindparam("now"), next_seen_at=bindparam("now")))',
    ),
)


def make(folder: Path) -> Path:
    """Writes it into the folder; what `PYTHONPATH` must be for it."""
    package = folder / "next" / "manifest_auth"
    source = Path(manifest_auth.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__", "site"))
    for name, before, after in _EDITS:
        path = package / name
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{name}: {before}"
        path.write_text(text.replace(before, after), "utf-8")
    revisions = package / "store" / "migrations" / "versions"
    (revisions / f"v{SCHEMA}_next.py").write_text(_REVISION, "utf-8")
    return package.parent
