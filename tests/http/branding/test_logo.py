"""A client's logo is a PNG reduced to its necessary chunks, served at an address that contains its hash."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

import pytest

from tests.support.accounts import trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import OwnClient, member, own_client
from tests.support.pictures import SIGNATURE, Picture, chunk

pytestmark = pytest.mark.one_store

BRANDING = "/api/client/branding"
GOOD = Picture()
PALETTE = Picture(colour=3, palette=bytes(3 * 4), clear=b"\0\xff")
KINDS = {
    "grey": Picture(colour=0, depth=1),
    "grey with a clear tone": Picture(colour=0, depth=16, clear=b"\0\1"),
    "colours": GOOD,
    "colours with a clear one": GOOD.but(clear=bytes(6)),
    "palette": PALETTE,
    "grey and alpha": Picture(colour=4),
    "colours and alpha": Picture(colour=6, depth=16),
    "interlaced": GOOD.but(interlaced=1),
    "as large as may be": Picture(width=800, height=240, colour=3, depth=1, palette=bytes(6)),
    "one pixel": Picture(width=1, height=1),
}
_TEXT = chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")
_FRAME = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", bytes(26))


async def put(app: App, body: bytes, token: str, path: str = f"{BRANDING}/logo", kind: str = "image/png") -> Reply:
    return await app.send("PUT", path, content=body, token=token, headers={"Content-Type": kind})


async def served(app: App, address: str) -> bytes:
    answer = await app.client.get(address)
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


@pytest.fixture(scope="module")
async def own(app: App) -> OwnClient:
    return await own_client(app)


@matrix("name", KINDS)
async def test_every_kind_of_png_is_served_as_it_was_sent(app: App, own: OwnClient, name: str) -> None:
    sent = KINDS[name].encoded()
    shown = check_success(await put(app, sent, own.client_admin.token))
    digest = hashlib.sha256(sent).hexdigest()[:16]
    assert shown["logo"] == f"/assets/brand/{own.identifier}/{digest}.png"
    assert (shown["width"], shown["height"]) == (KINDS[name].width, KINDS[name].height)
    assert await served(app, shown["logo"]) == sent
    assert check_success(await app.get(BRANDING, token=own.clerk.token)) == shown


@matrix("behind", [b"IHDR", b"PLTE", b"IDAT"])
@matrix("extra", [_TEXT, _FRAME, chunk(b"iCCP", b"x"), chunk(b"eXIf", b"MM"), chunk(b"tEXt", b"wrong", crc=1)])
async def test_unneeded_parts_of_an_image_are_removed(app: App, own: OwnClient, behind: bytes, extra: bytes) -> None:
    sent = PALETTE.but(extra={behind: extra}).encoded()
    assert extra in sent
    shown = check_success(await put(app, sent, own.clerk.token))
    assert await served(app, shown["logo"]) == PALETTE.encoded()


def _joined(*parts: bytes) -> bytes:
    return SIGNATURE + b"".join(parts)


def _hostile() -> dict[str, bytes]:
    """Files that aren't pictures, pictures that are too large, and pictures with other content."""
    good = GOOD.encoded()
    head, end = chunk(b"IHDR", GOOD.header), chunk(b"IEND")
    data = chunk(b"IDAT", dict(GOOD.parts())[b"IDAT"])
    palette = chunk(b"PLTE", bytes(12))
    found = {
        "nothing": b"",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "html": b"<!doctype html><script>alert(1)</script>",
        "gif": b"GIF89a" + bytes(40),
        "jpeg": b"\xff\xd8\xff\xe0" + bytes(40),
        "webp": b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40),
        "script in front": b"/*" + good,
        "signature alone": SIGNATURE,
        "signature of a text transfer": good.replace(b"\r\n\x1a\n", b"\n\x1a\n", 1),
        "cut in the header": good[:20],
        "cut in the data": good[:-20],
        "cut before the end": good[: -len(end)],
        "zip behind the end": good + b"PK\x03\x04" + bytes(60),
        "one byte behind the end": good + b"\0",
        "second picture behind the end": good + good,
        "length beyond the file": _joined(head, chunk(b"IDAT", b"x", length=2**31 - 1), end),
        "length of all bits": _joined(head, chunk(b"IDAT", b"x", length=2**32 - 1), end),
        "wrong sum of the header": _joined(chunk(b"IHDR", GOOD.header, crc=7), data, end),
        "wrong sum of the data": _joined(head, chunk(b"IDAT", b"x", crc=7), end),
        "wrong sum of the end": _joined(head, data, chunk(b"IEND", crc=7)),
        "unknown needed part": _joined(head, chunk(b"EVIL", b"x"), data, end),
        "name that is none": _joined(head, chunk(b"a\0<>", b"x"), data, end),
        "no header": _joined(data, end),
        "no data": _joined(head, end),
        "empty data": _joined(head, chunk(b"IDAT"), end),
        "two headers": _joined(head, head, data, end),
        "header later": _joined(palette, head, data, end),
        "two palettes": _joined(head, palette, palette, data, end),
        "palette behind the data": _joined(head, data, palette, end),
        "data in two places": _joined(head, data, _TEXT, palette, data, end),
        "end with something in it": _joined(head, data, chunk(b"IEND", b"PK\x03\x04")),
        "clear tones before the palette": _joined(chunk(b"IHDR", PALETTE.header), chunk(b"tRNS", b"\0"), palette, data,
                                                  end),
        "header too long": _joined(chunk(b"IHDR", GOOD.header + b"\0"), data, end),
        "header too short": _joined(chunk(b"IHDR", GOOD.header[:12]), data, end),
        "a bomb": GOOD.but(width=2**31 - 1, height=2**31 - 1, pixels=zlib.compress(bytes(10_000_000))).encoded(),
        "too wide": GOOD.but(width=801, pixels=b"x").encoded(),
        "too high": GOOD.but(height=241, pixels=b"x").encoded(),
        "no width": GOOD.but(width=0).encoded(),
        "no height": GOOD.but(height=0).encoded(),
        "unknown colours": GOOD.but(colour=5).encoded(),
        "depth that the colours do not have": GOOD.but(depth=4).encoded(),
        "depth of nothing": GOOD.but(depth=0).encoded(),
        "unknown compression": GOOD.but(compression=1).encoded(),
        "unknown filters": GOOD.but(filters=1).encoded(),
        "unknown order": GOOD.but(interlaced=2).encoded(),
        "palette missing": PALETTE.but(palette=None, clear=None).encoded(),
        "palette empty": PALETTE.but(palette=b"", clear=None).encoded(),
        "palette broken": PALETTE.but(palette=bytes(4)).encoded(),
        "palette too long": PALETTE.but(depth=1, palette=bytes(9)).encoded(),
        "palette of a grey picture": Picture(colour=0, palette=bytes(3)).encoded(),
        "more clear tones than colours": PALETTE.but(clear=bytes(5)).encoded(),
        "clear tone beside alpha": Picture(colour=6, clear=bytes(6)).encoded(),
        "clear tone of another length": GOOD.but(clear=b"\0").encoded(),
    }  # fmt: skip
    assert len(found) >= 40
    return found


HOSTILE = _hostile()


@matrix("name", HOSTILE)
async def test_an_invalid_image_is_rejected_and_the_logo_stays(app: App, own: OwnClient, name: str) -> None:
    before = check_success(await put(app, GOOD.encoded(), own.client_admin.token))
    error = check_refusal(await put(app, HOSTILE[name], own.client_admin.token), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["logo"]
    assert check_success(await app.get(BRANDING, token=own.client_admin.token)) == before


async def test_an_image_at_the_size_limit_is_accepted_and_a_larger_one_is_not(app: App, own: OwnClient) -> None:
    rest = 256 * 1024 - len(GOOD.but(pixels=b"").encoded())
    check_success(await put(app, GOOD.but(pixels=b"x" * rest).encoded(), own.client_admin.token))
    reply = await put(app, GOOD.but(pixels=b"x" * (rest + 1)).encoded(), own.client_admin.token)
    check_refusal(reply, 413, "PAYLOAD_TOO_LARGE")


@matrix("kind", ["", "image/svg+xml", "image/jpeg", "text/html", "application/octet-stream"])
async def test_only_a_png_is_announced(app: App, own: OwnClient, kind: str) -> None:
    check_refusal(await put(app, GOOD.encoded(), own.client_admin.token, kind=kind), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_it_is_served_to_everyone_cacheable_and_only_as_an_image(app: App, own: OwnClient) -> None:
    address = check_success(await put(app, GOOD.encoded(), own.client_admin.token))["logo"]
    reply = await app.client.get(address)
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert "set-cookie" not in reply.headers
    head = await app.client.head(address)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(GOOD.encoded())))


async def test_under_an_older_hash_it_is_served_for_a_minute(app: App, own: OwnClient) -> None:
    old = check_success(await put(app, GOOD.encoded(), own.client_admin.token))["logo"]
    check_success(await put(app, PALETTE.encoded(), own.client_admin.token))
    reply = await app.client.get(old)
    assert (reply.content, reply.headers["cache-control"]) == (PALETTE.encoded(), "public, max-age=60")


async def test_a_logo_is_removed(app: App) -> None:
    own = await own_client(app)
    logo = f"{BRANDING}/logo"
    check_refusal(await app.send("DELETE", logo, token=own.client_admin.token), 404, "NOT_FOUND")
    address = check_success(await put(app, GOOD.encoded(), own.clerk.token))["logo"]
    gone = check_success(await app.send("DELETE", logo, token=own.clerk.token))
    assert (gone["logo"], gone["width"], gone["height"]) == (None, 0, 0)
    check_refusal(await app.get(address), 404, "NOT_FOUND")


@matrix(
    "path", ["nobody/0123456789abcdef.png", "{client}/0123456789abcdef.svg", "{client}/0123456789abcdef",
             "{client}/0123456789ABCDEF.png", "{client}/0123456789abcde.png", "{client}/logo.png",
             "{client}/0123456789abcdef.png.css", "{client}/0123456789abcdef.css"],
)  # fmt: skip
async def test_there_is_no_other_file(app: App, own: OwnClient, path: str) -> None:
    await put(app, GOOD.encoded(), own.client_admin.token)
    check_refusal(await app.get(f"/assets/brand/{path.replace('{client}', own.identifier)}"), 404, "NOT_FOUND")


async def test_each_change_is_in_the_audit_trail(app: App) -> None:
    own = await own_client(app)
    await put(app, GOOD.encoded(), own.clerk.token)
    await app.send("DELETE", f"{BRANDING}/logo", token=own.client_admin.token)
    set_, gone = (await trail(app, own.identifier))[-2:]
    logo: dict[str, Any] = {"hash": hashlib.sha256(GOOD.encoded()).hexdigest()[:16], "width": 20, "height": 10}
    assert (set_.event, set_.actor) == ("branding_changed", f"user:{own.clerk.id}")
    assert set_.members == {"before": {"logo": None}, "after": {"logo": logo}}
    assert (gone.event, gone.members) == ("branding_changed", {"before": {"logo": logo}, "after": {"logo": None}})


@matrix("role", ["Author", "Approver", "Publisher", "Operator", "Viewer"])
async def test_other_roles_change_nothing(app: App, own: OwnClient, role: str) -> None:
    other = await member(app, own.identifier, role)
    check_refusal(await put(app, GOOD.encoded(), other.token), 403, "FORBIDDEN")
    check_refusal(await app.send("DELETE", f"{BRANDING}/logo", token=other.token), 403, "FORBIDDEN")


async def test_a_system_admin_sets_it_for_a_client(app: App) -> None:
    own, root = await own_client(app), await app.admin_token()
    path = f"/api/admin/clients/{own.identifier}/branding"
    shown = check_success(await put(app, GOOD.encoded(), root, f"{path}/logo"))
    assert shown == check_success(await app.get(path, token=root))
    assert shown == check_success(await app.get(BRANDING, token=own.client_admin.token))
    check_refusal(await put(app, GOOD.encoded(), root, "/api/admin/clients/nobody/branding/logo"), 404, "NOT_FOUND")
    assert check_success(await app.send("DELETE", f"{path}/logo", token=root))["logo"] is None
