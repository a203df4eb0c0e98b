"""The function calls of a sign-in by password, in the order that its docs page describes."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from types import FrameType

from tests.support.application import running

ROOT = Path(__file__).parents[2]
SOURCE = f"{ROOT}/src/manifest_auth/"
PAGE = ROOT / "docs" / "how-sign-in-works.md"
Called = tuple[str, str]


async def test_a_sign_in_calls_what_its_page_names(database_url: str) -> None:
    [block] = re.findall(r"<!-- calls -->\n\n```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    named: list[Called] = re.findall(r"^(\S+) +(\w+)$", block, re.MULTILINE)
    assert len(named) > 5
    called: dict[Called, None] = {}

    def note(frame: FrameType, event: str, _given: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            called[frame.f_code.co_filename.removeprefix(SOURCE), frame.f_code.co_name] = None

    threading.setprofile(note)  # for the threads that the application starts
    try:
        async with running(database_url) as app:
            called.clear()
            sys.setprofile(note)
            answer = await app.sign_in("viewer@acme.example", client="acme")
            sys.setprofile(None)
    finally:
        threading.setprofile(None)
    assert answer.status == 200
    assert [one for one in called if one in named] == named
