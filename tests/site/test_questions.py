"""The twenty questions: the expected page contains the answer, and is among the first results of one search."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.docs_pages import text_of
from tests.browser.driver import Chromium
from tests.site.questions import QUESTIONS, Question
from tests.support.matrix import matrix

FIRST = 5
_FOUND = (
    "[...document.querySelectorAll('.md-search-result__item > a:first-of-type, "
    ".md-search-result__item > .md-search-result__link')].map(link => link.getAttribute('href'))"
)


def test_there_are_twenty_of_integrators_administrators_and_operators() -> None:
    assert len(QUESTIONS) == 20
    assert {question.who for question in QUESTIONS} == {"integrator", "administrator", "operator"}


@matrix("question", QUESTIONS, ids=lambda question: question.question)
def test_the_page_has_the_answer(question: Question) -> None:
    assert question.answer in " ".join(text_of(f"{question.page}.md").split())


def search(browser: Chromium, address: str, words: str) -> list[str]:
    """The pages found by the site's search, best first, without the text after ``.html``. An open page keeps its index
    of all words, which takes a second to load."""
    field = "document.querySelector('[data-md-component=search-query]')"
    meta = "document.querySelector('.md-search-result__meta')?.textContent"
    if browser.value("location.href.split('?')[0]") != address:
        browser.open("about:blank")
        browser.open(address)
        browser.until(f"{field} && document.readyState === 'complete'")
        browser.value(f"{field}.focus()")
        if not address.startswith("file:"):  # there, the search initializes with the first words
            browser.until(f"({meta} || '').includes('Type to start searching')")
    browser.value("document.querySelector('.md-search-result__list').replaceChildren()")
    browser.value(f"{field}.focus()")
    browser.value(f"{field}.select()")
    browser._call("Input.insertText", text=words)
    browser.value(f"{field}.dispatchEvent(new KeyboardEvent('keyup')), null")  # as a key press does
    browser.until("document.querySelectorAll('.md-search-result__item').length > 0")
    found: list[str] = [link.partition(".html")[0] for link in browser.value(_FOUND)]
    return list(dict.fromkeys(found))


@pytest.mark.needs_chromium
@pytest.mark.endurance
@pytest.mark.endurance
@matrix("question", QUESTIONS, ids=lambda question: question.question)
def test_one_search_finds_the_page(browser: Chromium, base: str, question: Question) -> None:
    found = search(browser, f"{base}/docs/", question.words)
    assert f"{base}/docs/{question.page}" in found[:FIRST]
    assert browser.complaints == []


@pytest.mark.needs_chromium
@pytest.mark.endurance
def test_the_search_works_from_files_too(browser: Chromium, site: Path) -> None:
    found = search(browser, f"file://{site}/index.html", "MANIFEST_TRUSTED_PROXIES")
    assert f"file://{site}/settings" in found[:FIRST]
