"""The docs match the code: generated pages are current, no link is dead, and nothing is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import inspect

from manifest_auth import errors
from manifest_auth.api.graphql import limits as graphql_limits
from manifest_auth.audit import Event
from manifest_auth.cli.reference import stale
from manifest_auth.errors import REFUSALS, Conflict, InvalidCredentials, NoSeat, OtherClient, Refusal
from manifest_auth.runtime import metrics
from manifest_auth.runtime.settings import Settings
from tests.architecture import links
from tests.architecture.docs_pages import DOCS
from tests.architecture.links import ROOT


def test_no_link_in_the_docs_is_dead() -> None:
    assert not {page.name: found for page in links.pages() if (found := list(links.dead(page)))}


def test_a_dead_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# One heading, `with code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#one-heading-with-code) [c](#here) [d](https://example.org/x)\n"
        "[e](missing.md) [f](other.md#two) [g](#there) `[h](missing.md)`\n```\n[i](missing.md)\n```\n"
    )
    assert list(links.dead(page)) == ["missing.md", "other.md#two", "#there"]


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for page in links.pages():
        width = 0
        for line in page.read_text("utf-8").splitlines():
            if "| --- |" in line:
                width = line.count("|")
                assert set(line) <= set("|- "), (page.name, line)  # a table that runs into a paragraph
            elif line.startswith("|") and width:
                assert len(re.findall(r"(?<!\\)\|", line)) == width, (page.name, line)
            elif not line:
                width = 0


def test_the_generated_pages_match_the_code() -> None:
    assert not stale(DOCS)


def test_every_setting_has_a_description() -> None:
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    for field in found.fields:
        kind, sentences = field.type, []
        while isinstance(kind, inspect.Metadata):
            sentences.append((kind.extra_json_schema or {}).get("description", ""))
            kind = kind.type
        assert any(sentence.endswith(".") for sentence in sentences), field.name


def test_the_list_of_refusals_is_closed_and_every_one_is_explained() -> None:
    declared = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refusal)}
    assert declared - {Refusal, NoSeat, OtherClient} == set(REFUSALS)
    assert NoSeat.code == Conflict.code  # to a caller, it's an ordinary Conflict
    assert OtherClient.code == InvalidCredentials.code  # only pages see the other client
    assert len({refusal.code for refusal in REFUSALS}) == len(REFUSALS)
    for refusal in REFUSALS:
        assert refusal.sentence
        assert refusal.when.endswith(".")


def test_no_error_is_defined_outside_the_closed_list() -> None:
    assert set(Refusal.__subclasses__()) == set(REFUSALS)


def test_every_audit_event_is_explained() -> None:
    explained = set(
        re.findall(r"^\| `([a-z_]+)` \|", (DOCS / "operations" / "watch.md").read_text("utf-8"), re.MULTILINE)
    )
    assert {event.value for event in Event} <= explained


def test_every_metric_is_explained() -> None:
    source = Path(metrics.__file__).read_text("utf-8")
    names = set(re.findall(r'"(manifest_[a-z_]+)"', source))
    explained = (DOCS / "operations" / "watch.md").read_text("utf-8")
    assert names
    assert {name for name in names if f"`{name}" not in explained} == set()


def test_every_file_and_folder_of_the_source_that_the_pages_name_exists() -> None:
    """Checks paths below ``src/manifest_auth`` or from the root; for test files, the name is enough."""
    places = (ROOT / "src" / "manifest_auth", ROOT, ROOT / "bench")
    missing = {
        (page.name, name)
        for page in links.pages()
        if page.name not in ("CHANGELOG.md", "CONTRIBUTING.md")  # they describe the past, and files to add
        for name in re.findall(r"`((?:\w+/)+|(?:\w+/)*\w+\.py)`", page.read_text("utf-8"))
        if not any((place / name).exists() for place in places) and not re.match(r"test_\w+\.py$", name)
    }
    assert missing == set()


def test_every_symbol_on_the_sign_in_page_is_in_its_file() -> None:
    rows = re.findall(
        r"^\| `([\w.]+)` \| `([a-z_/]+\.py)` \|", (DOCS / "how-sign-in-works.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 10
    # Calls in its diagram go from one part to another, each of which is a file.
    text = (DOCS / "how-sign-in-works.md").read_text()
    files = dict(re.findall(r"participant (\w+) as ([a-z_/]+\.py)", text))
    calls = re.findall(r"->>(\w+): (\w+)\(", text)
    assert calls
    rows += [(symbol, files[part]) for part, symbol in calls]
    for symbol, name in rows:
        source = (ROOT / "src" / "manifest_auth" / name).read_text("utf-8")
        assert re.search(rf"(def|class) {symbol.rpartition('.')[2]}\b|^{symbol} ", source, re.MULTILINE), (symbol, name)


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(page.name[:4]) for page in sorted((DOCS / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert "./dev demo" in text
    assert "./dev test" in text


def test_the_docs_contain_no_absolute_paths_of_a_machine() -> None:
    for page in links.pages():
        assert not re.search(r"(?<![\w./])/(home|root|Users|work)/", page.read_text("utf-8")), page.name


def test_every_page_that_the_code_names_exists() -> None:
    named = {
        name
        for folder in ("src", "tests", "bench")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"\bdocs/[\w/.-]+\.md", path.read_text("utf-8"))
    }
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_file_of_tests_that_the_pages_name_exists() -> None:
    """By its whole path or only by its name; a pattern with ``*`` matches at least one file."""
    missing = {}
    for page in (page for page in links.pages() if page.name != "CONTRIBUTING.md"):
        for name in re.findall(r"`((?:tests/)?(?:\w+/)*test_[\w*]+\.py|tests/[\w/]+)`", page.read_text("utf-8")):
            found = list(ROOT.glob(name) if name.startswith("tests/") else (ROOT / "tests").rglob(name))
            if not found:
                missing[name] = page.name
    assert missing == {}


def test_the_documented_graphql_limits_are_correct() -> None:
    told = (DOCS / "decisions" / "0014-graphql.md").read_text("utf-8")
    found = {name: value for name, value in vars(graphql_limits).items() if name.startswith("MAX_")}
    assert found
    assert {name for name, value in found.items() if not re.search(rf"(?<![\d,]){value:,}(?![\d,]\d)", told)} == set()
