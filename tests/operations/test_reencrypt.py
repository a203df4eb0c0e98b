"""With a new secret key, every value is re-encrypted, and can be decrypted the whole time."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import LargeBinary, bindparam, insert, select, update

from manifest_auth import audit
from manifest_auth import audit as trail
from manifest_auth.accounts import admins
from manifest_auth.audit import Event, Origin
from manifest_auth.maintenance import reencrypt as reencrypting
from manifest_auth.maintenance.reencrypt import SEALED, Report, Sealed, reencrypt
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import CannotOpen, Macs, Sealer, SecretKeys
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import TENANT_OWNED, metadata, sealed_for
from tests.store import rows
from tests.support.accounts import Keys, keys_of, new_client, opened_by
from tests.support.application import App
from tests.support.secret_keys import SECRET_KEY

_numbers = itertools.count(1)
OLD = bytes.fromhex(SECRET_KEY)
NEW, NEWER = bytes(range(32)), bytes(range(32, 64))
_WHY = "the test looks at all that is sealed"
#: Columns of bytes that aren't secret: logos, which are public, and public keys. Submitted forms are deleted after a
#: day, and encrypted with a signing key, which is itself encrypted.
PUBLIC = {"client_logos.png", "passkeys.public_key", "submitted_forms.answer", "submitted_forms.kept"}
pytestmark = [pytest.mark.usefixtures("no_e_mail_is_sent"), pytest.mark.one_store]


def one(*keys: bytes) -> Sealer:
    return Sealer(SecretKeys(keys), Random())


def quiet(_what: str, _done: int) -> None:
    """Report no progress."""


@pytest.fixture
async def sealed(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Keys]]:
    """Seven rows with the old key in every table with encrypted data, three per step, and signed-in users."""
    monkeypatch.setattr(reencrypting, "STEP", 3)
    monkeypatch.setattr(reencrypting, "SEALED", tuple(Sealed(part.column) for part in SEALED))
    _set_keys(app, OLD)
    tenant_id = app.ids.get("acme", 1)
    for part in SEALED:
        for _ in range(7):
            await app.services.store.write(lambda unit, part=part: _add(unit, part, tenant_id))  # type: ignore[misc]
    await app.services.keys.of_apps("ES256")
    for _ in range(3):
        await app.services.store.write(lambda unit: app.services.keys.rotate(unit, [Purpose.ID_ES256]))
    yield [await keys_of(app) for _ in range(2)]
    _set_keys(app, NEWER, NEW, OLD)
    await reencrypt(app.services, quiet)
    _set_keys(app, OLD, NEWER)
    await reencrypt(app.services, quiet)
    _set_keys(app, OLD)


def _set_keys(app: App, *keys: bytes) -> None:
    app.services.sealer.keys = SecretKeys(keys)
    app.services.store.macs = Macs(app.services.sealer.keys)


def _add(unit: Any, part: Sealed, tenant_id: int) -> None:
    table = part.column.table
    if table.name in ("signing_keys", "id_token_keys"):
        return  # the key ring has created some; an invalid key row would stop it
    add_as_it_is(unit, part, tenant_id, b"?")
    statement = select(*(table.c[name] for name in part.columns)).where(part.column == bindparam("mark"))
    [found] = [
        dict(zip(part.columns, row, strict=True)) for row in unit.all(cross_tenant(statement, because=_WHY), mark=b"?")
    ]
    value = one(OLD).seal(b"value of " + part.name.encode(), sealed_for(part.column, **found))
    change = update(table).where(part.column == bindparam("mark")).values({part.column: bindparam("value")})
    unit.change(cross_tenant(change, because=_WHY), mark=b"?", value=value)


def add_as_it_is(unit: Any, part: Sealed, tenant_id: int, value: bytes) -> None:
    """Insert a row with this value in the encrypted column, without encrypting it."""
    table = part.column.table
    if table in TENANT_OWNED:
        values: dict[str, Any] = {"tenant_id": tenant_id}
        others = rows.others_for(unit, table, tenant_id)
    else:  # a system admin's
        values = {}
        others = {"system_admins": admins.create(unit, f"admin-{next(_numbers)}", "x", 1)}
    values |= {c.name: rows.value_for(c, others) for c in rows.needed(table)} | {part.column.name: value}
    unit.change(cross_tenant(insert(table).values({name: bindparam(name) for name in values}), because=_WHY), **values)


async def opening(app: App, *keys: bytes) -> dict[str, list[bool]]:
    """For every encrypted column, the rows that these keys alone can decrypt."""
    found: dict[str, list[bool]] = {}
    for part in SEALED:
        statement = select(*(part.column.table.c[name] for name in part.columns)).where(part.column.is_not(None))
        for row in await app.services.store.read(lambda unit, s=statement: unit.all(cross_tenant(s, because=_WHY))):  # type: ignore[misc]
            values = dict(zip(part.columns, row, strict=True))
            try:
                one(*keys).open(values[part.column.name], sealed_for(part.column, **values))
                found.setdefault(part.name, []).append(True)
            except CannotOpen:
                found.setdefault(part.name, []).append(False)
    return found


def test_every_column_of_bytes_says_how_it_is_sealed() -> None:
    """A column that is neither encrypted nor listed as plain would be forgotten when the key changes."""
    columns = [c for table in metadata.tables.values() for c in table.columns if isinstance(c.type, LargeBinary)]
    sealed = {part.name for part in SEALED}
    assert {str(c) for c in columns} == sealed | PUBLIC
    assert not sealed & PUBLIC
    assert len(SEALED) >= 4


async def test_all_is_sealed_again_and_no_one_is_signed_out(app: App, sealed: list[Keys]) -> None:
    _set_keys(app, NEW, OLD)
    report = await reencrypt(app.services, quiet)
    assert (report.lost, report.is_unfinished) == ([], False)
    found = await opening(app, NEW)
    assert set(found) == {part.name for part in SEALED}
    for name, opened in found.items():
        assert all(opened), name
        assert len(opened) >= 4, name
        assert report.renewed[name] >= 4
    assert not any(any(opened) for opened in (await opening(app, OLD)).values())
    _set_keys(app, NEW)
    assert await app.services.keys.refresh() is True
    for keys in sealed:
        assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]
    assert await app.services.keys.refresh() is False


async def test_the_ends_of_the_audit_trail_are_signed_again(app: App, sealed: list[Keys]) -> None:
    store, chains = app.services.store, [0, app.ids["acme"]]
    await swept(app)
    _set_keys(app, NEW, OLD)
    report = await reencrypt(app.services, quiet)
    assert [report.renewed[f"audit_{which}.mac"] >= 2 for which in ("heads", "anchors")] == [True, True]
    _set_keys(app, NEW)
    for chain in chains:
        assert (await trail.verify(store, chain, lambda _: None)).faults == []


async def test_an_older_key_that_was_removed_too_early_is_told_and_can_be_put_back(app: App) -> None:
    """Events recorded in the meantime are marked as unchecked, until the key is restored."""
    acme, store = app.ids["acme"], app.services.store

    async def faults() -> list[str]:
        return sorted(fault.kind for fault in (await trail.verify(store, acme, lambda _: None)).faults)

    await swept(app)
    assert await faults() == []
    _set_keys(app, NEW)
    assert await faults() == ["anchor", "head"]
    await record(app, acme)
    await record(app, acme)
    assert await faults() == ["anchor", "head"]
    assert f"audit_heads/{acme}" in (await reencrypt(app.services, quiet)).lost
    _set_keys(app, NEW, OLD)
    assert await faults() == []
    assert (await reencrypt(app.services, quiet)).lost == []
    _set_keys(app, NEW)
    assert await faults() == []
    _set_keys(app, OLD, NEW)
    await reencrypt(app.services, quiet)


async def swept(app: App) -> None:
    """Let retention delete the beginnings of the trails, and sign its position."""
    for chain in (0, app.ids["acme"]):
        await record(app, chain)
    app.clock.advance(60)
    done = await trail.sweep(app.services.store, before=app.clock.now_ms(), now=app.clock.now_ms())
    assert done.removed > 0


async def record(app: App, chain: int) -> None:
    origin = Origin(app.clock.now_ms(), "system", "", "test")
    await app.services.store.of(chain).write(lambda unit: audit.record(unit, origin, Event.SIGNED_OUT))


async def test_a_second_time_there_is_nothing_to_do(app: App, sealed: list[Keys]) -> None:
    _set_keys(app, NEW, OLD)
    first = await reencrypt(app.services, quiet)
    again = await reencrypt(app.services, quiet)
    assert sum(first.renewed.values()) > 20
    assert (sum(again.renewed.values()), again.seen) == (0, first.seen)


async def test_broken_off_it_goes_on_where_it_was(app: App, sealed: list[Keys]) -> None:
    _set_keys(app, NEW, OLD)

    class Enough(Exception):
        pass

    def break_off(what: str, done: int) -> None:
        if what.startswith("sign_in_flows") and done >= 6:
            raise Enough

    with pytest.raises(Enough):
        await reencrypt(app.services, break_off)
    half = [one_row for opened in (await opening(app, NEW)).values() for one_row in opened]
    assert 0 < sum(half) < len(half)
    assert all(all(opened) for opened in (await opening(app, NEW, OLD)).values())
    await reencrypt(app.services, quiet)
    assert all(all(opened) for opened in (await opening(app, NEW)).values())


async def test_what_no_key_opens_is_named_and_left_alone(app: App, sealed: list[Keys]) -> None:
    client = await new_client(app)
    table = metadata.tables["sign_in_flows"]
    part = next(p for p in SEALED if p.column.table is table)
    mark = {"value": one(NEWER).seal(b"x", "elsewhere"), "key": "f" * 64}

    def spoil(unit: Any) -> None:
        first = part.read(unit, None)[0]
        change = update(table).where(table.c.key == bindparam("of")).values(secrets=bindparam("value"))
        mark["key"] = first["key"]
        unit.change(cross_tenant(change, because=_WHY), of=mark["key"], value=mark["value"])

    await app.services.store.write(spoil)
    _set_keys(app, NEW, OLD)
    report: Report = await reencrypt(app.services, quiet)
    assert report.lost == [f"sign_in_flows/{mark['key']}/secrets"]
    found = await opening(app, NEW)
    assert found["sign_in_flows.secrets"].count(False) == 1
    assert all(all(opened) for name, opened in found.items() if name != "sign_in_flows.secrets")
    assert client
    gone = table.delete().where(table.c.key == bindparam("of"))
    await app.services.store.write(lambda unit: unit.change(cross_tenant(gone, because=_WHY), of=mark["key"]))


async def test_a_server_that_goes_on_with_the_old_key_is_noticed(
    app: App, sealed: list[Keys], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every round, it encrypts a value in a part that was already checked."""
    _set_keys(app, NEW, OLD)
    part = next(p for p in SEALED if p.column.table.name == "sign_in_flows")
    tenant_id, sign = app.ids.get("acme", 1), reencrypting._sign

    async def seal_and_sign(*given: Any) -> None:
        await app.services.store.write(lambda unit: _add(unit, part, tenant_id))
        await sign(*given)

    monkeypatch.setattr(reencrypting, "_sign", seal_and_sign)
    assert (await reencrypt(app.services, quiet)).is_unfinished
    monkeypatch.setattr(reencrypting, "_sign", sign)
    assert not (await reencrypt(app.services, quiet)).is_unfinished


async def test_a_user_who_changed_a_value_in_the_meantime_keeps_it(app: App, sealed: list[Keys]) -> None:
    """The change requires exactly the value that was read."""
    part = next(p for p in SEALED if p.column.table.name == "sign_in_flows")
    row = (await app.services.store.read(lambda unit: part.read(unit, None)))[0]
    row["secrets"] = b"another"
    changed = await app.services.store.write(lambda unit: part.replace(unit, row, b"lost"))
    assert changed == 0
