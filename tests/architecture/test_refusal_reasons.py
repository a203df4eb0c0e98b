"""The docs list each reason of a rejected sign-in, with its cause and solution."""

from __future__ import annotations

import re
from pathlib import Path

from manifest_auth.errors import Reason
from manifest_auth.sign_in import refusal_reasons

SRC = Path("src/manifest_auth")


def test_every_reason_is_on_the_page_with_cause_and_fix() -> None:
    rows = refusal_reasons.reasons_page().splitlines()
    found = set(refusal_reasons.declared())
    assert len(found) > 90
    for reason in found:
        assert "" not in reason, reason.text
        row = [row for row in rows if f"`{reason.text}`" in row]
        assert len(row) == 1, reason.text
        assert row[0].endswith(f" | {reason.cause} | {reason.cure} |")


def test_reasons_are_constants_of_modules_that_the_page_reads() -> None:
    for path in SRC.rglob("*.py"):
        declarations = re.findall(r"^.*\bReason\(.*$", path.read_text("utf-8"), re.MULTILINE)
        inside = [line for line in declarations if not re.match(r"\w+(: Final)? = Reason\(|class Reason\(", line)]
        assert inside == [], path
        package = path.relative_to(SRC).parts[0]
        assert not declarations or package in (*refusal_reasons.PACKAGES, "errors.py"), path


def test_a_value_replaces_the_dots_once() -> None:
    reason = Reason("redirect: …", cause="cause", cure="cure")
    assert reason.with_("a … b") == Reason("redirect: a … b", cause="cause", cure="cure")
    assert f"{reason.also('other')}" == "other"
