"""Neither another site nor an eavesdropper can post our forms; covers every page that accepts POST, in each variant."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.application import App
from tests.support.forged_tokens import right_token
from tests.support.matrix import matrix
from tests.support.routes import PAGES, Route, filled
from tests.support.statements import counted_statements
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.one_store, pytest.mark.still]

POST = [route for route in PAGES if route.method == "POST"]
LANGUAGE = "/language"


class Tokens(NamedTuple):
    """Tokens of the page that is posted to, of another page, of another session, and of another browser."""

    right: str
    of_another_page: str
    of_another_session: str
    of_another_browser: str


class Variant(NamedTuple):
    """``headers`` replace those of our own page, ``token`` changes the correct one, and ``query`` is added to the
    address. ``status`` 0 means that the same person sees the form again, or the page that contains it."""

    headers: dict[str, str]
    token: Callable[[Tokens], str] | None = None
    status: int = 403
    query: Callable[[Tokens], str] | None = None


def changed(token: str) -> str:
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


FOREIGN = {
    "no headers at all": Variant({"Origin": "", "Sec_Fetch_Site": ""}),
    **{f"site {site}": Variant({"Sec_Fetch_Site": site})
       for site in ("cross-site", "same-site", "none", "Same", "same-origin, cross-site", "SAME-ORIGIN")},
    **{f"site {site} alone": Variant({"Origin": "", "Sec_Fetch_Site": site})
       for site in ("cross-site", "same-site", "none")},
    **{
        f"origin {origin}": Variant({"Origin": origin})
        for origin in (
            "null", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:8081", "https://127.0.0.1:8080",
            "http://acme.127.0.0.1:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080.evil.example",
            "http://127.0.0.1:8080@evil.example", "HTTP://127.0.0.1:8080", "http://localhost:8080", "file://",
            "http://127.0.0.1:8080 http://evil.example",
        )
    },
    **{f"origin {origin} alone": Variant({"Origin": origin, "Sec_Fetch_Site": ""})
       for origin in ("null", "http://x.example", "http://acme.127.0.0.1:8080")},
    "from our page, by its address alone": Variant(
        {"Origin": "", "Sec_Fetch_Site": "", "Referer": "http://127.0.0.1:8080/account"}),
    "no token": Variant({}, lambda of: ""),
    "a changed token": Variant({}, lambda of: changed(of.right)),
    "half a token": Variant({}, lambda of: of.right[: len(of.right) // 2]),
    "halves the other way round": Variant({}, lambda of: of.right[43:] + of.right[:43]),
    "a longer token": Variant({}, lambda of: of.right + "AAAA"),
    "no base64": Variant({}, lambda of: "ä!" * 20),
    "padding": Variant({}, lambda of: of.right + "=="),
    "zeros": Variant({}, lambda of: "A" * len(of.right)),
    "of another page": Variant({}, lambda of: of.of_another_page),
    "of another session": Variant({}, lambda of: of.of_another_session, status=0),
    "of another browser": Variant({}, lambda of: of.of_another_browser, status=0),
    "in the address": Variant({}, lambda of: "", query=lambda of: f"?form={of.right}"),
}  # fmt: skip
FORMS = {
    "json": Variant({"Content_Type": "application/json"}, status=415),
    "text": Variant({"Content_Type": "text/plain"}, status=415),
    "several parts": Variant({"Content_Type": "multipart/form-data; boundary=x"}, status=415),
    "no type": Variant({"Content_Type": "a"}, status=415),
    "compressed": Variant({"Content_Encoding": "gzip"}, status=415),
}
VARIANTS = FOREIGN | FORMS
#: Pages with a file field, which parse multipart forms.
_UPLOADS = ("/console/branding", "/installation/licence")


async def signed_in_everywhere(app: App) -> Visitor:
    """Sign in as a user, who is an Admin, and as a system admin."""
    return await (await Visitor(app).signed_in("admin@acme.example")).system_admin()


async def tokens_for(app: App, visitor: Visitor, path: str) -> Tokens:
    other = await signed_in_everywhere(app)
    beside = Visitor(app, visitor.cookies | {"form": other.cookies["form"]})
    session = Visitor(app, other.cookies | {"form": visitor.cookies["form"]})
    return Tokens(
        await right_token(visitor, path),
        await right_token(visitor, f"{path}/x"),
        await right_token(session, path),
        await right_token(beside, path),
    )


def writes(seen: list[str]) -> list[str]:
    """Statements that change something other than the record of the rejection."""
    starts = ("INSERT INTO", "UPDATE", "DELETE FROM")
    return [
        one for one in seen if one.lstrip().upper().startswith(starts) and not re.match(r"\s*\w+( INTO)? audit_", one)
    ]


def test_there_are_forty() -> None:
    assert len(POST) >= 2
    assert len(VARIANTS) >= 40


@matrix("route", POST)
async def test_a_forged_post_changes_nothing(app: App, route: Route) -> None:
    visitor, path = await signed_in_everywhere(app), filled(route.path)
    tokens = await tokens_for(app, visitor, path)
    fields = dict.fromkeys(route.members, "x")
    before = dict(visitor.cookies)
    for name, variant in VARIANTS.items():
        if name == "several parts" and route.path in _UPLOADS:
            continue
        token = variant.token(tokens) if variant.token else tokens.right
        address = path + (variant.query(tokens) if variant.query else "")
        with counted_statements() as seen:
            page = await visitor.post(address, fields | {"form": token}, **variant.headers)
        again = (303, 400, 404) if path.startswith("/o/") else (303, 401, 409)  # an app's request is parsed first
        assert page.status in ((variant.status,) if variant.status else again), (name, page.reply.text)
        assert writes(seen) == [], name
        assert visitor.cookies == before, name
    assert (await app.me(cookie=visitor.cookies["session"])).status == 200
    page = await visitor.post(path, fields | {"form": tokens.right})  # the baseline for all of them
    assert "Your changes weren't saved" not in page.reply.text, page.reply.text


@matrix("route", POST)
async def test_without_the_form_cookie_a_page_says_so(app: App, route: Route) -> None:
    visitor = await signed_in_everywhere(app)
    token = await right_token(visitor, filled(route.path))
    del visitor.cookies["form"]
    page = await visitor.post(filled(route.path), {"form": token})
    assert (page.status, page.heading) == (400, "Your browser blocked a cookie")
    assert (await app.me(cookie=visitor.cookies["session"])).status == 200


async def signs_out(app: App, visitor: Visitor, token: str, status: int) -> None:
    session = visitor.cookies["session"]
    page = await visitor.post("/sign-out", {"form": token})
    assert page.status == status
    assert ((await app.me(cookie=session)).status == 200) == (status != 303)


async def test_a_token_is_good_for_its_page_its_browser_and_its_session_alone(app: App) -> None:
    visitor, other = await Visitor(app).signed_in(), await Visitor(app).signed_in("viewer@acme.example")
    page = await visitor.get("/sign-out")
    token = page.form("/sign-out").fields["form"]
    await signs_out(app, visitor, page.form(LANGUAGE).fields["form"], 403)  # another page's token
    other.cookies["form"] = visitor.cookies["form"]
    await signs_out(app, other, token, 403)  # another person's
    visitor.cookies["form"] = (await Visitor(app).get("/sign-out")).reply.cookie("form")
    await signs_out(app, visitor, token, 409)  # another browser's


async def test_a_token_looks_different_each_time_and_stays_good(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    tokens = [(await visitor.get("/sign-out")).form("/sign-out").fields["form"] for _ in range(5)]
    halves = [token[at : at + 43] for token in tokens for at in (0, 43)]
    assert len(set(halves)) == 10
    await signs_out(app, visitor, tokens[0], 303)


async def test_a_token_outlives_the_rotation_of_its_key_and_not_its_end(app: App) -> None:
    visitor, admin = await Visitor(app).signed_in(), await app.admin_token()
    token = (await visitor.get("/sign-out")).form("/sign-out").fields["form"]
    await app.post("/api/admin/keys/rotate", {"purpose": "forms"}, token=admin)
    await signs_out(app, visitor, token, 303)
    visitor = await Visitor(app).signed_in()
    token = (await visitor.get("/sign-out")).form("/sign-out").fields["form"]
    keys = (await app.get("/api/admin/keys?purpose=forms&state=signing", token=admin)).data["items"]
    await app.post(f"/api/admin/keys/{keys[0]['id']}/retire", {"atOnce": True}, token=admin)
    await signs_out(app, visitor, token, 403)


@matrix(
    ("body", "status"),
    [
        (b"form=a&form=b", 400),
        (b"here=a%00b", 400),
        (b"here=%ED%A0%80", 400),  # a lone surrogate
        (b"here=%FF", 400),
        ("here=ä".encode(), 400),
        (b"&".join(b"f%d=x" % number for number in range(101)), 400),
        (b"here=" + b"x" * 64 * 1024, 413),
    ],
)
async def test_a_body_is_a_form_of_64_kib_and_100_fields(app: App, body: bytes, status: int) -> None:
    visitor = Visitor(app)
    token = (await visitor.get("/sign-out")).form(LANGUAGE).fields["form"]
    headers = {
        "Content_Type": "application/x-www-form-urlencoded", "Origin": app.public_url, "Sec_Fetch_Site": "same-origin",
    }  # fmt: skip
    page = await visitor.send("POST", LANGUAGE, content=body + b"&form=" + token.encode(), **headers)
    assert page.status == status
    assert "lang" not in visitor.cookies


async def test_a_hundred_fields_are_read(app: App) -> None:
    visitor = Visitor(app)
    token = (await visitor.get("/sign-out")).form(LANGUAGE).fields["form"]
    page = await visitor.post(LANGUAGE, {"form": token, "lang": "fr"} | {f"f{n}": "x" for n in range(98)})
    assert (page.status, visitor.cookies["lang"]) == (303, "fr")


async def test_an_anonymous_form_that_is_forged_writes_nothing(app: App) -> None:
    visitor = Visitor(app)
    await visitor.get("/sign-out")
    with counted_statements() as seen:
        await visitor.post("/sign-out", {"form": "x"}, Origin="http://evil.example")
    assert writes(seen) == []
