"""``docs/reference/security.md``: every rule has a unique name, a place in the code, and a test with its mark."""

from __future__ import annotations

import ast
import re

from tests.architecture import links
from tests.architecture.docs_pages import text_of
from tests.architecture.links import ROOT

PAGE = "reference/security.md"
_NAME = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)+\Z|[A-Z]+\Z")


def _rules() -> dict[str, str]:
    """The text of each rule, by name."""
    parts = re.split(r"^### (.+)$", text_of(PAGE), flags=re.MULTILINE)[1:]
    names, texts = parts[::2], parts[1::2]
    assert len(set(names)) == len(names)
    return dict(zip(names, (re.split(r"^## ", text, flags=re.MULTILINE)[0] for text in texts), strict=True))


def _marked() -> set[str]:
    """The names of the rules in the marks of tests."""
    functions = [
        node
        for path in (ROOT / "tests").rglob("test_*.py")
        if "rule(" in (text := path.read_text("utf-8"))
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    marks = [
        mark
        for function in functions
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) in ("rule", "pytest.mark.rule")
    ]
    return {ast.literal_eval(name) for mark in marks for name in mark.args}


def test_every_rule_has_a_name_and_a_place() -> None:
    rules = _rules()
    assert len(rules) > 100
    for name, text in rules.items():
        assert _NAME.match(name), name
        assert name.startswith("DEVIATION-") or re.search(r"^- Enforced in: `[\w./]+`", text, re.MULTILINE), name


def test_every_rule_has_a_test_and_every_mark_names_a_rule() -> None:
    assert _marked() == _rules().keys()


def test_every_named_file_exists() -> None:
    kept = re.findall(r"^- Enforced in: (.+?)\.$", text_of(PAGE), re.MULTILINE | re.DOTALL)
    named = {name for line in kept for name in re.findall(r"`([\w./]+)`", " ".join(line.split()))}
    assert len(named) > 40
    places = (ROOT / "src" / "manifest_auth", ROOT)
    assert sorted(name for name in named if not any((place / name).exists() for place in places)) == []


def test_every_rule_named_elsewhere_exists() -> None:
    """References consist of the page's name and the rule's: ``docs/reference/security.md, SAML-SHAPE``."""
    rules, files = _rules(), [path for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    for path in (*files, *links.pages()):
        for names in re.findall(
            r"security\.md`*,\s+((?:`*[A-Z0-9]+(?:-[A-Z0-9]+)*`*(?:, | and )?)+)", path.read_text()
        ):
            for name in re.findall(r"[A-Z0-9]+(?:-[A-Z0-9]+)+", names):
                assert name in rules, (path.name, name)
