"""``python -m tests.store.record`` writes a used database of this release to ``store_VERSION.json``.

Upgrade tests start from it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from manifest_auth import __version__
from manifest_auth.store import migrate
from tests.store import old_stores
from tests.support import run_folder
from tests.support.accounts import Keys, keys_of, settle
from tests.support.application import running
from tests.support.machines import machine
from tests.support.people import oidc_provider
from tests.support.single_sign_on import Browser, query_of
from tests.support.system_admins import enrolled, signed_in_admin

USERS = "/api/admin/clients/acme/users"
_OTHERS = {"alembic_version", "sqlite_sequence"}


async def _fill(path: Path) -> dict[str, Any]:
    """Use a new database; returns its users' tokens and cookies."""
    async with running(f"sqlite:///{path}") as app:
        author = await app.sign_in()
        kept = Keys.of(author)
        child = (await app.refresh(kept.refresh_token)).data["refreshToken"]
        await app.sign_in(password="a wrong one")
        viewer = await keys_of(app, "viewer@acme.example")
        assert (await app.post("/api/client/auth/sign-out", token=viewer.token)).status == 200
        await settle(app, "acme", password={"minLength": 12}, refreshStrict=True)
        path_of_reset = f"{USERS}/{app.ids['operator@acme.example']}/password-reset"
        reset = (await app.post(path_of_reset, token=await app.admin_token())).data
        async with oidc_provider(app, "globex") as company:
            ada = await company.sign_in("ada", "ada@globex.example")
            _, returned = await company.attempt("ada", "ada@globex.example", query={"response": "code"})
            await Browser(app).start("oidc", provider=company.name, client=company.client)
        caller = await machine(app, "acme")
        root = await signed_in_admin(app)
        phone = await enrolled(root)
        return {
            "author": {**kept._asdict(), "child": child, "device": author.cookie("device")},
            "viewer": viewer._asdict(),
            "ada": {"cookie": ada.cookies["session"], "code": query_of(returned)["code"]},
            "machine": {"key": caller.key.text},
            "operator": {"link": reset["link"]},
            "root": {"token": root.token, "secret": phone.secret, "recoveryCodes": list(phone.recovery_codes)},
            "now": app.clock.now_ms(),
        }


def _rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of the product's tables."""
    with sqlite3.connect(path) as store:
        store.row_factory = sqlite3.Row
        tables = {row["name"] for row in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        names = sorted(tables - _OTHERS)
        return {name: [dict(row) for row in store.execute(f'SELECT * FROM "{name}"')] for name in names}


def main() -> None:
    run_folder.begin()
    try:
        _record()
    finally:
        run_folder.end()


def _record() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        keys = asyncio.run(_fill(path))
        rows = _rows(path)
    text = {
        "schema": migrate.HEAD,
        "keys": keys,
        "rows": {name: json.loads(old_stores.closed(found)) for name, found in rows.items()},
    }
    target = Path(__file__).parent / f"store_{__version__}.json"
    target.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    print(target)


if __name__ == "__main__":
    main()
