"""Rules for every template, so that foreign text is never interpreted as markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import StrictUndefined, UndefinedError, nodes

from manifest_auth.app import page_routes
from manifest_auth.pages import rendering
from tests.support.matrix import matrix
from tests.support.rules import rule

PAGES = Path(rendering.__file__).parent
SOURCE = PAGES.parent
NAMES = sorted(path.relative_to(rendering.TEMPLATES).as_posix() for path in rendering.TEMPLATES.rglob("*.html"))
_UNSAFE = re.compile(r"\|\s*safe\b|autoescape|\bMarkup\b|xmlattr|\burlize\b|\btojson\b")


@rule("MARKUP")
@matrix("name", NAMES)
def test_a_template_takes_nothing_for_markup_and_has_nothing_inline(name: str) -> None:
    text = (rendering.TEMPLATES / name).read_text("utf-8")
    assert not _UNSAFE.search(text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", text)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)


@rule("MARKUP")
def test_one_module_makes_markup() -> None:
    sources = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}
    found = sorted(name for name, text in sources.items() if re.search(r"\bMarkup\b|\bmarkupsafe\b", text))
    assert found == ["pages/rendering.py"]
    assert [name for name, text in sources.items() if re.search(r"autoescape=False|__html__", text)] == []


def test_every_template_compiles_and_escapes() -> None:
    environment = rendering.environment()
    assert environment.autoescape is True
    assert environment.undefined is StrictUndefined
    for name in NAMES:
        environment.get_template(name)
    shown = environment.from_string("{{ x }}").render(x="<b>&\"'")
    assert shown == "&lt;b&gt;&amp;&#34;&#39;"
    with pytest.raises(UndefinedError):
        environment.from_string("{{ nothing }}").render()


def test_translations_escape_what_is_put_into_them() -> None:
    environment = rendering.environment()
    text = '{{ _("You are signed in at %(client)s.", client=x) }} {{ ngettext("one %(x)s", "%(num)s: %(x)s", 2, x=x) }}'
    for language in ("en", "de"):
        one, several = rendering.translations(language)
        shown = environment.from_string(text).render(x="<b>", _=one, ngettext=several)
        assert shown.count("&lt;b&gt;") == 2
        assert "<b>" not in shown
        assert "2: " in shown


def test_constant_messages_are_formatted_as_those_with_values() -> None:
    one, _ = rendering.translations("en")
    assert [one("100 %% <b>"), one("100 %% <b>"), one("%(x)s", x="<b>")] == ["100 % <b>", "100 % <b>", "&lt;b&gt;"]


def test_every_template_is_a_pages_or_a_part_of_one() -> None:
    used = {route.template for route in page_routes()}
    for path in PAGES.rglob("*.py"):
        used |= set(re.findall(r'"([a-z_/]+\.html)"', path.read_text("utf-8")))
    assert used - {""} <= set(NAMES)
    environment, ahead = rendering.environment(), [name for name in used if name]
    reached = set[str]()
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            tree = environment.parse((rendering.TEMPLATES / name).read_text("utf-8"))
            for node in tree.find_all((nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)):
                ahead += [found.value for found in [node.template] if isinstance(found, nodes.Const)]  # type: ignore[attr-defined]
    spare = set(NAMES) - reached
    assert not spare
