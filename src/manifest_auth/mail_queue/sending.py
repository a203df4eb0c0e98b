"""Sends what is queued: at once after the commit, and again later, what the mail server did not take."""

from __future__ import annotations

import asyncio
import contextlib

from manifest_auth.context import Context, House
from manifest_auth.mail_queue import queue
from manifest_auth.mail_queue.queue import LEASE_MS, Queued, Row
from manifest_auth.runtime.mail import LEISURE_S
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.store import StoreUnavailable

EVERY_S = 5.0
#: The first try may take as long; it ends before others may take the e-mail.
FIRST_S = 10.0
BATCH = 8
assert FIRST_S * 1000 < LEASE_MS


async def send_now(ctx: Context, *mails: Queued | None) -> list[bool]:
    """Of each e-mail, whether the mail server took it while the caller waited: for some seconds, for all e-mails of one
    request together. What takes longer goes on in the background; what fails is tried again later."""
    house = ctx.house
    tasks = {mail.id: house.mail.in_background(_try(house, mail, FIRST_S, ctx.request_id)) for mail in mails if mail}
    if tasks:
        if ctx.mail_until is None:
            ctx.mail_until = house.mail.deadline()
        left = ctx.mail_until - asyncio.get_running_loop().time()
        await asyncio.wait(tasks.values(), timeout=max(0.0, left))
    return [mail is not None and _is_taken(tasks[mail.id]) for mail in mails]


def send_soon(house: House, request_id: str, *mails: Queued | None) -> None:
    """As :func:`send_now`; no one waits."""
    for mail in mails:
        if mail is not None:
            house.mail.in_background(_try(house, mail, FIRST_S, request_id))


def _is_taken(task: asyncio.Task[bool]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result()


async def _try(house: House, mail: Queued, seconds: float, request_id: str) -> bool:
    taken = await house.mail.send(mail.letter, house.mail.deadline(seconds), request_id, mail.id)
    if taken:
        await house.store.of(mail.tenant_id).write_quickly(lambda unit: queue.drop(unit, mail.id))
    return taken


async def run(house: House) -> None:
    """Until cancelled. A task of its own: a mail server that hangs keeps no other background job waiting."""
    while True:
        try:
            await sweep(house)
        except StoreUnavailable as error:
            house.log.warning("mail_queue_failed", error=str(error))
        except Exception:
            house.log.exception("mail_queue_failed")
        await asyncio.sleep(EVERY_S)


async def sweep(house: House) -> None:
    """Tries everything that is due once, and gives up what was tried for long enough. Raises StoreUnavailable."""
    while rows := await house.store.read(lambda unit: queue.due(unit, house.clock.now_ms(), BATCH)):
        await asyncio.gather(*(_try_again(house, row) for row in rows))


async def _try_again(house: House, row: Row) -> None:
    now, store = house.clock.now_ms(), house.store.of(row.tenant_id)
    if row.expires_at <= now:
        await store.write(lambda unit: queue.give_up(unit, row, now))
        return
    if await store.write_quickly(lambda unit: queue.take(unit, row, now)):
        with contextlib.suppress(CannotOpen):  # of another secret key, which may come back within the hour
            await _try(house, queue.opened(house.sealer, row), LEISURE_S, "mail-queue")
