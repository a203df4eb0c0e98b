"""The command and the metrics identify the running build, but public responses don't."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from manifest_auth import __version__
from manifest_auth.cli.main import parser
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.revisions import HEAD
from tests.architecture.links import ROOT


def test_the_command_prints_version_commit_and_schema(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--version"])
    told = capsys.readouterr().out
    assert re.fullmatch(rf"manifest-auth {re.escape(__version__)} \((unbuilt|[0-9a-f]{{12}}), schema {HEAD}\)\n", told)


def test_the_metrics_contain_them_too() -> None:
    from prometheus_client import generate_latest

    metrics = Metrics()
    metrics.runs("1.2.0", "0123456789ab", "0010", "sqlite")
    [line] = re.findall(r"^manifest_build_info\{.*", generate_latest(metrics.registry).decode(), re.MULTILINE)
    assert set(re.findall(r'(\w+)="([^"]*)"', line)) >= {
        ("version", "1.2.0"), ("commit", "0123456789ab"), ("schema", "0010"), ("store", "sqlite"),
    }  # fmt: skip


def test_no_response_reveals_the_commit() -> None:
    """Only the command and the metrics module know the commit."""
    package = ROOT / "src" / "manifest_auth"
    known = {str(path.relative_to(package)) for path in package.rglob("*.py") if _names_it(path)}
    assert known == {"__init__.py", "cli/main.py", "app.py"}


def _names_it(path: Path) -> bool:
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    return any(
        "__commit__" in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "")) for node in tree
    )
