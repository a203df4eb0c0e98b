"""An email's HTML has the same content as its text, in the client's look, and foreign text in it stays text."""

from __future__ import annotations

import re
from email.message import EmailMessage

from lxml import html

from manifest_auth.runtime.mail import PRODUCT, Email, Look, emails
from manifest_auth.runtime.mail.looks import LOGO, html_of
from manifest_auth.tenants import brand_assets
from manifest_auth.text.languages import LANGUAGES
from tests.runtime.mail.test_emails import CLIENT, LINK, MADE, READER, WITH_LINK, made
from tests.runtime.mail.test_headers import arrived
from tests.support.matrix import matrix
from tests.support.pictures import Picture
from tests.support.rules import rule
from tests.tenants.test_accent_colours import BRANDS, LEAST, contrast

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src="https://evil.example/x.png" onerror="alert(1)">',
    "</title></style><b style='color:red'>&amp; {name} %(x)s \\",
    "https://evil.example/welcome#abc-123",
)


def look_of(accent: str, name: str = "Acme", logo: bytes = b"") -> Look:
    return PRODUCT._replace(name=name, logo=logo, **brand_assets.palette_of(accent)._asdict())


def texts(document: str) -> list[str]:
    paragraphs = html.document_fromstring(document).iter("p")
    return [" ".join("".join(map(str, each.itertext())).split()) for each in paragraphs]


@matrix("language", LANGUAGES)
@matrix("name", MADE)
def test_it_has_each_paragraph_of_the_text(name: str, language: str) -> None:
    email = made(name, language)
    document = html_of(email, PRODUCT)
    tree = html.document_fromstring(document)
    assert (tree.get("lang"), tree.findtext("head/title")) == (language, email.subject)
    paragraphs = email.text.rstrip("\n").split("\n\n")
    found = texts(document)
    assert len(found) == len(paragraphs)
    for text, shown in zip(paragraphs, found, strict=True):
        assert shown.endswith(" ".join(text.split()))
    links = {str(each.get("href")) for each in tree.iter("a")}
    assert links == ({LINK.address} if name in WITH_LINK else set())
    assert len(document.encode()) < 16_000


def test_a_link_is_a_button_in_the_language_of_the_reader() -> None:
    labels = {language: texts(html_of(made("reset", language), PRODUCT))[2] for language in LANGUAGES}
    assert labels["en"] == f"Open link{LINK.address}"
    assert len(set(labels.values())) == len(LANGUAGES)


@rule("OUTGOING")
@matrix("text", HOSTILE)
def test_whatever_others_wrote_is_text(text: str) -> None:
    """The client's name is in sentences and in the head, and an inviter can choose a name."""
    to = READER._replace(client=text)
    email = emails.invitation(to, LINK, emails.inviter(text, "eve@acme.example"))
    document = html_of(email, look_of("#777777", text, Picture().encoded()))
    plain = html_of(emails.invitation(READER, LINK, "eve@acme.example"), look_of("#777777", CLIENT, b"x" * 24))
    tree, other = html.document_fromstring(document), html.document_fromstring(plain)
    assert [each.tag for each in tree.iter()] == [each.tag for each in other.iter()]
    assert {name for each in tree.iter() for name in each.attrib} == {n for each in other.iter() for n in each.attrib}
    assert {str(each.get("href")) for each in tree.iter("a")} == {LINK.address}
    assert [each.get("alt") for each in tree.iter("img")] == [text]
    assert [each.get("src") for each in tree.iter("img")] == [f"cid:{LOGO}"]
    assert not re.search(r"url\(|@import|<link|srcset|background=", document)


@matrix(
    ("name", "shown"),
    [
        ("Ada Lovelace", "Ada Lovelace (ada@acme.example)"),
        ("Séverine O’Neill-d'Arc", "Séverine O’Neill-d'Arc (ada@acme.example)"),
        ("花子 山田", "花子 山田 (ada@acme.example)"),
        ("अदिति शर्मा", "अदिति शर्मा (ada@acme.example)"),
        *((name, "ada@acme.example") for name in ("", "a" * 49, "evil.example", "Call 18005551234", "evil。example")),
        *((name, "ada@acme.example") for name in ("a/b", "a\u202eb", "a:b", "<b>", "a@b")),
    ],
)
def test_an_inviter_is_named_by_letters_or_by_the_address(name: str, shown: str) -> None:
    assert emails.inviter(name, "ada@acme.example") == shown


@matrix("accent", BRANDS)
def test_each_color_is_read_on_its_background_in_light_and_dark(accent: str) -> None:
    look = look_of(accent)
    document = html_of(made("reset", "en"), look)
    light, _, dark = re.sub(r"<style>(.*?)</style>", r"", document, flags=re.DOTALL), *document.partition("<style>")[1:]
    own = {each.get("class"): each.get("style") or "" for each in html.document_fromstring(light).iter("a")}
    assert f"background:{look.accent};color:{look.on_accent};border:1px solid {look.link}" in own["button"]
    assert f"color:{look.link}" in own["link"]
    assert contrast(look.accent, look.on_accent) >= LEAST
    backgrounds = re.findall(r"\.(?:page|card)\{background:(#\w{6})!important", dark)
    assert len(backgrounds) == 2
    assert min(contrast(look.link_on_dark, each) for each in (*backgrounds, "#22252e")) >= LEAST
    assert (
        min(contrast(look.link, each) for each in set(re.findall(r"background:(#\w{6})", light)) - {look.accent})
        >= LEAST
    )
    assert f".link{{color:{look.link_on_dark}!important}}" in dark


async def test_text_comes_first_and_the_logo_is_a_part_of_the_html() -> None:
    logo = Picture(width=800, height=240).encoded()
    received = await arrived(made("invitation", "ja"), look_of("#e3000f", "日本精密機械", logo))
    message = received.message
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    assert message["Content-Language"] == "ja"
    assert received.text == made("invitation", "ja").text
    *_, picture = message.walk()
    assert isinstance(picture, EmailMessage)
    assert (picture["Content-ID"], picture.get_content_disposition()) == (f"<{LOGO}>", "inline")
    assert picture.get_content() == logo
    [shown] = html.document_fromstring(received.html).iter("img")
    assert (shown.get("src"), shown.get("width"), shown.get("height")) == (f"cid:{LOGO}", "133", "40")
    assert received.raw.isascii()
    assert max(map(len, received.raw.split(b"\r\n"))) <= 78


async def test_without_a_logo_the_name_stands_there_and_no_picture() -> None:
    received = await arrived(Email("ada@engines.example", "Acme: hello", "Hello,\n"), look_of("#000000", "Acme"))
    kinds = [part.get_content_type() for part in received.message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    tree = html.document_fromstring(received.html)
    assert [each.text for each in tree.iter("td") if each.get("class") == "name"] == ["Acme"]
    assert not list(tree.iter("img"))
