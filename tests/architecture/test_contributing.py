"""CONTRIBUTING's commands, paths, and examples match the project.

So do its workflow, hooks, and templates.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from manifest_auth.permissions import Role
from manifest_auth.sign_in.providers.kind import Kind
from tests.architecture.links import ROOT
from tests.support.matrix import matrix

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
DEV = (ROOT / "dev").read_text("utf-8")


def _part(heading: str) -> str:
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert part, heading
    return part


def _blocks(heading: str) -> list[str]:
    """The blocks of Python code, templates, and GraphQL schema in a section."""
    return re.findall(r"^```(?:python|html|graphql)\n(.*?)^```", _part(heading), re.MULTILINE | re.DOTALL)


def test_its_commands_are_those_of_dev() -> None:
    named = set(re.findall(r"\./dev ([a-z]+)", TEXT))
    known = {name for names in re.findall(r"^  ([a-z |]+)\)$", DEV, re.MULTILINE) for name in names.split(" | ")}
    assert {"unit", "check", "test", "docs", "demo", "format"} <= named <= known


@matrix(
    "name",
    [
        name
        for name in re.findall(r"`?((?:src|tests|docs)/[\w/-]+\.(?:py|md))\b", TEXT)
        if not re.search(r"example\.py|test_file_limit\.py|contact\.py|v0014", name)
    ],
)
def test_every_named_file_exists(name: str) -> None:
    assert (ROOT / name).exists()


_NEW = ""  # the example is the whole file
_EVERY = "(?#every)"  # the example is inserted at every match
#: The examples of each recipe in order: the file to change, and the pattern before which the example is inserted.
_PLACES: dict[str, list[tuple[str, str]]] = {
    "Add a route": [
        ("src/manifest_auth/api/client/files.py", r"^ROUTES = \("),
        ("src/manifest_auth/api/client/files.py", r"^    Route\("),
        ("tests/http/work/test_file_limit.py", _NEW),
    ],
    "Add a setting": [
        ("src/manifest_auth/runtime/settings/values.py", r"^    refresh_grace: "),
        ("tests/runtime/settings/test_settings.py", r'^    \("PORT", "eighty"\)'),
    ],
    "Add a rule of a client": [
        ("src/manifest_auth/tenants/settings.py", r"^_STRENGTH = "),
        ("src/manifest_auth/tenants/settings.py", r"^    branding: Branding = "),
    ],
    "Add a field to a user": [
        ("src/manifest_auth/text/fields.py", r"^EMAIL = "),
        ("src/manifest_auth/accounts/users.py", r"(?<=^    title: Annotated\[str, fields\.TITLE\]\n)"),
        ("src/manifest_auth/store/tables/accounts.py", r'(?<=^    Column\("title", Text, nullable=False\),\n)'),
        ("src/manifest_auth/store/migrations/versions/v0014_departments.py", _NEW),
        ("src/manifest_auth/api/graphql/schema.graphql", r'^  "A person, or a service account: a machine'),
        ("src/manifest_auth/api/graphql/schema.graphql", _EVERY + r'^  "Description of the user, in at'),
        ("tests/http/admin/test_users.py", r'^    "lastSignInAt",'),
        ("tests/http/admin/test_users.py", r"^async def test_a_user_without_a_password"),
    ],
    "Add an audit event": [
        ("src/manifest_auth/audit/catalogue.py", r"^    SIGNED_IN = "),
        (
            "src/manifest_auth/api/client/files.py",
            r"^    return await ctx\.store\.write\(\n        lambda unit: files\.add\((?:.*\n)(?: {8}.*\n)*    \)\n",
        ),
        ("src/manifest_auth/api/client/files.py", r"^from manifest_auth\."),
        ("tests/audit/event_causes.py", r"^\n\nasync def providers\("),
    ],
    "Add an email": [
        ("src/manifest_auth/runtime/mail/emails.py", r"^def email_confirm\("),
        ("tests/runtime/mail/test_emails.py", r'^    "domain_failing": '),
    ],
    "Add a page": [
        ("src/manifest_auth/pages/console/contact.py", _NEW),
        ("src/manifest_auth/pages/templates/console/contact.html", _NEW),
        ("src/manifest_auth/pages/all_pages.py", r"^    domains,"),
        ("src/manifest_auth/pages/all_pages.py", r"^    \*console_audit\.ROUTES,"),
        ("src/manifest_auth/pages/console/frame.py", r'^    _Section\(Permission\.\w+, "/console/audit"'),
        ("tests/http/pages/console/test_contact.py", _NEW),
    ],
    "Add a kind of provider": [
        ("src/manifest_auth/sign_in/providers/example.py", _NEW),
        ("src/manifest_auth/sign_in/providers/kinds.py", r"^        [a-z_]+\.KIND,\n"),
    ],
    "Add a migration": [
        ("src/manifest_auth/store/tables/accounts.py", r'(?<=^    Column\("title", Text, nullable=False\),\n)'),
        ("src/manifest_auth/store/migrations/versions/v0014_nicknames.py", _NEW),
    ],
}
#: Code that the examples replace.
_REPLACED = r"^    return await ctx\.store\.write\("


def _with_examples(recipe: str) -> dict[str, str]:
    """The files of a recipe, after its examples have been inserted."""
    files: dict[str, str] = {}
    for block, (name, place) in zip(_blocks(recipe), _PLACES[recipe], strict=True):
        assert name.removeprefix("src/manifest_auth/") in TEXT
        if place == _NEW:
            files[name] = block
            continue
        text = files.get(name) or (ROOT / name).read_text("utf-8")
        block += "\n\n" if block.startswith(("class ", "def ", "async def ")) else ""

        def example(found: re.Match[str], block: str = block, place: str = place) -> str:
            return block if place.startswith(_REPLACED) else block + found[0]

        count = 0 if place.startswith(_EVERY) else 1
        files[name], times = re.subn(place, example, text, count=count, flags=re.MULTILINE)
        assert times, (name, place)
    return files


def _ruff(name: str, text: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "--stdin-filename", name, "-"]
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.processes
@matrix("recipe", _PLACES)
def test_the_examples_of_a_recipe_pass_the_checks(recipe: str) -> None:
    for name, text in _with_examples(recipe).items():
        if not name.endswith(".py"):
            continue
        unsorted = "--extend-ignore=I001" if name.endswith(("client/files.py", "kinds.py")) else "--extend-select=I001"
        undefined = "--extend-ignore=F821" if name.endswith("kinds.py") else "--extend-select=F821"
        assert _ruff(name, text, "check", unsorted, undefined) == ""
        assert _ruff(name, text, "format", "--check") == ""


def test_the_example_kind_is_valid() -> None:
    [module, *_] = _blocks("Add a kind of provider")
    made: dict[str, Any] = {"__name__": "example"}
    exec(
        compile(module.replace("from __future__ import annotations\n", ""), "example.py", "exec", dont_inherit=True),
        made,
    )
    assert isinstance(made["KIND"], Kind)
    assert made["KIND"].name == "example"
    assert made["KIND"].body().__struct_encode_fields__ == ("address", "clientSecret")


@pytest.mark.processes
@matrix(
    ("recipe", "module"),
    [
        ("Add a kind of provider", "new_kind"),
        ("Add a rule of a client", "new_rule"),
        ("Add a field to a user", "new_field"),
        ("Add a migration", "new_revision"),
    ],
)
def test_the_example_needs_nothing_else(tmp_path: Path, recipe: str, module: str) -> None:
    _make_tree(tmp_path, recipe)
    done = _run(tmp_path, "-m", f"tests.architecture.{module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.processes
def test_a_field_of_a_user_changes_few_files_and_passes_its_test(tmp_path: Path) -> None:
    changed = [name for name in _with_examples("Add a field to a user") if name.startswith("src/")]
    assert len(changed) == 5
    _make_tree(tmp_path, "Add a field to a user")
    files = ("tests/http/admin/test_users.py", "tests/architecture/test_reference_http.py")
    mine = ("-k", "(department or new_user) and sqlite or an_entry", *files)
    done = _run(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", *mine)
    assert done.returncode == 0, done.stdout


@pytest.mark.processes
def test_the_route_passes_the_tests_that_walk_the_routes(tmp_path: Path) -> None:
    """Runs its own test, and its cases in the tests of all routes, which have no lists that name it."""
    _make_tree(tmp_path, "Add a route")
    walking = ("tests/http/requests/test_route_access.py", "tests/http/work/test_permission_matrix.py")
    mine = "file_limit or without_a_key or admins_keys or cell_of_rest or open_or_needs"
    shown = ("-o", "verbosity_subtests=1", "-o", "verbosity_test_cases=1")
    done = _run(
        tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not endurance", "-k", f"({mine}) and sqlite", *shown,
        "--cells", "/api/client/file-limit", "tests/http/work/test_file_limit.py", *walking,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    cells = [line for line in re.findall(r"SUBPASSED\[(.*)\]", done.stdout) if "/api/client/file-limit" in line]
    assert len(cells) >= 2 + len(Role), done.stdout


@pytest.mark.processes
def test_the_page_passes_the_tests_of_its_recipe(tmp_path: Path) -> None:
    """Runs the tests that the recipe names, and its cases in the tests of all pages."""
    _make_tree(tmp_path, "Add a page")
    [named] = re.findall(r"^\./dev unit (.*)$", _part("Add a page"), re.MULTILINE)
    walking = ("tests/http/pages/test_forged_forms.py", "tests/http/pages/test_hostile_everywhere.py")
    of_pages = "contact or menu or template or a_page_opens or comes_back or a_form or forged_post or form_cookie"
    mine = f"({of_pages}) and sqlite or every_page"
    options = ("-p", "no:cacheprovider", "-m", "not endurance", "-k", mine, "--cells", "/console/contact")
    shown = ("-o", "verbosity_subtests=1", "-o", "verbosity_test_cases=1")
    done = _run(tmp_path, "-m", "pytest", *options, *shown, *named.split(), *walking, "tests/browser/test_looks.py")
    assert done.returncode == 0, done.stdout
    cells = [line for line in re.findall(r"SUBPASSED\[(.*)\]", done.stdout) if "/console/contact" in line]
    assert len(cells) >= 2 + 2 * len(Role), done.stdout


def _make_tree(folder: Path, recipe: str) -> None:
    """Create a tree of the project that contains a recipe's examples; all other files are links."""
    changed = {Path(name): text for name, text in _with_examples(recipe).items()}
    own = {Path()}.union(*(name.parents for name in changed))
    for part in own:
        (folder / part).mkdir(parents=True, exist_ok=True)
        for found in (ROOT / part).iterdir():
            name = part / found.name
            if name not in own | changed.keys() and found.name not in ("__pycache__", ".git"):
                (folder / name).symlink_to(found)
    for name, text in changed.items():
        (folder / name).write_text(text.replace("import dynamics,", "import dynamics, example,"), "utf-8")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTHONPATH"] = f"{folder / 'src'}:{folder}"
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_workflow_calls_the_one_script() -> None:
    found = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = [step.get("run", "") for job in found["jobs"].values() for step in job["steps"]]
    assert [step for step in steps if step.endswith(".ci/run")]
    assert found["permissions"] == {"contents": "read"}


def test_hooks_use_the_tools_of_dev_and_download_nothing() -> None:
    found = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [group["repo"] for group in found["repos"]] == ["local"]
    hooks = [hook for group in found["repos"] for hook in group["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    tools = {re.sub(r"^\.venv/bin/(python -m )?", "", hook["entry"]).split()[0] for hook in hooks}
    assert [tool for tool in tools if tool not in DEV] == []


@matrix("name", ["bug.yml", "idea.yml"])
def test_issue_forms_have_fields(name: str) -> None:
    found = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / name).read_text("utf-8"))
    assert found["name"]
    assert found["description"]
    assert any(part.get("validations", {}).get("required") for part in found["body"])
