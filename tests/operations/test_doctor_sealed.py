"""``doctor`` decrypts every encrypted value and names those without a key; requests that need one are logged."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import bindparam, update

from manifest_auth.maintenance import reencrypt
from manifest_auth.maintenance.doctor import storage
from manifest_auth.maintenance.doctor.storage import sealed_findings
from manifest_auth.maintenance.reencrypt import SEALED, Sealed
from manifest_auth.runtime import logs
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import providers as providers_table
from tests.operations.test_reencrypt import add_as_it_is
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.commands import done, run
from tests.support.matrix import matrix
from tests.support.single_sign_on import add_provider

_WHY = "the test breaks what it likes"
BROKEN = b"\x01" + bytes(40)
OIDC = {"issuer": "https://idp.example", "clientId": "x", "clientSecret": "s3cret"}
# Keep the sweep from deleting expired rows.
pytestmark = [pytest.mark.usefixtures("no_e_mail_is_sent"), pytest.mark.still]


def unseen(_what: str, _done: int) -> None:
    """Report no progress."""


async def spoil(app: App, part: Sealed, count: int) -> None:
    """Insert this many rows with values that aren't encrypted correctly."""
    for _ in range(count):
        await app.services.store.write(lambda unit: add_as_it_is(unit, part, app.ids.get("acme", 1), BROKEN))


async def clear(app: App, part: Sealed) -> None:
    """Delete these rows."""
    gone = cross_tenant(part.column.table.delete().where(part.column == bindparam("broken")), because=_WHY)
    await app.services.store.write(lambda unit: unit.change(gone, broken=BROKEN))


@matrix("part", SEALED, ids=[part.name for part in SEALED])
async def test_of_each_column_rows_are_named(app: App, monkeypatch: pytest.MonkeyPatch, part: Sealed) -> None:
    monkeypatch.setattr(reencrypt, "STEP", 3)
    monkeypatch.setattr(reencrypt, "SEALED", tuple(Sealed(one.column) for one in SEALED))
    store, sealer = app.services.store, app.services.sealer
    [(level, text)] = await sealed_findings(store, sealer, unseen)
    assert (level, text[:12]) == ("ok", "signing keys")
    await spoil(app, part, 12)
    try:
        [(level, text)] = await sealed_findings(store, sealer, unseen)
        assert level == "bad"
        assert text.startswith(f"encrypted values: no secret key decrypts {part.column.table.name}/")
        assert text.count(f"/{part.column.name}") == storage.NAMED
        assert " and 2 more; add the key that encrypted it after the others" in text
        assert storage._LOST[part.name] in text
    finally:
        await clear(app, part)


async def test_it_ends_in_time_and_says_what_it_did_not_see(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencrypt, "STEP", 1)
    monkeypatch.setattr(reencrypt, "SEALED", tuple(Sealed(one.column) for one in SEALED))
    shown: list[int] = []
    moments = iter([0.0, 0.0, storage.SECONDS])
    monkeypatch.setattr(storage, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    [(level, text)] = await sealed_findings(
        app.services.store, app.services.sealer, lambda _, count: shown.append(count)
    )
    assert level == "note"
    assert "checked 1, but not all of signing_keys.secret; `keys reencrypt` checks all" in text
    assert shown == [1]


async def test_a_provider_whose_secret_does_not_open(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await new_client(app)
    made = await add_provider(app, client, oidc=OIDC, name="broken")
    column = providers_table.c
    change = update(providers_table).where(column.id == bindparam("of")).values(secrets=bindparam("to"))
    spoiled = cross_tenant(change, because=_WHY)
    await app.services.store.write(lambda unit: unit.change(spoiled, of=made["id"], to=BROKEN))
    log = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(log))
    monkeypatch.setattr(app.services, "log", logs.build("error"))
    reply = await app.get(f"/api/client/auth/oidc?provider=broken&client={client}")
    assert (reply.status, reply.code) == (500, "INTERNAL_ERROR")
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.getvalue().splitlines()]
    [line] = [line for line in lines if line["event"] == "sealed_value_does_not_open"]
    assert line["row"].endswith(f"/{made['id']}/secrets (provider broken)")
    assert "manifest-auth doctor" in line["advice"]
    assert "exception" not in line
    gone = await app.send("DELETE", f"/api/admin/clients/{client}/providers/broken", token=await app.admin_token())
    assert gone.status == 200  # as doctor says


@pytest.mark.processes
def test_a_key_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    done(tmp_path, "client", "create", "initech")
    key = tmp_path / "data" / "secret.key"
    key.unlink()
    result = run(tmp_path, "doctor")
    assert result.status == 1
    [line] = [line for line in result.out.splitlines() if "secret key: " in line]
    assert line.startswith(f" BAD   secret key: {key} doesn't exist")
    assert not key.exists()
