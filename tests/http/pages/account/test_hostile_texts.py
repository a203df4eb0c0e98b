"""The account's pages show the names of people and programs only as text."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.http.pages.account.account_pages import person, signed_in
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.visitor import Page

SESSIONS = "/account/sessions"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store, pytest.mark.endurance]
_STARTS = (
    "",
    '"',
    "'",
    "</p>",
    "</title>",
    "</textarea>",
    '">',
    "'>",
    "--><",
    "]]>",
    "{{",
    "{%",
    "%(num)s",
    "\\",
    "&lt;",
)
_ENDS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<b>b</b>",
    '<a href="javascript:alert(1)">x</a>', "<style>*{}</style>", " onmouseover=alert(1) x=", "<iframe src=//evil>",
    "<!--", "<base href=//evil/>", "<form action=//evil>", "<input autofocus onfocus=alert(1)>",
    "<meta http-equiv=refresh content=0>", "7*7}}", "&#60;script&#62;", "<math><mi xlink:href=x>", "<x:y>",
    "<object data=x>", "ＡＢ<ｓcript>", "\u2066<i>\u2069",
)  # fmt: skip
TEXTS = [start + end for start, end in itertools.product(_STARTS, _ENDS)]
HIDDEN = [text for text in TEXTS if "\u2066" in text]  # names can't contain it, but a program's name can
NAMES = [text for text in TEXTS if text not in HIDDEN]
ASCII = [text for text in TEXTS if text.isascii()]  # other texts can't be sent in a header


def elements(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """The structure of the page: each element with its attribute names."""
    return [(str(one.tag), tuple(one.attrib)) for one in page.tree.iter() if isinstance(one.tag, str)]


def shape(page: Page) -> list[Any]:
    return [one for one in elements(page) if one[0] not in ("script", "link")]


def test_there_are_enough() -> None:
    assert len(set(TEXTS)) == 300


async def test_names_and_titles(app: App) -> None:
    ada = await person(app, firstName="A", lastName="B", title="C")
    plain = {path: shape(await ada.visitor.get(f"/account{path}")) for path in ("", "/profile")}
    for number, text in enumerate(NAMES):
        app.clock.advance(60)
        names = {"firstName": text[:100], "lastName": f"B{number}", "title": text[:100]}
        changed = await app.send("PATCH", "/api/client/auth/me", names, cookie=ada.visitor.cookies["session"])
        assert changed.status == 200, changed.text
        page = await ada.visitor.get("/account/profile")
        assert shape(page) == plain["/profile"]
        assert page.form("/account/profile").fields["firstName"] == text
    home = await ada.visitor.get("/account")
    assert NAMES[-1] in home.tree.get_element_by_id("who").text_content()
    assert [one for one in shape(home) if one[0] in ("b", "img", "svg", "iframe", "i")] == []


async def test_a_rejected_form_shows_what_was_typed_as_text(app: App) -> None:
    ada = await person(app)
    path = "/account/profile"
    page = await ada.visitor.get(path)
    first = await ada.visitor.submit(page, path, firstName="\u200b", lastName="x", title="y")
    for text in TEXTS:
        refused = await ada.visitor.submit(page, path, firstName="\u200b", lastName=text, title=text)
        assert refused.status == 400
        if text not in HIDDEN:
            assert shape(refused) == shape(first)
        assert refused.form(path).fields["lastName"] == text
        assert refused.form(path).fields["title"] == text


async def test_user_agents(app: App) -> None:
    ada = await person(app)
    await signed_in(app, ada.email, ada.client)
    row = shape(await ada.visitor.get(SESSIONS))
    inside = {tag for tag, _ in row}
    for part in (ASCII[start : start + 60] for start in range(0, len(ASCII), 60)):
        app.clock.advance(2 * 86_400)
        for text in part:
            app.clock.advance(1)
            await signed_in(app, ada.email, ada.client, text)
        ada.visitor.cookies["session"] = (await signed_in(app, ada.email, ada.client)).cookies["session"]
        page = await ada.visitor.get(SESSIONS)
        assert {tag for tag, _ in elements(page)} - inside <= {"script", "link"}
        assert not [name for _, names in elements(page) for name in names if name.startswith("on")]
        shown = " ".join(page.tree.xpath("//tbody//th//text()"))
        assert all(text.partition("/")[0].strip()[:40] in shown for text in part)


async def test_names_of_clients(app: App) -> None:
    ada = await person(app)
    plain = shape(await ada.visitor.get("/account"))
    for text in NAMES:
        app.clock.advance(1)
        named, admin = {"name": text}, await app.admin_token()
        assert (await app.send("PATCH", f"/api/admin/clients/{ada.client}", named, token=admin)).status == 200
        page = await ada.visitor.get("/account")
        assert shape(page) == plain
        assert page.tree.find_class("wordmark")[0].text_content().endswith(text)


async def test_the_query_is_not_shown(app: App) -> None:
    ada = await person(app, await new_client(app))
    plain = shape(await ada.visitor.get("/account"))
    for text in ("<b>", "'\"><img>", "%3Cscript%3E", "{{7*7}}"):
        page = await ada.visitor.get(f"/account?x={text}")
        assert shape(page) == plain
