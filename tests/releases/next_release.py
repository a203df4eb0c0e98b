"""Creates the *next* release: this tree with a revision that adds a table and columns, and code that uses them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import manifest_auth
from manifest_auth.store import migrate
from manifest_auth.store.migrations import versions

SCHEMA, VERSION = f"{int(migrate.HEAD) + 1:04}", "99.0.0"
_REVISION = f'''"""Adds notes of users, and when a program of the next release saw a user last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "{SCHEMA}"
down_revision = "{migrate.HEAD}"
READABLE_BY = "{{readable_by}}"


def upgrade() -> None:
    context.config.attributes.get("step", lambda *_: None)("next_notes", 0, 2)
    op.create_table("next_notes", sa.Column("id", sa.Integer(), primary_key=True), sqlite_strict=True)
    op.add_column("users", sa.Column("next_seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("sessions", sa.Column("next_kind", sa.Text(), nullable=False, server_default="old"))
'''
#: File, text, and replacement.
_EDITS = (
    ("__init__.py", f'__version__ = "{manifest_auth.__version__}"', f'__version__ = "{VERSION}"'),
    (
        "store/tables/accounts.py",
        'time("last_sign_in_at", nullable=True),\n',
        'time("last_sign_in_at", nullable=True),\n    time("next_seen_at", nullable=True),\n',
    ),
    (
        "accounts/users.py",
        '.values(last_sign_in_at=bindparam("now")))',
        '.values(last_sign_in_at=bindparam("now"), next_seen_at=bindparam("now")))',
    ),
)


def make(folder: Path, readable_by: str = migrate.HEAD) -> Path:
    """Write the release to the folder; returns its ``PYTHONPATH``. ``readable_by`` is set in its revision."""
    package = folder / "next" / "manifest_auth"
    source = Path(manifest_auth.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("site"))
    for name, before, after in _EDITS:
        path = package / name
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{name}: {before}"
        path.write_text(text.replace(before, after), "utf-8")
    _write_revision(package / "store" / "migrations", readable_by)
    return package.parent


def runs_it(folder: Path, readable_by: str = migrate.HEAD) -> dict[str, str]:
    """Create the release; returns the environment of a command that runs it."""
    return {"PYTHONPATH": str(make(folder, readable_by))}


def learn(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process upgrade to the next release's schema. ``folder`` contains its migrations, or receives them."""
    migrations = folder / "next-migrations"
    if not migrations.exists():
        shutil.copytree(migrate.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
        _write_revision(migrations, migrate.HEAD)
    patch.setattr(versions, "__path__", [str(migrations / "versions")])
    patch.setattr(migrate, "MIGRATIONS", migrations)
    patch.setattr(migrate, "FILES", {**migrate.FILES, SCHEMA: f"v{SCHEMA}_next"})
    patch.setattr(migrate, "SCHEMAS", (*migrate.SCHEMAS, SCHEMA))
    patch.setattr(migrate, "HEAD", SCHEMA)
    patch.setitem(sys.modules, f"{versions.__name__}.v{SCHEMA}_next", None)
    del sys.modules[f"{versions.__name__}.v{SCHEMA}_next"]


def _write_revision(migrations: Path, readable_by: str) -> None:
    text = _REVISION.replace("{readable_by}", readable_by)
    (migrations / "versions" / f"v{SCHEMA}_next.py").write_text(text, "utf-8")
