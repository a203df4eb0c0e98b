"""Only a person with access to the terminal can create the first system admin, and only one of twenty at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete, select

from manifest_auth import audit
from manifest_auth.accounts import admins
from manifest_auth.accounts.admins import admins as setup_code
from manifest_auth.audit import Origin
from manifest_auth.errors import Conflict, InvalidCredentials, NotFound, RateLimited, Refusal, ValidationError
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.runtime.settings import load
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in import admin_accounts, admin_sign_in
from manifest_auth.store import global_, tenant_scoped
from manifest_auth.store.tables import admin_sessions, audit_events, installation, system_admins, throttles
from manifest_auth.text.scan_codes import ALPHABET, random_letters
from tests.support.application import FAST, PASSWORD, FrozenClock
from tests.support.matrix import matrix

ADDRESS = "192.0.2.9"
_ADMINS = global_(select(system_admins.c.username), str)
_FORGET = [global_(delete(table)) for table in (admin_sessions, system_admins, throttles)]
_VALUES = global_(select(installation.c.value), str)
_EVENTS = tenant_scoped(select(audit_events.c.event, audit_events.c.actor).order_by(audit_events.c.sequence))


@pytest.fixture(scope="module")
async def opened_once(database_url: str) -> AsyncIterator[Services]:
    settings = load({**FAST, "MANIFEST_DATABASE_URL": database_url})
    async with opened(build_services(settings, FrozenClock())) as services:
        yield services


@pytest.fixture
async def services(opened_once: Services) -> Services:
    """An installation without a system admin."""

    def forget(unit):  # type: ignore[no-untyped-def]
        setup_code.void_setup_code(unit)
        for statement in _FORGET:
            unit.change(statement)

    await opened_once.store.write(forget)
    return opened_once


def request(services: Services, address: str = ADDRESS) -> RequestContext:
    return RequestContext(services, "r-1", address, "Firefox")


async def code_of(services: Services) -> str:
    told = await admin_accounts.setup_code_at_start(services)
    assert told is not None
    assert told.code is not None
    return told.code


async def usernames(services: Services) -> list[str]:
    return await services.store.read(lambda unit: unit.all(_ADMINS))


async def trail(services: Services) -> list[tuple[str, str]]:
    return await services.store.of(audit.INSTALLATION).read(lambda unit: unit.all(_EVENTS))


async def test_the_code_has_sixteen_letters_and_is_stored_as_a_hash(services: Services) -> None:
    code = await code_of(services)
    assert re.fullmatch(r"(?:[BCDFGHJKLMNPQRSTVWXZ]{4}-){3}[BCDFGHJKLMNPQRSTVWXZ]{4}", code)
    values = await services.store.read(lambda unit: unit.all(_VALUES))
    assert not any(code in value or code.replace("-", "") in value for value in values)
    assert (await trail(services))[-1] == ("setup_code_made", "system")


async def test_every_letter_comes_about_as_often_as_the_others(services: Services) -> None:
    found = random_letters(services.random.bytes, 20_000)
    counts = [found.count(letter) for letter in ALPHABET]
    assert sum(counts) == 20_000
    assert min(counts) > 700  # 1000 expected for each letter; detects missing letters, but not a slight modulo bias


async def test_it_makes_the_first_admin_who_then_signs_in(services: Services) -> None:
    code = await code_of(services)
    assert await admin_accounts.is_setup_open(request(services))
    number = await admin_accounts.set_up(request(services), code.lower().replace("-", " "), "Ada", PASSWORD)
    assert await usernames(services) == ["Ada"]
    assert (await trail(services))[-1] == ("admin_created", "anonymous")
    opened_session = await admin_sign_in.sign_in(request(services), "ada", PASSWORD, shown="")
    assert opened_session.admin.id == number
    assert not await admin_accounts.is_setup_open(request(services))
    with pytest.raises(NotFound):
        await admin_accounts.set_up(request(services), code, "Eve", PASSWORD)


async def test_of_twenty_who_come_at_the_same_time_one_makes_an_admin(services: Services) -> None:
    code = await code_of(services)

    async def attempt(number: int) -> Refusal | None:
        ctx = request(services, f"198.51.100.{number}")
        try:
            await admin_accounts.set_up(ctx, code, f"admin-{number}", PASSWORD)
        except Refusal as refusal:
            return refusal
        return None

    answers = await asyncio.gather(*(attempt(number) for number in range(1, 21)))
    assert answers.count(None) == 1
    assert {type(answer) for answer in answers if answer is not None} <= {NotFound, InvalidCredentials}
    assert len(await usernames(services)) == 1


@matrix("shown", ["", "BCDF", "BCDF-GHJK-LMNP-QRST", "x" * 1000, "\udcff" * 16])
async def test_a_wrong_code_makes_none_and_is_recorded(services: Services, shown: str) -> None:
    await code_of(services)
    with pytest.raises(InvalidCredentials) as refused:
        await admin_accounts.set_up(request(services), shown, "Eve", PASSWORD)
    assert [field for field, _ in refused.value.details] == ["code"]
    assert await usernames(services) == []
    assert (await trail(services))[-1] == ("setup_code_failed", "anonymous")


async def test_without_a_code_none_is_made(services: Services) -> None:
    with pytest.raises(InvalidCredentials):
        await admin_accounts.set_up(request(services), "", "Eve", PASSWORD)


async def test_a_code_is_good_for_an_hour(services: Services) -> None:
    code = await code_of(services)
    clock = services.clock
    assert isinstance(clock, FrozenClock)
    clock.advance(3600)
    with pytest.raises(InvalidCredentials):
        await admin_accounts.set_up(request(services), code, "Late", PASSWORD)
    newer = await code_of(services)
    clock.advance(3599)
    await admin_accounts.set_up(request(services), newer, "Early", PASSWORD)


async def test_a_second_start_prints_no_other_and_the_command_voids_the_one_before(services: Services) -> None:
    code = await code_of(services)
    again = await admin_accounts.setup_code_at_start(services)
    assert again is not None
    assert again.code is None
    origin = Origin(services.clock.now_ms(), "system", "", "command-line")
    newer = (await admin_accounts.new_setup_code(services, origin)).code
    assert newer is not None
    with pytest.raises(InvalidCredentials):
        await admin_accounts.set_up(request(services), code, "Ada", PASSWORD)
    await admin_accounts.set_up(request(services), newer, "Ada", PASSWORD)


async def test_a_code_that_is_replaced_while_the_password_is_hashed_makes_none(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, original = await code_of(services), services.hasher.hash
    origin = Origin(services.clock.now_ms(), "system", "", "command-line")

    async def late(password: str) -> str:
        await admin_accounts.new_setup_code(services, origin)
        return await original(password)

    monkeypatch.setattr(services.hasher, "hash", late)
    with pytest.raises(InvalidCredentials):
        await admin_accounts.set_up(request(services), code, "Ada", PASSWORD)
    assert await usernames(services) == []


async def test_after_an_admin_was_made_in_another_way_there_is_no_code(services: Services) -> None:
    code = await code_of(services)
    stored = await services.hasher.hash(PASSWORD)
    await services.store.write(lambda unit: admins.create(unit, "root", stored, services.clock.now_ms()))
    with pytest.raises(NotFound):
        await admin_accounts.set_up(request(services), code, "Eve", PASSWORD)
    assert await admin_accounts.setup_code_at_start(services) is None
    with pytest.raises(Conflict):
        await admin_accounts.new_setup_code(services, Origin(services.clock.now_ms(), "system", "", "command-line"))
    assert await usernames(services) == ["root"]


@matrix(
    ("username", "password", "field"),
    [("", PASSWORD, "username"), (" Ada", PASSWORD, "username"), ("a\x07", PASSWORD, "username"),
     ("x" * 65, PASSWORD, "username"), ("Ada", "fourteen-chars", "password"), ("Ada", "password1234567", "password"),
     ("kestrel-harbor-21", "kestrel-harbor-21", "password")],
)  # fmt: skip
async def test_name_and_password_follow_the_rules_and_the_code_stays_good(
    services: Services, username: str, password: str, field: str
) -> None:
    code = await code_of(services)
    with pytest.raises(ValidationError) as refused:
        await admin_accounts.set_up(request(services), code, username, password)
    assert [name for name, _ in refused.value.details] == [field]
    await admin_accounts.set_up(request(services), code, "Ada", PASSWORD)


async def test_guesses_wait_and_keep_nobody_else_out(services: Services) -> None:
    code = await code_of(services)
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            await admin_accounts.set_up(request(services), "BCDF-GHJK-LMNP-QRST", "Eve", PASSWORD)
    with pytest.raises(RateLimited):  # the response doesn't show whether the code is correct
        await admin_accounts.set_up(request(services), code, "Eve", PASSWORD)
    await admin_accounts.set_up(request(services, "198.51.100.1"), code, "Ada", PASSWORD)
