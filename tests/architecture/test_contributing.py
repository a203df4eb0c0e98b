"""CONTRIBUTING: its commands, paths and examples are those of the project. So are workflow, hooks and forms."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from manifest_auth.sign_in.providers.kind import Kind
from tests.architecture.links import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
DEV = (ROOT / "dev").read_text("utf-8")


def _blocks(heading: str) -> list[str]:
    """The blocks of Python code of a part."""
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert part, heading
    return re.findall(r"^```python\n(.*?)^```", part, re.MULTILINE | re.DOTALL)


def test_its_commands_are_those_of_dev() -> None:
    named = set(re.findall(r"\./dev ([a-z]+)", TEXT))
    known = set(re.findall(r"^  ([a-z]+)\)$", DEV, re.MULTILINE))
    assert {"unit", "check", "test", "docs", "demo", "format"} <= named <= known


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in re.findall(r"`?((?:src|tests|docs)/[\w/-]+\.(?:py|md))\b", TEXT)
        if not re.search(r"example\.py|test_now\.py|_0007|v0008", name)
    ],
)
def test_a_file_that_it_names_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_places_of_its_recipes_are_there() -> None:
    places = {
        "src/manifest_auth/api/client/auth.py": ["ROUTES = (", "from manifest_auth.text.canonical import when", "Time"],
        "src/manifest_auth/runtime/settings/values.py": ["class Settings(", "Seconds = int", "def _about("],
        "src/manifest_auth/runtime/settings/loading.py": ["def _check("],
        "tests/runtime/settings/test_settings.py": ["WRONG: "],
        "src/manifest_auth/audit/events.py": ["class Event("],
        "src/manifest_auth/api/client/files.py": ["async def _add(", "files.add("],
        "tests/audit/test_every_event.py": ["async def _users("],
        "src/manifest_auth/sign_in/providers/kinds.py": ["KINDS"],
        "src/manifest_auth/store/tables/accounts.py": ['Column("title", Text'],
        "tests/http/requests/test_route_access.py": ["OPEN"],
    }
    for name, pieces in places.items():
        assert name.removeprefix("src/manifest_auth/") in TEXT
        source = (ROOT / name).read_text("utf-8")
        assert [piece for piece in pieces if piece not in source] == [], name


def test_the_example_of_a_kind_is_one() -> None:
    [module, *_] = _blocks("Add a kind of provider")
    made: dict[str, Any] = {"__name__": "example"}
    exec(
        compile(module.replace("from __future__ import annotations\n", ""), "example.py", "exec", dont_inherit=True),
        made,
    )
    assert isinstance(made["KIND"], Kind)
    assert made["KIND"].name == "example"
    assert made["KIND"].body().__struct_encode_fields__ == ("address", "clientSecret")


def test_the_workflow_calls_the_one_script() -> None:
    found = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = [step.get("run", "") for job in found["jobs"].values() for step in job["steps"]]
    assert [step for step in steps if step.endswith(".ci/run")]
    assert found["permissions"] == {"contents": "read"}


def test_hooks_are_the_tools_of_dev_and_fetch_nothing() -> None:
    found = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [group["repo"] for group in found["repos"]] == ["local"]
    hooks = [hook for group in found["repos"] for hook in group["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    tools = {re.sub(r"^\.venv/bin/(python -m )?", "", hook["entry"]).split()[0] for hook in hooks}
    assert [tool for tool in tools if tool not in DEV] == []


@pytest.mark.parametrize("name", ["bug.yml", "idea.yml"])
def test_a_form_asks_for_something(name: str) -> None:
    found = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / name).read_text("utf-8"))
    assert found["name"]
    assert found["description"]
    assert any(part.get("validations", {}).get("required") for part in found["body"])
