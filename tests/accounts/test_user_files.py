"""The file with a client's users is read in parts, however many there are."""

from __future__ import annotations

import csv
import io

import pytest

from manifest_auth.clients import user_files
from tests.http.pages.console.test_factor_rules import browser_of
from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.second_factors import person

pytestmark = pytest.mark.one_store


@matrix("at_once", [1, 2, 5, 6, 7])
async def test_the_file_has_each_user_once(app: App, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(user_files, "_AT_ONCE", at_once)
    client = await new_client(app)
    visitor = await browser_of(await person(app, client, "Admin"))
    emails = [(await new_user(app, client))[1] for _ in range(6)]
    sent = (await visitor.get("/console/users/export?role=Viewer&sort=EMAIL_DESC")).reply.text
    assert [one["email"] for one in csv.DictReader(io.StringIO(sent))] == emails
