"""The console verifies a directory through a link to Microsoft that leads back to the page."""

from __future__ import annotations

import pytest

from tests.interop.microsoft.directory_prover import Prover
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.needs("nsd", "unbound"), pytest.mark.one_store]

PATH = "/console/domains"


async def test_the_page_says_for_what_and_the_proof_ends_on_it(prover: Prover) -> None:
    visitor = await Visitor(prover.app).signed_in(prover.admin.email)
    page = await visitor.submit(await visitor.get(PATH), PATH, {"act": "prove"})
    assert page.status == 200
    assert f"An administrator of directory {prover.directory} must sign in" in page.text
    address = page.links()["Continue to Microsoft"]
    assert page.tree.xpath("//form[starts-with(@action, 'http')]") == []
    cookies = [line.partition(";")[0] for line in page.reply.headers.get_list("set-cookie")]
    back = prover.setup.microsoft.visit(address, "alice").removeprefix(prover.app.public_url.rstrip("/"))
    answer = await prover.app.send("GET", back, headers=[("Cookie", "; ".join(cookies))])
    assert answer.status == 302
    assert answer.headers["location"] == PATH
    page = await visitor.get(PATH)
    assert "by an administrator of the directory" in page.text
    assert not [form for form in page.forms() if form.fields.get("act") == "prove"]


async def test_a_directory_that_is_not_claimed_is_not_there(prover: Prover) -> None:
    visitor = await Visitor(prover.app).signed_in(prover.admin.email)
    token = (await visitor.get(PATH)).form(PATH, act="claim").fields["form"]
    page = await visitor.post(
        PATH, {"form": token, "act": "prove", "directory": "aaaabbbb-0000-cccc-1111-dddd2222eeee"}
    )
    assert page.status == 404
