"""``docs/reference/security.md``: every rule has its own name, a place in the code, and tests that exist."""

from __future__ import annotations

import re

from tests.architecture import links
from tests.architecture.docs_pages import text_of
from tests.architecture.links import ROOT

PAGE = "reference/security.md"
_NAME = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)+\Z|[A-Z]+\Z")


def _rules() -> dict[str, str]:
    """The text of each rule by its name."""
    parts = re.split(r"^### (.+)$", text_of(PAGE), flags=re.MULTILINE)[1:]
    names, texts = parts[::2], parts[1::2]
    assert len(set(names)) == len(names)
    return dict(zip(names, (re.split(r"^## ", text, flags=re.MULTILINE)[0] for text in texts), strict=True))


def test_every_rule_has_a_name_a_place_and_tests() -> None:
    rules = _rules()
    assert len(rules) > 100
    for name, text in rules.items():
        assert _NAME.match(name), name
        shown = text.partition("- Shown by: ")[2].partition("\n- ")[0]
        assert re.search(r"`test_[a-z0-9_]+`", shown), name
        assert name.startswith("DEVIATION-") or re.search(r"^- Kept in: `[\w./]+`", text, re.MULTILINE), name


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", text_of(PAGE)))
    there = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 300
    assert sorted(named - there) == []


def test_every_file_that_is_named_exists() -> None:
    kept = re.findall(r"^- Kept in: (.+?)\.$", text_of(PAGE), re.MULTILINE | re.DOTALL)
    named = {name for line in kept for name in re.findall(r"`([\w./]+)`", " ".join(line.split()))}
    assert len(named) > 40
    places = (ROOT / "src" / "manifest_auth", ROOT)
    assert sorted(name for name in named if not any((place / name).exists() for place in places)) == []


def test_every_rule_that_is_named_elsewhere_exists() -> None:
    """By the page's name and its own: ``docs/reference/security.md, SAML-SHAPE``."""
    rules, files = _rules(), [path for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    for path in (*files, *links.pages()):
        for names in re.findall(
            r"security\.md`*,\s+((?:`*[A-Z0-9]+(?:-[A-Z0-9]+)*`*(?:, | and )?)+)", path.read_text()
        ):
            for name in re.findall(r"[A-Z0-9]+(?:-[A-Z0-9]+)+", names):
                assert name in rules, (path.name, name)
