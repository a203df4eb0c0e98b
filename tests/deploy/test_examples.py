"""The other examples under ``deploy``: what they name exists, and the tools that read them accept them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from manifest_auth.cli.main import parser
from manifest_auth.metrics import Metrics
from manifest_auth.settings import Settings
from tests.architecture.links import ROOT
from tests.interop.peers import install

DEPLOY = ROOT / "deploy"


def expressions() -> list[str]:
    """All queries of the dashboard and of the alert rules."""
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return found + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def exposed() -> dict[str, set[str]]:
    """Every series that ``/metrics`` may have, with its labels."""
    metrics = Metrics()
    metrics.license("valid", 1.0, {"full": (1, 2)})
    found: dict[str, set[str]] = {}
    for collector in metrics.registry._collector_to_names:
        labels = set(getattr(collector, "_labelnames", ()))
        for name in metrics.registry._collector_to_names[collector]:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def test_every_metric_of_dashboard_and_alerts_exists_with_its_labels() -> None:
    there, used = exposed(), set()
    for text in expressions():
        for name, chosen in re.findall(r"\b(manifest_\w+)(?:\{([^}]*)\})?", text):
            assert name in there, (name, text)
            assert set(re.findall(r"(\w+)=~?\"", chosen)) <= there[name], text
            used.add(name)
        grouped = {label.strip() for found in re.findall(r"by \(([^)]*)\)", text) for label in found.split(",")}
        [*names] = re.findall(r"manifest_\w+", text)
        assert grouped <= set().union(*(there[name] for name in names)), text
    assert {name.removesuffix("_total").removesuffix("_bucket").removesuffix("_count") for name in used} == _families(
        there
    ), "a metric that nobody looks at"


def _families(there: dict[str, set[str]]) -> set[str]:
    return {re.sub(r"_(total|created|bucket|count|sum)$", "", name) for name in there}


@pytest.mark.parametrize("label", ["result", "from", "status"])
def test_the_values_that_are_looked_for_are_values_that_are_counted(label: str) -> None:
    told = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for text in expressions():
        for value in re.findall(rf'\b{label}="([^"]+)"', text):
            assert value in told, (value, text)


def test_rules_and_panels_are_complete() -> None:
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
    for rule in rules["groups"][0]["rules"]:
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["targets"]
        assert panel["datasource"]["uid"] == "${source}"


def _analyze() -> tuple[str, dict[str, str]]:
    if found := shutil.which("systemd-analyze"):
        return found, {}
    root = install.debian("systemd", "systemd")
    return str(root / "usr/bin/systemd-analyze"), {"LD_LIBRARY_PATH": install.libraries(root)}


def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    text = (DEPLOY / "manifest-auth.service").read_text("utf-8")
    program = "/opt/manifest-auth/venv/bin/manifest-auth"
    assert program in text
    unit = tmp_path / "manifest-auth.service"
    unit.write_text(text.replace(program, "/bin/true"))
    analyze, seen = _analyze()
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, env=seen or None)
    assert (done.returncode, done.stderr) == (0, "")
    graded = subprocess.run(
        [analyze, "security", "--offline=true", str(unit)], capture_output=True, text=True, env=seen or None
    )
    level = re.search(r"Overall exposure level for manifest-auth.service: ([\d.]+)", graded.stdout)
    assert level is not None, graded.stderr
    assert float(level[1]) <= 2.0


def test_the_unit_waits_longer_than_the_server_takes_to_stop() -> None:
    text = (DEPLOY / "manifest-auth.service").read_text("utf-8")
    [seconds] = re.findall(r"TimeoutStopSec=(\d+)", text)
    assert int(seconds) > Settings().shutdown_grace


def test_what_the_container_file_names_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    assert "-c constraints.txt" in text
    entry, command = (
        json.loads(found) for found in re.findall(r'^(?:ENTRYPOINT|CMD) (\["(?:manifest|serve).*)$', text, re.M)
    )
    parser().parse_args([*entry, *command][1:])
    assert re.search(r"^USER (?!0|root)", text, re.MULTILINE)


def test_every_setting_in_the_examples_is_one() -> None:
    names = {
        name.removeprefix("MANIFEST_").lower()
        for path in DEPLOY.iterdir()
        for name in re.findall(r"\bMANIFEST_[A-Z_]*[A-Z]", path.read_text("utf-8"))
    }
    assert len(names) > 4
    assert names <= set(Settings.__struct_fields__)


def test_the_proxies_pass_on_no_more_than_they_should() -> None:
    """Both examples say the same of what is not published, and of how large a body may be."""
    nginx, caddy = ((DEPLOY / name).read_text("utf-8") for name in ("nginx.conf", "Caddyfile"))
    assert "location = /metrics" in nginx
    assert "respond /metrics 404" in caddy
    limit = Settings().file_limit
    for megabytes in (*re.findall(r"client_max_body_size (\d+)m;", nginx), *re.findall(r"max_size (\d+)MiB", caddy)):
        assert limit < int(megabytes) * 2**20 <= 2 * limit
