"""The message catalogs of pages and emails are complete in each language, and compiled from their sources."""

from __future__ import annotations

import ast
import re

from manifest_auth.pages import languages
from manifest_auth.text.languages import catalogue
from tests.pages import catalogues
from tests.support.matrix import matrix

LANGUAGES = list(catalogues.PLURALS)
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")
#: Function that marks a text → the number of its arguments that are texts; the functions have no aliases.
_MARKS = {"_": 1, "several": 2, "sentence": 0, "marked": 0}
_FORMS = {"es": 2, "pt": 2, "de": 2, "fr": 2, "ja": 1}


def test_the_languages_are_those_that_pages_offer() -> None:
    assert {"en", *LANGUAGES} == set(languages.LANGUAGES)
    assert len(catalogues.messages()) > 20


@matrix("language", LANGUAGES)
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    written = catalogues.read(language)
    assert {message.id for message in written if message.id} == set(catalogues.messages())
    for message in written:
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(strings), message.id
        assert not message.fuzzy, message.id
        if message.id:
            assert len(strings) == (_FORMS[language] if isinstance(message.id, tuple) else 1)


def test_what_is_marked_is_written_out() -> None:
    """The catalogs don't contain texts that the code assembles."""
    for path, name in catalogues.files():
        calls = ast.walk(ast.parse(path.read_text("utf-8"))) if path.suffix == ".py" else ()
        for call in calls:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _MARKS:
                texts = call.args[: _MARKS[call.func.id]]
                assert all(isinstance(text, ast.Constant) for text in texts), (name.as_posix(), call.lineno)
                assert texts, (name.as_posix(), call.lineno)


def test_what_has_a_translation_is_marked_where_it_is_written() -> None:
    """Texts of one or two words are also names of things."""
    ids = {text for message in catalogues.messages() for text in _texts(message) if text.count(" ") > 1}
    not_raised = {*_MARKS, "gettext", "ngettext", "page", "Route", "Meta", "qr_svg"}
    unmarked = []
    for path, name in catalogues.files():
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8")))) if path.suffix == ".py" else []
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        names = {one: ast.unparse(one.func).rpartition(".")[2] for one in calls}
        marking = [one for one, called in names.items() if called in not_raised or called.endswith("_page")]
        marked = {text for call in marking for text in [*call.args, *(one.value for one in call.keywords)]}
        texts = [node for node in nodes if isinstance(node, ast.Constant) and node.value in ids]
        unmarked += [(name.as_posix(), text.lineno) for text in texts if text not in marked]
    assert unmarked == []


def _texts(of: object) -> tuple[str, ...]:
    return tuple(map(str, of)) if isinstance(of, tuple | list) else (str(of),)


@matrix("language", LANGUAGES)
def test_what_is_put_into_a_message_is_the_same_in_every_language(language: str) -> None:
    for message in catalogues.read(language):
        if not message.id:
            continue
        ids, strings = _texts(message.id), _texts(message.string)
        expected = set(_PLACEHOLDER.findall(ids[-1]))
        assert not re.search(r"<(?!/?(?:a|code|span|strong)\b)", "".join(ids + strings)), "no reader would see it"
        for string in strings:
            assert set(_PLACEHOLDER.findall(string)) == expected, string
            assert not re.search(r"%(?!\(\w+\)[sd]|%)", string), string
            assert string[:1].isspace() == ids[0][:1].isspace()
            assert string[-1:].isspace() == ids[0][-1:].isspace()


@matrix("language", LANGUAGES)
def test_the_compiled_file_is_made_from_the_written_one(language: str) -> None:
    assert (catalogues.FOLDER / f"{language}.po").read_bytes() == catalogues.text_of(catalogues.current(language))
    compiled = (catalogues.FOLDER / f"{language}.mo").read_bytes()
    assert compiled == catalogues.compiled(catalogues.read(language))


@matrix("language", LANGUAGES)
def test_plurals_are_those_of_the_language(language: str) -> None:
    one, many = "in %(num)s second", "in %(num)s seconds"
    t = catalogue(language)
    said = [t.ngettext(one, many, number) for number in (0, 1, 2, 5, 1_000_000)]
    singular, plural = said[1], said[2]
    assert (singular == plural) is (language == "ja")
    assert said[3:] == [plural, plural]
    assert said[0] == (singular if language in ("fr", "pt") else plural)


def test_two_languages_rarely_say_the_same() -> None:
    """A text that was forgotten in one language is the English one."""
    for language in LANGUAGES:
        same = [
            message.id
            for message in catalogues.read(language)
            if message.id == message.string and len(_PLACEHOLDER.sub("", str(message.id)).split()) > 2
        ]
        assert same == []


_LABELLED = re.compile(r'_\("([^"]+)"\)[^\n]*?label=_\("([^"]+)"')


@matrix("language", ["en", *LANGUAGES])
def test_a_buttons_name_holds_the_words_on_it(language: str) -> None:
    """A user of voice control says the visible text (WCAG 2.2, 2.5.3)."""
    texts = {message.id: str(message.string) for message in catalogues.read(language)} if language != "en" else {}
    pairs = [pair for path, _ in catalogues.files() for pair in _LABELLED.findall(path.read_text("utf-8"))]
    assert len(pairs) >= 3
    for seen, name in pairs:
        assert texts.get(seen, seen).lower() in texts.get(name, name).lower()
