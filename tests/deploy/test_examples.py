"""The other example files under ``deploy`` refer to existing things, and the tools that read them accept them."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from manifest_auth.cli.main import parser
from manifest_auth.errors import Overloaded
from manifest_auth.runtime.metrics import BeatMetrics, Call, CallResult, Metrics
from manifest_auth.runtime.settings import Settings
from manifest_auth.runtime.settings.values import FILE_FIELDS
from tests.architecture.links import ROOT
from tests.interop.providers import install
from tests.support.rules import rule

DEPLOY, HERE = ROOT / "deploy", Path(__file__).parent


#: Labels that the scrape adds, or metrics of the process itself.
_OF_THE_SCRAPE = {"job", "instance", "pid"}
_SELECTOR = re.compile(r'(\w+)(=~|=|!=)"([^"]*)"')


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, without the rows between them."""
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """All queries of the dashboard and of the alert rules."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return found + [rule["expr"] for rule in rules()]


def rules() -> list[dict[str, Any]]:
    """All Prometheus rules, including recording rules."""
    files = (yaml.safe_load((DEPLOY / name).read_text("utf-8")) for name in ("alerts.yml", "slo.yml"))
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def metrics(*, is_traced: bool = False) -> Metrics:
    """All existing metrics, by default without those of tracing."""
    made = Metrics()
    if is_traced:
        made.spans()
    BeatMetrics(made.registry)
    made.license("valid", 1.0, {"full": (1, 2)})
    made.runs("1", "c", "1", "sqlite")
    made.answered("GET", "/", 200, 0.1)
    for call, result in itertools.product(get_args(Call), get_args(CallResult)):
        made.called(call, result, 0.1)
    return made


def exposed(*, is_traced: bool = False) -> dict[str, list[dict[str, str]]]:
    """Every series in ``/metrics``, by name, with its labels."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(metrics(is_traced=is_traced).render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def test_every_metric_of_dashboard_and_alerts_exists_with_its_labels() -> None:
    there, used = exposed(), set()
    for text in expressions():
        names = re.findall(r"\b((?:manifest|process)_\w+)", text)
        used |= {*names}
        labels = {label for name in names for label in there[name][0]} | _OF_THE_SCRAPE
        assert {label for label, _, _ in _SELECTOR.findall(text)} <= labels, text
        grouped = {label.strip() for found in re.findall(r"by \(([^)]*)\)", text) for label in found.split(",")}
        assert grouped <= labels | {"le"}, text
    of_ours = {_family(name) for name in there if name.startswith("manifest_")}
    assert {_family(name) for name in used if name.startswith("manifest_")} == of_ours, "a metric that no panel shows"


def _family(name: str) -> str:
    return re.sub(r"_(total|created|bucket|count|sum)$", "", name)


def test_the_label_values_in_queries_exist() -> None:
    there, looked_for = exposed(), 0
    for text in expressions():
        for name, chosen in re.findall(r"\b(manifest_\w+)\{([^}]*)\}", text):
            for label, _, values in _SELECTOR.findall(chosen):
                if label not in {"job", "instance", "status", "route"}:
                    assert {*values.split("|")} <= {labels[label] for labels in there[name]}, text
                    looked_for += 1
    assert looked_for > 10


def test_the_page_names_every_metric_and_every_value_of_its_labels() -> None:
    told = (ROOT / "docs" / "operations" / "watch.md").read_text("utf-8")
    told = told[told.index("| Metric | Meaning |") : told.index("### Dashboard and alerts")]
    rows = re.findall(r"^\| (`manifest_.*?) \| (.*) \|$", told, re.MULTILINE)
    there = exposed(is_traced=True)
    names = {name for named, _ in rows for name in re.findall(r"`(\w+)`", named)}
    assert names == {re.sub(r"_(created|bucket|count|sum)$", "", name) for name in there if "manifest_" in name} - {
        _family(name) for name in there if name.endswith("_total")
    }
    found = (value for series in there.values() for labels in series for value in labels.items())
    unlisted = {"le", "pid", "route", "status", "version", "commit", "schema"}
    values = {value for label, value in found if label not in unlisted}
    assert len(values) > 50
    assert {value for value in values if f"`{value}`" not in told} == {"GET", "full"}


def test_rules_and_panels_are_complete() -> None:
    for alert in (one for one in rules() if "alert" in one):
        assert alert["annotations"]["summary"].endswith(".")
        assert alert["labels"]["severity"] in {"page", "warn"}
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    assert [variable["name"] for variable in board["templating"]["list"]] == ["source", "job", "instance"]
    for key in ("id", "title"):
        assert len({panel[key] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${source}"
        for target in panel["targets"]:
            asked = re.findall(r"(?:manifest|process)_\w+(\{[^}]*)", target["expr"])
            assert all('job=~"$job",instance=~"$instance"' in chosen for chosen in asked), panel["title"]
            assert len(asked) == len(re.findall(r"(?:manifest|process)_\w+", target["expr"]))
            assert target["legendFormat"]


def _analyze() -> tuple[str, dict[str, str]]:
    if found := shutil.which("systemd-analyze"):
        return found, {}
    root = install.debian("systemd", "systemd")
    return str(root / "usr/bin/systemd-analyze"), {"LD_LIBRARY_PATH": install.libraries(root)}


@pytest.mark.processes
def test_systemd_accepts_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    text = (DEPLOY / "manifest-auth.service").read_text("utf-8")
    program = "/opt/manifest-auth/current/bin/manifest-auth"
    assert program in text
    unit = tmp_path / "manifest-auth.service"
    unit.write_text(text.replace(program, "/bin/true"))
    port = Path(shutil.copy(DEPLOY / "manifest-auth.socket", tmp_path))
    analyze, seen = _analyze()
    done = subprocess.run([analyze, "verify", str(unit), str(port)], capture_output=True, text=True, env=seen or None)
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


def test_everything_in_the_container_file_exists() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    [script] = re.findall(r"sh /source/(\S+)", text)
    assert (ROOT / script).exists()
    entry, command = (
        json.loads(found) for found in re.findall(r'^(?:ENTRYPOINT|CMD) (\["(?:manifest|serve).*)$', text, re.M)
    )
    parser().parse_args([*entry, *command][1:])
    assert re.search(r"^USER (?!0|root)", text, re.MULTILINE)


@pytest.mark.processes
def test_linters_find_nothing_in_the_container_and_compose_files() -> None:
    programs = install.environment("deploy-linters", HERE / "linters.txt").parent
    compose = ("compose-lint", "check", "--quiet", "--strict-config", "--config", str(HERE / "compose-lint.yml"))
    for command in (("hadolint", str(DEPLOY / "Containerfile")),
                    (*compose, "--fail-on=low", *map(str, sorted(DEPLOY.glob("compose*.yaml"))))):  # fmt: skip
        done = subprocess.run([programs / command[0], *command[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_in_the_examples_is_one() -> None:
    names = {
        name.removeprefix("MANIFEST_").lower()
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"\bMANIFEST_[A-Z_]*[A-Z]", path.read_text("utf-8"))
    }
    assert len(names) > 4
    in_files = {f"{name}_file" for name in FILE_FIELDS}
    assert {name for name in names if not name.startswith("auth_")} <= {*Settings.__struct_fields__, *in_files}


def test_the_proxies_forward_only_what_they_should() -> None:
    """The examples agree on unpublished paths and on the maximum body size."""
    nginx, caddy, haproxy = ((DEPLOY / name).read_text("utf-8") for name in ("nginx.conf", "Caddyfile", "haproxy.cfg"))
    assert "location = /metrics" in nginx
    assert "respond /metrics 404" in caddy
    assert "return status 404 if { path /metrics }" in haproxy
    limit = Settings().file_limit
    [nginx_megabytes] = re.findall(r"client_max_body_size (\d+)m;", nginx)
    [caddy_megabytes] = re.findall(r"max_size (\d+)MiB", caddy)
    [haproxy_bytes] = re.findall(r"req.body_size gt (\d+) ", haproxy)
    assert int(nginx_megabytes) == int(caddy_megabytes) == int(haproxy_bytes) / 2**20
    assert limit < int(haproxy_bytes) <= 2 * limit


@rule("EXAMPLES")
def test_no_example_publishes_the_plain_listener_to_a_network() -> None:
    pages = [*DEPLOY.glob("*"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    texts = [path.read_text("utf-8") for path in pages if path.is_file()]
    published = [found for text in texts for found in re.findall(r"(?:-p|--publish)[ =](\S*8080)\b", text)]
    assert published
    assert {where for where in published if not where.startswith("127.0.0.1:")} == set()


def test_the_proxies_prefer_a_healthy_node() -> None:
    """For concurrent requests, Caddy's round_robin can select the same node twice, which is too rare to wait for."""
    assert re.findall(r"lb_policy (\w+)", (DEPLOY / "Caddyfile").read_text("utf-8")) == ["least_conn"]


def test_the_proxies_report_an_outage_like_the_server() -> None:
    """In the envelope, with the code and message of the error."""
    for name in ("nginx.conf", "Caddyfile", "haproxy.cfg"):
        told = re.findall(r"\{\"success.*?\}\}", (DEPLOY / name).read_text("utf-8"))
        assert told, name
        for one in told:
            error = json.loads(one)["error"]
            assert (error["code"], error["message"]) == (Overloaded.code, Overloaded.sentence)
