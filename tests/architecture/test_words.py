"""The check of words: docs, descriptions, and docstrings are clean, and each kind of error is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import words


def test_docs_descriptions_and_docstrings_are_clean() -> None:
    assert [*words.findings()] == []


def test_every_named_file_exists() -> None:
    named = [*words.COVERED, *words.LONG_PAGES, *words.DOCSTRINGS, *words.ALLOWED]
    assert [name for name in named if not (words.ROOT / name).exists()] == []


def test_a_phrase_is_found_in_prose_and_not_in_code_targets_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (page := tmp_path / "page.md").write_text(
        "# A licence\n\n```sh\nmay\n```\n`may` [x](may.md) *Let in* <!-- may\nmay -->\nYou may go.\nNow, at once.\n"
    )
    assert [*words.phrases(page)] == [
        "page.md:1: 'licence': write license",
        "page.md:8: 'may': write can, might",
        "page.md:9: 'at once': write immediately, at the same time",
    ]
    (source := tmp_path / "source.py").write_text('A = "no_word"\nB = "It is refused, `refused`."\n')
    assert [*words.phrases(source)] == ["source.py:2: 'refused': write reject, fail, block"]


def test_a_long_sentence_is_found_outside_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    long = " ".join(["word"] * words.LONGEST)
    (page := tmp_path / "page.md").write_text(
        f"# {long} x\n\n| {long} x |\n\n{long}:\nx.\n\n- {long}. x\n- {long}\n  x\n"
    )
    assert [*words.long_sentences(page)] == [f"page.md:9: 26 words: {long[:60]}…"]


def test_a_phrase_is_found_in_docstrings_and_comments_and_not_in_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "sources", lambda folder: [f"{folder}.py"])
    texts = [
        '"""Sent by e-mail; ``anew``, accounts/anew."""',
        "anew = 1",
        "#: Read anew.",
        'def f():\n    """It may not."""',
    ]
    (tmp_path / "src.py").write_text("\n".join(texts))
    assert [*words.code_phrases("src")] == [
        "src.py:1: 'e-mail': write email",
        "src.py:4: 'may not': write must not, might not",
        "src.py:3: 'anew': write again",
    ]


def test_a_docstring_that_opens_like_a_question_is_found() -> None:
    opens = ['"""What it is."""', 'def f():\n    """Whose it is."""', '"""Whatever."""', '"""A noun.\nWhat it is."""']
    assert [words.OPENING.search(text) is not None for text in opens] == [True, True, False, False]
