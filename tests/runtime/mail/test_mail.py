"""Email over SMTP is encrypted before a password is sent, has a time limit, and can't have injected headers."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from manifest_auth.runtime import logs
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.mail import Email, Mail, server_of
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.settings import load
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.rules import rule

NAME = "mail.example"  # a name that isn't this machine's
LETTER = Email("ada@engines.example", "Acme: your account is ready", "Hello,\n\nhttps://a.example/welcome#abc\n")
USER = {"ma:il@x": "p/ss w@rd%"}


class Log:
    """Collects the log entries."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **members: Any) -> None:
        self.lines.append({"event": event, **members})

    error = warning


@pytest.fixture
def log() -> Log:
    return Log()


def mail_of(settings: dict[str, str], log: Any = None, random: Random | None = None) -> Mail:
    server = server_of(load(settings))
    assert server is not None
    return Mail(server, Clock(), random or Random(), log or logs.build("error"), Metrics())


async def sent(mail: Mail, letter: Email = LETTER, seconds: float = 5.0) -> bool:
    try:
        return await mail.send(letter, mail.deadline(seconds), "request-1") is None
    finally:
        await mail.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS context for ``NAME``, which this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder: Path = tmp_path_factory.mktemp("tls")
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "trusted.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(secret + pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "server.pem")
    made.trusted = folder / "trusted.pem"  # type: ignore[attr-defined]
    return made


@pytest.fixture
def trusted(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.trusted))  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve ``NAME`` to this machine, without any other look-ups."""
    original = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        assert host in (NAME, "127.0.0.1", "localhost", None), host
        return original("127.0.0.1" if host == NAME else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def from_elsewhere(server: MailServer) -> dict[str, str]:
    """Settings that treat the server as another machine."""
    return {name: value.replace("127.0.0.1", NAME) for name, value in server.settings.items()}


def quoted(settings: dict[str, str]) -> dict[str, str]:
    """User and password, encoded for an address."""
    url = settings["MANIFEST_SMTP_URL"]
    name, password = next(iter(USER.items()))
    return settings | {"MANIFEST_SMTP_URL": url.replace(f"{name}:{password}", "ma%3Ail%40x:p%2Fss%20w%40rd%25")}


async def test_a_mail_arrives_as_it_was_written() -> None:
    with MailServer() as server:
        assert await sent(mail_of(server.settings | {"MANIFEST_PUBLIC_URL": "https://auth.example"}))
        [letter] = server.mails
    assert (letter.sender, letter.recipients) == ("no-reply@auth.example", [LETTER.to])
    assert letter.text == LETTER.text
    message = letter.message
    assert message["From"] == "Manifest Auth <no-reply@auth.example>"
    assert (message["To"], message["Subject"]) == (LETTER.to, LETTER.subject)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@auth.example>")
    assert abs(message["Date"].datetime.timestamp() - time.time()) < 60
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Content-Language"] == "en"
    assert server.greeted_by == ["auth.example"]


@rule("OUTGOING")
async def test_with_a_password_the_connection_is_encrypted(tls: ssl.SSLContext, trusted: None) -> None:
    with MailServer(tls=tls, users=USER) as server:
        assert await sent(mail_of(quoted(from_elsewhere(server))))
        [letter] = server.mails
    assert (letter.was_encrypted, letter.user) == (True, "ma:il@x")


@rule("OUTGOING")
async def test_without_starttls_the_password_is_not_told(log: Log) -> None:
    with MailServer(users=USER) as server, mock.patch.object(server, "_authenticate") as asked:
        assert not await sent(mail_of(quoted(from_elsewhere(server)), log))
    assert asked.call_count == 0
    assert server.mails == []
    [line] = log.lines
    assert (line["event"], line["request_id"]) == ("mail_failed", "request-1")
    assert "STARTTLS" in line["reason"]


async def test_on_this_machine_a_password_needs_no_encryption() -> None:
    with MailServer(users=USER) as server:
        assert await sent(mail_of(quoted(server.settings)))
        assert server.mails[0].user == "ma:il@x"


async def test_without_a_password_starttls_is_used_where_it_is_offered(tls: ssl.SSLContext, trusted: None) -> None:
    with MailServer(tls=tls) as server:
        assert await sent(mail_of(from_elsewhere(server)))
        assert server.mails[0].was_encrypted
    with MailServer() as server:
        assert await sent(mail_of(from_elsewhere(server)))
        assert not server.mails[0].was_encrypted


async def test_tls_from_the_start(tls: ssl.SSLContext, trusted: None) -> None:
    with MailServer(tls=tls, is_tls_from_the_start=True, users=USER) as server:
        assert await sent(mail_of(quoted(from_elsewhere(server))))
        assert server.mails[0].was_encrypted


@rule("OUTGOING")
@matrix("from_the_start", [False, True])
async def test_a_certificate_that_no_one_vouches_for_is_rejected(
    tls: ssl.SSLContext, log: Log, from_the_start: bool
) -> None:
    with MailServer(tls=tls, is_tls_from_the_start=from_the_start, users=USER) as server:
        assert not await sent(mail_of(quoted(from_elsewhere(server)), log))
        assert server.mails == []
    assert "CERTIFICATE_VERIFY_FAILED" in log.lines[0]["reason"]


async def test_a_certificate_of_another_name_is_rejected(tls: ssl.SSLContext, trusted: None, log: Log) -> None:
    with MailServer(tls=tls, is_tls_from_the_start=True) as server:
        assert not await sent(mail_of(server.settings, log))
    assert "IP address mismatch" in log.lines[0]["reason"]


async def test_a_wrong_password_is_told_without_it(log: Log) -> None:
    with MailServer(users={"who": "right-one"}) as server:
        settings = {k: v.replace("right-one", "wrong-one") for k, v in server.settings.items()}
        assert not await sent(mail_of(settings, log))
    assert "SMTPAuthenticationError: 535" in log.lines[0]["reason"]
    assert "wrong-one" not in str(log.lines)


async def test_a_recipient_that_is_rejected_is_told_without_the_address(log: Log) -> None:
    with MailServer(refuses="550 no such mailbox ada@engines.example") as server:
        assert not await sent(mail_of(server.settings, log))
    assert log.lines[0]["reason"] == "SMTPRecipientsRefused: 550"


async def test_a_server_that_is_not_there(log: Log) -> None:
    with MailServer() as server:
        settings = server.settings
    assert not await sent(mail_of(settings, log))
    assert "ConnectionRefusedError" in log.lines[0]["reason"]


@rule("OUTGOING")
async def test_no_one_waits_longer_than_allowed_and_a_late_mail_is_not_sent(log: Log) -> None:
    """The server doesn't send a greeting for a while."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = {"MANIFEST_SMTP_URL": f"smtp://127.0.0.1:{port}", "MANIFEST_MAIL_FROM": "a@b.example"}
    began = time.monotonic()
    assert not await sent(mail_of(settings, log), seconds=0.3)
    assert time.monotonic() - began < 30
    assert "time" in log.lines[0]["reason"]
    listener.close()


async def test_mails_of_one_request_share_its_time(log: Log) -> None:
    with MailServer() as server:
        post = mail_of(server.settings, log)
        until = post.deadline(5)
        assert await post.send(LETTER, until, "r") is None
        assert await post.send(LETTER, post.deadline(-1), "r")
        await post.close()
        assert len(server.mails) == 1
    assert log.lines[0]["reason"] == "the time limit for this request's emails had passed"


@rule("OUTGOING")
@matrix(
    "letter",
    [
        LETTER._replace(subject="Acme\r\nBcc: eve@evil.example"),
        LETTER._replace(subject="Acme\nX: y"),
        LETTER._replace(to="ada@engines.example\r\nBcc: eve@evil.example"),
        LETTER._replace(to="ada@engines.example, eve@evil.example"),
    ],
)
async def test_no_one_adds_headers_or_recipients(log: Log, letter: Email) -> None:
    with MailServer() as server:
        await sent(mail_of(server.settings, log), letter)
        for taken in server.mails:
            assert taken.recipients == [letter.to]
            assert "Bcc" not in taken.message
            assert "X" not in taken.message
        assert not any("eve@evil.example" in taken.recipients for taken in server.mails)


async def test_an_international_address_and_subject_arrive() -> None:
    letter = Email("zoë@bücher.example", "Über Größe: 日本", "Grüße\n" + "x" * 2000 + "\n")
    with MailServer() as server:
        assert await sent(mail_of(server.settings), letter)
        [taken] = server.mails
    assert (taken.recipients, taken.message["Subject"], taken.text) == (
        ["zoë@xn--bcher-kva.example"], letter.subject, letter.text,
    )  # fmt: skip


async def test_what_runs_in_the_background_is_finished_before_the_end(log: Log) -> None:
    with MailServer() as server:
        post, done = mail_of(server.settings, log), []

        async def work() -> None:
            await asyncio.sleep(0.05)
            done.append(await post.send(LETTER, post.deadline(), "r") is None)

        post.in_background(work())
        assert done == []
        await post.close()
        assert done == [True]


async def test_a_bug_in_the_background_is_logged(log: Log) -> None:
    with MailServer() as server:
        post = mail_of(server.settings, log)

        async def work() -> None:
            raise KeyError("a bug")

        post.in_background(work())
        await post.close()
        await asyncio.sleep(0)
    assert [line["event"] for line in log.lines] == ["internal_error"]
