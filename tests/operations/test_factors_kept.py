"""Second factors survive a restore and a new secret key, and can't be read in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from manifest_auth.maintenance.backup import back_up
from manifest_auth.maintenance.reencrypt import reencrypt
from manifest_auth.maintenance.restore import restore
from manifest_auth.runtime.sealing import Macs, SecretKeys
from tests.operations.used_installation import quiet, settings_of
from tests.support.application import App, running
from tests.support.envelope import check_success
from tests.support.rules import rule
from tests.support.second_factors import OWN, Person, person
from tests.support.secret_keys import SECRET_KEY
from tests.support.system_admins import Phone

OLD, NEW = bytes.fromhex(SECRET_KEY), bytes(range(32))


def _set_keys(app: App, *keys: bytes) -> None:
    app.services.sealer.keys = SecretKeys(keys)
    app.services.store.macs = Macs(app.services.sealer.keys)


async def _renewed(app: App, *keys: bytes) -> None:
    """Re-encrypt everything with the first key, and remove the others."""
    _set_keys(app, *keys)
    report = await reencrypt(app.services, lambda _what, _done: None)
    assert (report.lost, report.is_unfinished) == ([], False)
    _set_keys(app, keys[0])


@pytest.fixture
async def old_key_again(app: App) -> AsyncIterator[None]:
    yield
    await _renewed(app, OLD, NEW)


@rule("SECOND-FACTOR-CODES")
@pytest.mark.usefixtures("old_key_again", "no_e_mail_is_sent")
async def test_with_a_new_secret_key_everybody_still_can_sign_in(app: App) -> None:
    ada = await person(app)
    token = await ada.token()
    codes = await ada.enrol(token)
    trusted, waiting = await ada.trusted(), (await ada.challenge())["challenge"]
    begun = check_success(await app.post(f"{OWN}/totp", token=token), 201)
    await _renewed(app, NEW, OLD)
    assert ada.phone is not None
    app.clock.advance(30)
    check_success(await ada.go_on(waiting, otp=ada.phone.code()))
    check_success(await ada.answered())
    check_success(await ada.sign_in_with(recoveryCode=codes[0]))
    check_success(await ada.sign_in(cookies=f"trust={trusted}"))
    code = Phone(app, begun["secret"]).code()
    check_success(await app.post(f"{OWN}/totp/confirm", {"otp": code}, token=token))


async def test_after_a_restore_app_codes_and_trust_are_there(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'store.db'}") as app:
        ada = await person(app)
        codes = await ada.enrol(await ada.token())
        trusted, now = await ada.trusted(), app.clock.ms
    used = settings_of(tmp_path, MANIFEST_DATABASE_URL=f"sqlite:///{tmp_path / 'store.db'}")
    back_up(used, tmp_path / "saved.tar", quiet)
    restore(settings_of(tmp_path, "new"), tmp_path / "saved.tar", quiet)
    async with running(f"sqlite:///{tmp_path / 'new' / 'manifest-auth.db'}") as app:
        app.clock.ms = now
        back = Person(app, ada.client, ada.id, ada.email, Phone(app, ada.phone.secret if ada.phone else ""))
        check_success(await back.sign_in(cookies=f"trust={trusted}"))
        check_success(await back.answered())
        check_success(await back.sign_in_with(recoveryCode=codes[0]))
        assert (await back.sign_in_with(recoveryCode=codes[0])).code == "MFA_REQUIRED"


@rule("SECOND-FACTOR-CODES")
async def test_the_store_shows_no_secret_no_code_and_no_cookie(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with running(f"sqlite:///{path}") as app:
        ada = await person(app)
        token = await ada.token()
        codes = await ada.enrol(token)
        begun = check_success(await app.post(f"{OWN}/totp", token=token), 201)
        secrets = [begun["secret"], await ada.trusted(), (await ada.challenge())["challenge"], *codes]
        assert ada.phone is not None
        secrets += [ada.phone.secret, *(code.replace("-", "") for code in codes)]
    store = sqlite3.connect(path)
    try:
        dump = "\n".join(store.iterdump())
    finally:
        store.close()
    assert ada.email in dump, "the dump holds what is no secret"
    known = {form for secret in secrets for form in (secret, secret.upper(), secret.encode().hex())}
    assert not [form for form in known if form.casefold() in dump.casefold()]
