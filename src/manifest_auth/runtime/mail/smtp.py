"""Talks to the mail server, in a thread, because :mod:`smtplib` blocks.

With credentials the connection must be encrypted (RFC 8314). Without them STARTTLS is used if offered. The server's
certificate is checked in both cases. A connection inside this machine need not be encrypted.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from email.header import Header
from email.message import EmailMessage

from manifest_auth.runtime.mail.server import NotSent, Server
from manifest_auth.text.canonical import EMAIL_SHAPE, mailbox


def send(server: Server, to: str, message: EmailMessage, seconds: float, is_wanted: Callable[[], bool]) -> None:
    """Sends the message. ``is_wanted`` is called just before, since the caller might have given up.

    ``seconds``: the limit for each response of the server. Raises NotSent.
    """
    with _connected(server, seconds) as smtp:
        if not is_wanted():
            raise NotSent("it took too long")
        smtp.send_message(message, server.sender.addr_spec, [to])


def check_connection(server: Server, seconds: float) -> None:
    """Greets the server and signs in; sends nothing. Raises NotSent."""
    with _connected(server, seconds) as smtp:
        smtp.noop()


@contextlib.contextmanager
def _connected(server: Server, seconds: float) -> Iterator[smtplib.SMTP]:
    """Opens a connection that is ready to send an email. Raises NotSent, also for errors while it is used."""
    try:
        smtp = _open(server, seconds)
        try:
            smtp.ehlo_or_helo_if_needed()
            if not server.is_tls and not server.is_loopback:
                _encrypt(smtp, server)
            if server.user:
                smtp.login(server.user, server.password.reveal())
            yield smtp
            with contextlib.suppress(OSError, smtplib.SMTPException):  # the message is already accepted
                smtp.quit()
        finally:
            smtp.close()
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise NotSent(_reason(error), _refused(error)) from error


def _open(server: Server, seconds: float) -> smtplib.SMTP:
    host, port, name = server.host, server.port, server.name
    if server.is_tls:
        return smtplib.SMTP_SSL(host, port, name, timeout=seconds, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, name, timeout=seconds)


def _encrypt(smtp: smtplib.SMTP, server: Server) -> None:
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo()
    elif server.user:
        raise NotSent("the server doesn't support STARTTLS, so the password wasn't sent")


def _refused(error: Exception) -> int:
    """Returns the reply code with which an email to one recipient was permanently rejected; 0 for any other error,
    which might concern the server or the sender, or be temporary."""
    code = error.smtp_code if isinstance(error, smtplib.SMTPDataError) else 0
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, _)] = error.recipients.values()
    return int(code) if code >= 500 else 0


def _reason(error: Exception) -> str:
    """Returns a text for the log, without the server's texts about addresses and without anything that was sent."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__}: {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"{type(error).__name__}: {', '.join(str(code) for code, _ in error.recipients.values())}"
    return f"{type(error).__name__}: {error}"


# Email headers that contain other people's text are written exactly as they are sent. The library would first parse
# such text: it treats parts that look like encoded words (RFC 2047) as encoded, even line breaks (CVE-2024-6923, up to
# Python 3.11.9 and 3.12.4), and loses or doubles spaces when it folds lines.


_LONGEST = 76  # characters of a line with an encoded word (RFC 2047)


def recipient(email: str) -> str:
    """Returns the address of an email, for its envelope and ``To``. Raises ValueError for anything other than one
    address."""
    if not EMAIL_SHAPE.fullmatch(email):
        raise ValueError("not an email address")
    return mailbox(email)


def subject(text: str) -> str:
    """Returns the value of ``Subject``: short ASCII as is, anything else encoded, in lines. Raises ValueError for a
    line break."""
    if text.splitlines() != [text]:
        raise ValueError("a line break in the subject")
    if text.isascii() and text.isprintable() and "=?" not in text and len("Subject: " + text) <= _LONGEST:
        return text
    return Header(text, "utf-8", _LONGEST, "Subject").encode()
