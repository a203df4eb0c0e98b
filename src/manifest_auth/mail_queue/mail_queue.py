"""The queue of e-mails: sent at once after the commit, and retried later where the mail server did not accept them.

What the mail server refuses for good is not retried.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

import orjson

from manifest_auth.context import Acting, Request
from manifest_auth.mail_queue import rows
from manifest_auth.mail_queue.rows import LEASE_MS, LIFE_MS, Row
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.runtime.mail import BACKGROUND_BUDGET_S, Email, Mail
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import Store, StoreUnavailable, TenantUnit

EVERY_S = 5.0
#: The longest first attempt; it ends before other processes may take the e-mail.
FIRST_S = 10.0
BATCH = 8
assert FIRST_S * 1000 < LEASE_MS


class Queued(NamedTuple):
    """A stored e-mail and its content."""

    tenant_id: int
    id: str
    email: Email


class MailQueue:
    """Adds e-mails to the queue, and sends them."""

    def __init__(
        self, mail: Mail, store: Store, sealer: Sealer, clock: Clock, random: Random, log: FilteringBoundLogger
    ) -> None:
        self._mail, self._store, self._sealer = mail, store, sealer
        self._clock, self._random, self._log = clock, random, log
        self._sending: dict[str, asyncio.Task[bool]] = {}  # by id, for as long as someone may wait for it

    @property
    def is_set_up(self) -> bool:
        """Whether a mail server is configured."""
        return self._mail.is_set_up

    def add(
        self, unit: TenantUnit, acting: Acting, email: Email, purpose: str, subject: str, *, useful_ms: int = LIFE_MS
    ) -> Queued | None:
        """Queues an e-mail in the transaction of its cause, and sends it after the commit. None: no mail is set up.

        ``purpose``: label for the audit trail; ``subject``: like ``user:5``; ``useful_ms``: how long to retry, at most
        an hour. If this process dies first, another one sends the e-mail.
        """
        if not self.is_set_up:
            return None
        now, key = self._clock.now_ms(), self._random.text(16)
        sealed = self._sealer.seal(orjson.dumps(email._asdict()), rows.row_name(unit.tenant_id, key))
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
        queued, request_id = Queued(unit.tenant_id, key, email), acting.origin.request_id
        unit.after_commit(lambda: self._send(queued, request_id))
        return queued

    async def delivered(self, request: Request, queued: Queued | None) -> bool:
        """Whether the mail server accepted a committed e-mail while the caller waited: some seconds for all e-mails of
        one request together. A slower one continues in the background; a failed one is retried later."""
        task = self._sending.get(queued.id) if queued is not None else None
        if task is None:
            return False
        if request.mail_until is None:
            request.mail_until = self._mail.deadline()
        left = request.mail_until - asyncio.get_running_loop().time()
        await asyncio.wait([task], timeout=max(0.0, left))
        return _is_taken(task)

    def _send(self, queued: Queued, request_id: str) -> None:
        task = self._mail.in_background(self._try(queued, FIRST_S, request_id))
        self._sending[queued.id] = task
        asyncio.get_running_loop().call_later(FIRST_S, self._sending.pop, queued.id, None)

    async def _try(self, mail: Queued, seconds: float, request_id: str) -> bool:
        failed = await self._mail.send(mail.email, self._mail.deadline(seconds), request_id, mail.id)
        store, now = self._store.of(mail.tenant_id), self._clock.now_ms()
        if failed is None:
            await store.write_quickly(lambda unit: rows.drop(unit, mail.id))
        elif failed.refused:
            await store.write(lambda unit: rows.refused(unit, mail.id, failed.refused, now))
        return failed is None

    async def run(self) -> None:
        """Retries until cancelled. It is a separate task, so that a hanging mail server does not delay other background
        jobs."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                self._log.info("mail_queue_failed", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and the queue continues
                self._log.exception("mail_queue_failed")
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """Sends all due e-mails once, and drops expired ones. Raises StoreUnavailable."""
        while True:
            now = await self._store.now_ms(self._clock)
            if not (found := await self._store.read(lambda unit: rows.due(unit, now, BATCH))):  # noqa: B023 - at once
                return
            await asyncio.gather(*(self._try_again(row, now) for row in found))

    async def _try_again(self, row: Row, now: int) -> None:
        store = self._store.of(row.tenant_id)
        if row.expires_at <= now:
            await store.write(lambda unit: rows.give_up(unit, row, now))
            return
        if await store.write_quickly(lambda unit: rows.take(unit, row, now)):
            # Sealed with another secret key, which may be restored within the hour.
            with contextlib.suppress(CannotOpen):
                await self._try(self._opened(row), BACKGROUND_BUDGET_S, "mail-queue")

    def _opened(self, row: Row) -> Queued:
        members = orjson.loads(self._sealer.open(row.mail, rows.row_name(row.tenant_id, row.id)))
        return Queued(row.tenant_id, row.id, Email(**members))


def _is_taken(task: asyncio.Task[bool]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result()
