"""Branding of a client's pages: name and color with a preview, and a logo uploaded by a form."""

from __future__ import annotations

import json

import pytest

from tests.support.accounts import settle
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.pictures import Picture
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/branding"
PNG = Picture(width=60, height=20).encoded()
B = "----WebKitFormBoundaryAbCdEfGh12345678"


@pytest.fixture(autouse=True)
async def plain(app: App) -> None:
    await settle(app, "acme", branding={"name": "", "accent": ""})


async def admin(app: App) -> Visitor:
    return await Visitor(app).signed_in("admin@acme.example")


def part(name: str, value: bytes, file: str | None = None, kind: str = "image/png") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    head += f'; filename="{file}"\r\nContent-Type: {kind}' if file is not None else ""
    return f"--{B}\r\n{head}\r\n\r\n".encode() + value + b"\r\n"


async def upload(
    visitor: Visitor, *parts: bytes, token: str | None = None, end: bytes = f"--{B}--\r\n".encode()
) -> Page:
    if token is None:
        token = (await visitor.get(PATH)).form(PATH, act="logo").fields["form"]
    body = part("form", token.encode()) + b"".join(parts) + end
    return await visitor.send(
        "POST", PATH, content=body, Content_Type=f"multipart/form-data; boundary={B}",
        Origin=visitor.app.public_url.rstrip("/"), Sec_Fetch_Site="same-origin",
    )  # fmt: skip


async def test_name_and_color_are_previewed_and_saved(app: App) -> None:
    visitor = await admin(app)
    typed = {"branding.accent": "#FFCC00", "branding.name": "Acme & Söhne"}
    page = await visitor.submit(await visitor.get(PATH), PATH, {"branding.accent": ""}, act="preview", **typed)
    assert page.status == 200
    assert page.reply.text.count('fill="#ffcc00"') >= 2
    assert 'fill="#000000"' in page.reply.text  # text on a yellow background
    assert "Light (not saved)" in page.text
    assert page.form(PATH, **{"branding.accent": "#FFCC00"}).fields["branding.name"] == "Acme & Söhne"
    assert "Acme & Söhne" not in page.title
    page = await visitor.submit(page, PATH, {"branding.accent": "#FFCC00"}, act="save")
    page = await visitor.follow(page)
    assert "Branding saved" in page.text
    assert page.title.endswith("· Acme & Söhne")
    [sheet] = [link for link in page.tree.xpath("//link[@rel='stylesheet']/@href") if "/brand/" in link]
    assert "--accent:#ffcc00" in (await visitor.get(sheet)).reply.text


async def test_how_a_color_looks_is_told_while_it_is_chosen(app: App) -> None:
    visitor = await admin(app)
    page = await visitor.get(f"{PATH}/colours?accent=%23ffcc00")
    assert page.reply.headers["content-type"].startswith("application/json")
    looks = json.loads(page.reply.text)
    assert looks["light"] | looks["dark"] | {"link": ""} == {"accent": "#ffcc00", "onAccent": "#000000", "link": ""}
    typed = {"branding.accent": "#ffcc00"}
    shown = await visitor.submit(await visitor.get(PATH), PATH, {"branding.accent": ""}, act="preview", **typed)
    for scheme in ("light", "dark"):
        assert shown.tree.xpath(f"//*[@data-scheme='{scheme}']//*[@fill='{looks[scheme]['link']}']")


@matrix("accent", ["", "red", "%23fff", "%3Cb%3E", "url(x)"])
async def test_an_invalid_color_looks_as_usual(app: App, accent: str) -> None:
    page = await (await admin(app)).get(f"{PATH}/colours?accent={accent}")
    assert json.loads(page.reply.text)["light"] == {"accent": "#3346c9", "onAccent": "#ffffff", "link": "#3346c9"}


@matrix("accent", ["red", "#fff", "#ggg000", "#1234567", "url(x)", "#12345\u0661"])
@matrix("act", ["save", "preview"])
async def test_an_invalid_color_is_rejected_and_stays(app: App, accent: str, act: str) -> None:
    visitor = await admin(app)
    form = (await visitor.get(PATH)).form(PATH, **{"branding.accent": ""}).fields
    page = await visitor.post(PATH, form | {"act": act, "branding.accent": accent})
    assert (page.status, page.problems) == (400, ["Must be #rrggbb in lowercase, or empty"])
    assert page.form(PATH, **{"branding.accent": accent})
    assert page.tree.xpath("//*[@id='branding.accent-error']")


async def test_a_logo_is_sent_by_a_form_and_removed(app: App) -> None:
    visitor = await admin(app)
    page = await upload(visitor, part("act", b"logo"), part("logo", PNG, "Acme logo; \u00e9.png"))
    assert page.status == 303, page.text
    page = await visitor.follow(page)
    assert "60 × 20 pixels" in page.text
    [picture] = page.tree.xpath("//main//img")
    assert picture.get("src").startswith("/assets/brand/acme/")
    assert (await visitor.get(picture.get("src"))).reply.headers["content-type"] == "image/png"
    assert page.tree.xpath("//header//img[@class='logo']")
    page = await visitor.follow(await visitor.submit(page, PATH, {"act": "drop-logo"}))
    assert "Logo removed" in page.text
    assert not page.tree.xpath("//header//img[@class='logo']")


@matrix(
    ("body", "problem"),
    [
        (b"", "Choose a PNG file"),
        (b"<svg onload=alert(1)>", "Must be a PNG"),
        (Picture(width=900, height=20).encoded(), "800"),
        (PNG[:-5], ""),
        (PNG + b"\0" * 256 * 1024, "256 KiB"),
    ],
)
async def test_an_invalid_logo_is_rejected_beside_the_field(app: App, body: bytes, problem: str) -> None:
    visitor = await admin(app)
    page = await upload(visitor, part("act", b"logo"), part("logo", body, "logo.png"))
    assert page.status == 400
    [said] = page.problems
    assert problem in said
    assert page.tree.xpath("//*[@id='logo-error']")


async def test_a_body_that_is_far_too_large_is_rejected(app: App) -> None:
    page = await upload(await admin(app), part("act", b"logo"), part("logo", b"x" * 400 * 1024, "logo.png"))
    assert page.status == 413


@matrix(
    ("parts", "end"),
    [
        ([part("act", b"logo"), part("logo", PNG)], None),  # the file field isn't a file
        ([part("act", b"logo", "act.txt"), part("logo", PNG, "a.png")], None),  # a text field is a file
        ([part("act", b"logo"), part("logo", PNG, "a.png"), part("logo", PNG, "b.png")], None),
        ([part("act", b"logo"), part("act", b"drop-logo"), part("logo", PNG, "a.png")], None),
        ([part("act", b"logo"), part("other", PNG, "a.png")], None),
        ([part("act", b"logo"), part("logo", PNG, "a.png")], b""),  # no end
        ([part("act", b"logo"), part("logo", PNG, "a.png")], f"--{B}--\r\nmore".encode()),
        ([part("act", b"lo\0go"), part("logo", PNG, "a.png")], None),
        ([part("act", b"lo\xffgo"), part("logo", PNG, "a.png")], None),
        ([part("a ct", b"logo"), part("logo", PNG, "a.png")], None),
        ([part("act", b"logo"), part("logo", PNG, 'a"; name="act')], None),
        ([part(f"f{n}", b"") for n in range(99)] + [part("logo", PNG, "a.png")], None),
    ],
)
async def test_a_form_that_no_browser_sends_is_rejected(app: App, parts: list[bytes], end: bytes | None) -> None:
    visitor = await admin(app)
    page = await upload(visitor, *parts, **({} if end is None else {"end": end}))  # type: ignore[arg-type]
    assert page.status in (400, 415)
    assert "No logo. Pages show the first letter" in (await visitor.get(PATH)).text


@matrix(
    ("texts", "status"),
    [
        ([part("branding.name", b"x" * 65 * 1024)], 413),
        ([part(f"f{n}", b"x" * 7 * 1024) for n in range(10)], 413),  # too large together
        ([part(f"f{n}", b"x" * 1024) for n in range(50)], 303),
        ([part(f"f{n}", b"") for n in range(98)], 303),  # a hundred, including the form token and ``act``
        ([part(f"f{n}", b"") for n in range(99)], 400),
    ],
)
async def test_the_texts_beside_a_file_have_the_limits_of_every_form(app: App, texts: list[bytes], status: int) -> None:
    page = await upload(await admin(app), part("act", b"save"), *texts, part("logo", PNG + b"\0" * 200_000, "a.png"))
    assert page.status == status


@matrix("token", ["", "x", "A" * 86])
async def test_an_upload_without_the_right_token_changes_nothing(app: App, token: str) -> None:
    visitor = await admin(app)
    await visitor.get(PATH)
    page = await upload(visitor, part("act", b"logo"), part("logo", PNG, "a.png"), token=token)
    assert page.status == 403
    assert "No logo. Pages show the first letter" in (await visitor.get(PATH)).text
