"""A license key is installed on a page; until then, no user can sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.pages.installation.console import TEN_MINUTES, act, prove
from tests.support.application import App
from tests.support.licences import DAY, key, on_premise
from tests.support.matrix import matrix
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

LICENCE = "/installation/licence"


@pytest.fixture
async def premises(tmp_path: Path) -> AsyncIterator[App]:
    async with on_premise(f"sqlite:///{tmp_path / 'licence.db'}") as app:
        yield app


async def test_the_console_is_there_without_a_license_and_takes_one(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    overview = await visitor.get("/installation")
    assert "1 issue needs attention" in overview.text
    assert "No license is installed" in overview.text
    assert (await visitor.get("/account")).status == 403
    page = await visitor.get(LICENCE)
    assert "None installed" in page.text
    done = await act(visitor, LICENCE, licenseKey=f"\n {key(premises, full=20)} \n")
    assert done.location == LICENCE
    page = await visitor.follow(done)
    assert "Licensed toInitech" in page.text
    assert [cell.text for cell in page.tree.xpath("//tbody/tr[1]/*")][:2] == ["Full", "20"]
    assert "No problems found" in (await visitor.get("/installation")).text
    assert (await premises.sign_in()).status == 200
    users = await (await Visitor(premises).signed_in("admin@acme.example")).get("/console")
    free = users.tree.xpath("//dl[@class='figures']/div[last()]/*")
    assert [one.text_content() for one in free] == ["full seats free", "10"]


@matrix(("before", "after"), [(b"", b""), (b"\xef\xbb\xbf", b"\r\n")])
async def test_the_file_of_a_key_counts_in_place_of_the_text(premises: App, before: bytes, after: bytes) -> None:
    visitor = await Visitor(premises).system_admin()
    fields = (await visitor.get(LICENCE)).form(LICENCE).fields | {"licenseKey": "something else"}
    file = before + key(premises).encode() + after
    done = await visitor.upload(LICENCE, fields, "licenseFile", file)
    assert done.location == LICENCE


async def test_a_form_without_a_file_takes_the_text(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    fields = (await visitor.get(LICENCE)).form(LICENCE).fields | {"licenseKey": key(premises)}
    done = await visitor.upload(LICENCE, fields, "licenseFile", b"")
    assert done.location == LICENCE


@matrix("file", [b"\x89PNG\r\n\x1a\n\0\0", b"x" * 20_001, b"<b>", b"\xff\xfe"])
async def test_a_file_that_is_no_key_is_rejected(premises: App, file: bytes) -> None:
    visitor = await Visitor(premises).system_admin()
    fields = (await visitor.get(LICENCE)).form(LICENCE).fields
    page = await visitor.upload(LICENCE, fields, "licenseFile", file)
    assert (page.status, len(page.problems)) == (400, 1)
    assert "None installed" in page.text


async def test_a_file_of_more_than_a_form_holds_is_rejected(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    fields = (await visitor.get(LICENCE)).form(LICENCE).fields
    assert (await visitor.upload(LICENCE, fields, "licenseFile", b"x" * 200_000)).status == 413


async def test_a_file_waits_for_a_fresh_password_and_is_not_chosen_twice(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    fields = (await visitor.get(LICENCE)).form(LICENCE).fields
    premises.clock.advance(TEN_MINUTES)
    asked = await visitor.upload(LICENCE, fields, "licenseFile", key(premises).encode())
    assert (await prove(visitor, asked)).location == LICENCE


@matrix("text", ["", "x", "MANIFEST1.e30.AAAA", "ä" * 100, "x" * 20_001])
async def test_a_key_that_is_none_is_rejected(premises: App, text: str) -> None:
    visitor = await Visitor(premises).system_admin()
    page = await act(visitor, LICENCE, licenseKey=text)
    assert (page.status, len(page.problems)) == (400, 1)
    assert "None installed" in page.text
    assert page.form(LICENCE).fields["licenseKey"].strip() == text.strip()


async def test_a_key_wants_a_fresh_password_and_is_not_pasted_twice(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    premises.clock.advance(TEN_MINUTES)
    asked = await act(visitor, LICENCE, licenseKey=key(premises))
    assert (await prove(visitor, asked)).location == LICENCE


async def test_what_ends_soon_or_has_ended_is_said(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    await act(visitor, LICENCE, licenseKey=key(premises))
    premises.clock.advance(85 * DAY)
    visitor = await Visitor(premises).system_admin()
    assert "Recommendations" in (await visitor.get("/installation")).text
    premises.clock.advance(20 * DAY)
    visitor = await Visitor(premises).system_admin()
    assert "in grace period" in (await visitor.get(LICENCE)).text
    premises.clock.advance(20 * DAY)
    visitor = await Visitor(premises).system_admin()
    assert "The license has expired" in (await visitor.get("/installation")).text


async def test_where_none_is_needed_the_page_says_so(app: App) -> None:
    page = await (await Visitor(app).system_admin()).get(LICENCE)
    assert "doesn't need a license" in page.text
    assert not page.tree.xpath("//main//form")


async def test_without_a_license_a_page_leads_to_the_console_and_no_page_to_itself(premises: App) -> None:
    page = await Visitor(premises).get("/sign-in")
    assert page.status == 403
    assert page.links()["Sign in as a system admin"] == "/installation"


async def test_what_might_seem_odd_is_explained(premises: App) -> None:
    visitor = await Visitor(premises).system_admin()
    await act(visitor, LICENCE, licenseKey=key(premises))
    page = await visitor.get(LICENCE)
    assert "A higher seat type can replace a lower one" in page.text
    assert page.links()["audit trail"] == "/installation/audit?client=installation&event=license_refused"
