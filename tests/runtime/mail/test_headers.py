"""Email headers have the intended content in every language, and foreign text can't add any."""

from __future__ import annotations

from manifest_auth.runtime import logs
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.mail import PRODUCT, Email, Look, Mail, server_of
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.settings import load
from tests.support.mail_server import MailServer, Received
from tests.support.matrix import matrix
from tests.support.rules import rule


async def arrived(letter: Email, look: Look = PRODUCT) -> Received:
    """The email as received by a mail server."""
    with MailServer() as server:
        mail = Mail(server_of(load(server.settings)), Clock(), Random(), logs.build("error"), Metrics())
        assert await mail.send(letter, mail.deadline(5), "request-1", look=look) is None
        await mail.close()
        [taken] = server.mails
    return taken


#: A line break, the same in base64, and a text that nobody encoded.
ENCODED = ("=?utf-8?q?=0D=0ABcc=3A_eve=40b.example?=", "=?utf-8?b?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=", "=?utf-8?q?a?=")


@rule("OUTGOING")
@matrix("text", ENCODED)
async def test_what_looks_encoded_is_text(text: str) -> None:
    """RFC 2047: otherwise, anyone who chooses a name or an address could write headers (CVE-2024-6923)."""
    letter = Email(f"{text}@{'engines.' * 8}example", f"Acme {text}: your account is ready", "Hello,\n")
    taken = await arrived(letter)
    assert f"\r\nTo: {letter.to}\r\n".encode() in taken.raw
    assert taken.message["Subject"] == letter.subject
    assert [name for name in taken.message if name in ("Bcc", "To")] == ["To"]


@matrix(
    "client",
    [
        *("日本精密機械" * 16, "Größe & Söhne, Aéronautique " * 3, "Acme", "A" * 100, "日本 Acme\u3000東京 Ltd "),
        *("Engineering, O’Neill", "Donaudampfschifffahrtsgesellschaft Paulo Co. Größe", '"Quoted" Ltd. Söhne São Ω'),
    ],
)
async def test_all_that_is_sent_is_seven_bits_in_short_lines(client: str) -> None:
    """RFC 5322 limits lines, and servers without 8BITMIME (RFC 6152) accept it too."""
    for text in ("お客様\n", f"{client}\n" * 3 + "メール" * 400 + "\n"):
        letter = Email("ada@engines.example", f"{client}: パスワード", text, "ja")
        taken = await arrived(letter)
        assert (taken.message["Subject"], taken.text, taken.message["Content-Language"]) == (*letter[1:],)
        assert taken.raw.isascii()
        assert max(map(len, taken.raw.split(b"\r\n"))) <= 78
