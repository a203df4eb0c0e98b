"""Sends what is queued: at once after the commit, and again later what the mail server did not take."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

import orjson
from structlog.typing import FilteringBoundLogger

from manifest_auth.context import Request
from manifest_auth.mail_queue import rows
from manifest_auth.mail_queue.rows import LEASE_MS, LIFE_MS, Row
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.mail import LEISURE_S, Letter, Mail
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import Store, StoreUnavailable, TenantUnit

EVERY_S = 5.0
#: The first try may take as long; it ends before others may take the e-mail.
FIRST_S = 10.0
BATCH = 8
assert FIRST_S * 1000 < LEASE_MS


class Queued(NamedTuple):
    """An e-mail that is in the store, and what it says."""

    tenant_id: int
    id: str
    letter: Letter


class MailQueue:
    """The queue as one process fills and empties it."""

    def __init__(
        self, mail: Mail, store: Store, sealer: Sealer, clock: Clock, random: Random, log: FilteringBoundLogger
    ) -> None:
        self._mail, self._store, self._sealer = mail, store, sealer
        self._clock, self._random, self._log = clock, random, log

    @property
    def is_set_up(self) -> bool:
        """Whether the operator named a mail server."""
        return self._mail.is_set_up

    def add(
        self, unit: TenantUnit, letter: Letter, purpose: str, subject: str, *, useful_ms: int = LIFE_MS
    ) -> Queued | None:
        """Queues an e-mail in the transaction of the act that it tells of; None where no mail is set up. ``purpose``: a
        word for the audit trail; ``subject``: whom it is about, like ``user:5``; ``useful_ms``: how long it makes sense
        to try, an hour at most. The caller sends it after the commit (:meth:`send_now`, :meth:`send_soon`); a process
        that dies before leaves it to the others."""
        if not self.is_set_up:
            return None
        now, key = self._clock.now_ms(), self._random.text(16)
        sealed = self._sealer.seal(orjson.dumps(letter._asdict()), rows.sealed_place(unit.tenant_id, key))
        expires_at = now + min(useful_ms, LIFE_MS)
        rows.add(
            unit,
            Row(
                tenant_id=unit.tenant_id,
                id=key,
                purpose=purpose,
                subject=subject,
                mail=sealed,
                tries=1,
                created_at=now,
                next_try_at=now + LEASE_MS,
                expires_at=expires_at,
            ),
        )
        return Queued(unit.tenant_id, key, letter)

    async def send_now(self, request: Request, *mails: Queued | None) -> list[bool]:
        """Of each e-mail, whether the mail server took it while the caller waited: for some seconds, for all e-mails of
        one request together. What takes longer goes on in the background; what fails is tried again later."""
        tasks = {mail.id: self._in_background(mail, request.request_id) for mail in mails if mail}
        if tasks:
            if request.mail_until is None:
                request.mail_until = self._mail.deadline()
            left = request.mail_until - asyncio.get_running_loop().time()
            await asyncio.wait(tasks.values(), timeout=max(0.0, left))
        return [mail is not None and _is_taken(tasks[mail.id]) for mail in mails]

    def send_soon(self, request_id: str, *mails: Queued | None) -> None:
        """As :meth:`send_now`; no one waits."""
        for mail in mails:
            if mail is not None:
                self._in_background(mail, request_id)

    def _in_background(self, mail: Queued, request_id: str) -> asyncio.Task[bool]:
        return self._mail.in_background(self._try(mail, FIRST_S, request_id))

    async def _try(self, mail: Queued, seconds: float, request_id: str) -> bool:
        taken = await self._mail.send(mail.letter, self._mail.deadline(seconds), request_id, mail.id)
        if taken:
            await self._store.of(mail.tenant_id).write_quickly(lambda unit: rows.drop(unit, mail.id))
        return taken

    async def run(self) -> None:
        """Until cancelled. A task of its own: a mail server that hangs keeps no other background job waiting."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                self._log.warning("mail_queue_failed", error=str(error))
            except Exception:  # noqa: BLE001 - the log has it, and the queue goes on
                self._log.exception("mail_queue_failed")
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """Tries everything that is due once, and gives up what was tried for long enough. Raises StoreUnavailable."""
        while found := await self._store.read(lambda unit: rows.due(unit, self._clock.now_ms(), BATCH)):
            await asyncio.gather(*(self._try_again(row) for row in found))

    async def _try_again(self, row: Row) -> None:
        now, store = self._clock.now_ms(), self._store.of(row.tenant_id)
        if row.expires_at <= now:
            await store.write(lambda unit: rows.give_up(unit, row, now))
            return
        if await store.write_quickly(lambda unit: rows.take(unit, row, now)):
            with contextlib.suppress(CannotOpen):  # of another secret key, which may come back within the hour
                await self._try(self._opened(row), LEISURE_S, "mail-queue")

    def _opened(self, row: Row) -> Queued:
        said = orjson.loads(self._sealer.open(row.mail, rows.sealed_place(row.tenant_id, row.id)))
        return Queued(row.tenant_id, row.id, Letter(**said))


def _is_taken(task: asyncio.Task[bool]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result()
