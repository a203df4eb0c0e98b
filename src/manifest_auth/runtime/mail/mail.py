"""Sends the emails of one process, each within a time limit, and reports whether the server accepted it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.mail.looks import LOGO, PRODUCT, Look, html_of
from manifest_auth.runtime.mail.server import NotSent, Server
from manifest_auth.runtime.mail.writing import Email
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.tracing import spanned
from manifest_auth.text.languages import marked as _

if TYPE_CHECKING:
    from email.message import EmailMessage

    from manifest_auth.runtime.logs import FilteringBoundLogger


T = TypeVar("T")

THREADS = 4
MOST_WAITING = 100  # emails; a hanging mail server must not fill the memory
BUDGET_S = 3.0  # for all emails of one request, whose caller waits for the response
BACKGROUND_BUDGET_S = 30.0  # for an email for which no request waits


def check_connection(server: Server, seconds: float) -> None:
    """Connects to the mail server and signs in; sends nothing. ``seconds``: the limit for each response. Raises
    NotSent."""
    from manifest_auth.runtime.mail import smtp  # loads the mail library, which most processes never need

    smtp.check_connection(server, seconds)


class Mail:
    """The emails of one process. ``server`` None: mail is not configured, and nothing is ever sent."""

    def __init__(
        self, server: Server | None, clock: Clock, random: Random, log: FilteringBoundLogger, metrics: Metrics
    ) -> None:
        self._server, self._clock, self._random, self._log, self._metrics = server, clock, random, log, metrics
        self._threads = ThreadPoolExecutor(THREADS, "mail")
        self._waiting = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_set_up(self) -> bool:
        """Whether the settings name a mail server."""
        return self._server is not None

    def deadline(self, seconds: float = BUDGET_S) -> float:
        """Returns the deadline for emails that start now, in the event loop's time."""
        return asyncio.get_running_loop().time() + seconds

    @spanned("mail")
    async def send(
        self, email: Email, deadline: float, request_id: str, message: str = "", look: Look = PRODUCT
    ) -> NotSent | None:
        """Sends an email. Returns None, or why the mail server didn't accept it in time, which is also logged with the
        request ID. ``message``: a random name of the email, the same for each attempt, so that mailboxes recognize a
        second copy; ``deadline``: from :meth:`deadline`, in seconds of the event loop's clock; ``look``: that of its
        HTML."""
        if self._server is None:
            return NotSent("no mail server is set up")
        try:
            await self._send(self._server, email, deadline, message or self._random.text(16), look)
        except NotSent as error:
            self._metrics.mailed("refused" if error.refused else "failed")
            self._log.warning("mail_failed", request_id=request_id, reason=str(error), again=not error.refused)
            return error
        self._metrics.mailed("ok")
        return None

    async def _send(self, server: Server, email: Email, deadline: float, name: str, look: Look) -> None:
        from manifest_auth.runtime.mail.smtp import recipient, send

        loop = asyncio.get_running_loop()
        left = deadline - loop.time()
        if left <= 0:
            raise NotSent("the time limit for this request's emails had passed")
        if self._waiting >= MOST_WAITING:
            raise NotSent("too many emails are already waiting")
        try:
            to = recipient(email.to)
            message = self._message(server, email._replace(to=to), name, look)
        except ValueError as error:  # the library rejects a line break in a header
            raise NotSent(f"the email can't be created: {error}") from error
        given_up = threading.Event()
        self._waiting += 1
        work = loop.run_in_executor(self._threads, send, server, to, message, left, lambda: not given_up.is_set())
        work.add_done_callback(self._done)
        try:
            await asyncio.wait_for(asyncio.shield(work), left)
        except TimeoutError:
            raise NotSent(_("no response in time")) from None
        finally:
            given_up.set()

    def _done(self, work: asyncio.Future[None]) -> None:
        self._waiting -= 1
        if not work.cancelled():
            work.exception()  # the caller might be gone

    def _message(self, server: Server, email: Email, own_name: str, look: Look) -> EmailMessage:
        """Creates the message (RFC 5322), as text and as HTML (RFC 2046, 5.1.4). Raises ValueError."""
        from email.message import EmailMessage
        from email.policy import SMTP
        from email.utils import format_datetime

        from manifest_auth.runtime.mail import smtp

        message = EmailMessage(SMTP.clone(cte_type="7bit", refold_source="none"))  # RFC 6152: 8 bits are an extension
        message["From"] = server.sender
        message.set_raw("To", email.to)
        message.set_raw("Subject", smtp.subject(email.subject))
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC))
        message["Message-ID"] = f"<{own_name}@{server.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
        message.set_content(email.text)  # before other headers of the content, which it removes
        message.add_alternative(html_of(email, look), subtype="html")
        if look.logo:
            *_, html = message.iter_parts()
            html.add_related(look.logo, "image", "png", cid=f"<{LOGO}>", disposition="inline")
        message["Content-Language"] = email.language  # RFC 3282
        return message

    def in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Runs ``work`` in a task of the event loop, independent of the current request."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("internal_error", exc_info=error)

    async def close(self) -> None:
        """Finishes emails in progress, within the budget of a request. The rest stays in the mail queue."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=BUDGET_S)
            for task in left:
                task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
