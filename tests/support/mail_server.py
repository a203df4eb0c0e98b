"""A real SMTP server on a free port of 127.0.0.1 that keeps the emails it receives."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import socket
import ssl
import threading
import time
import warnings
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

SENDER = "Manifest Auth <no-reply@auth.example>"
_LINK = re.compile(r"^(https?://\S+/welcome#(\S+))$", re.MULTILINE)


@dataclass
class Received:
    """One email: envelope sender and recipients, the message, and its bytes."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    was_encrypted: bool
    user: str
    raw: bytes

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert isinstance(part, EmailMessage)
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def link(self) -> str:
        """The only link in the email."""
        [(link, _)] = _LINK.findall(self.text)
        return str(link)

    @property
    def token(self) -> str:
        return self.link.partition("#")[2]


@dataclass
class MailServer:
    """``users`` can sign in; without any, sign-in isn't required. ``refuses`` rejects every recipient, or every email
    if ``refuses_late``. While ``is_holding``, emails wait to be accepted."""

    tls: ssl.SSLContext | None = None
    is_tls_from_the_start: bool = False
    users: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    refuses_late: bool = False
    is_holding: bool = False
    mails: list[Received] = field(default_factory=list)
    greeted_by: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # many tests make clients hang up
        tls = self.tls if self.is_tls_from_the_start else None
        server = await self._loop.create_server(self._protocol, sock=self._socket, ssl=tls)
        self._ready.set()
        await self._stop.wait()
        server.close()

    def _protocol(self) -> SMTP:
        with warnings.catch_warnings():  # some tests cover passwords sent without TLS
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                self,
                enable_SMTPUTF8=True,
                loop=self._loop,
                tls_context=None if self.is_tls_from_the_start else self.tls,
                auth_required=bool(self.users),
                auth_require_tls=False,
                authenticator=self._authenticate,
            )

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        name, password = given.login.decode(), given.password.decode()
        return AuthResult(success=self.users.get(name) == password, handled=False, auth_data=name)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd looks for this very name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, answer: list[str]
    ) -> list[str]:
        self.greeted_by.append(hostname)
        session.host_name = hostname
        return answer

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuses and not self.refuses_late:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd looks for this very name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        while self.is_holding:
            await asyncio.sleep(0.01)
        if self.refuses:
            return self.refuses
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        encrypted = session.ssl is not None or self.is_tls_from_the_start
        user = str(session.auth_data or "")
        sender, recipients = envelope.mail_from or "", list(envelope.rcpt_tos)
        self.mails.append(Received(sender, recipients, message, encrypted, user, content))
        return "250 OK"

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that make our server use this one."""
        name, password = next(iter(self.users.items()), ("", ""))
        who = f"{name}:{password}@" if name else ""
        scheme = "smtps" if self.is_tls_from_the_start else "smtp"
        return {"MANIFEST_SMTP_URL": f"{scheme}://{who}127.0.0.1:{self.port}", "MANIFEST_MAIL_FROM": SENDER}

    async def next_mail(self, seconds: float = 60) -> Received:
        """Remove and return the oldest email, waiting for it if necessary. Works only if a request sends a single
        email, because several arrive in any order."""
        return await self._taken("", "", seconds)

    async def mail_to(self, recipient: str, about: str = "", seconds: float = 60) -> Received:
        """Remove and return the only email to that mailbox with this text in its subject, once it has arrived."""
        received = await self._taken(recipient, about, seconds)
        assert not self._found(recipient, about), "there is another one"
        return received

    async def _taken(self, recipient: str, about: str, seconds: float) -> Received:
        deadline = time.monotonic() + seconds
        while not (found := self._found(recipient, about)):
            assert time.monotonic() < deadline, f"no email came; there are {[one.recipients for one in self.mails]}"
            await asyncio.sleep(0.01)
        self.mails.remove(found[0])
        return found[0]

    def _found(self, recipient: str, about: str) -> list[Received]:
        return [
            received
            for received in self.mails
            if recipient in ("", *received.recipients) and about in str(received.message["Subject"])
        ]
