"""The overlays under ``deploy/kubernetes`` are valid for each release of Kubernetes, and consistent.

There is no cluster here, so scheduling, the network policy, scaling, and evictions aren't tested.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from manifest_auth.cli.main import parser
from manifest_auth.runtime.settings import Settings
from tests.architecture.links import ROOT
from tests.deploy.kubernetes import kustomize
from tests.interop.providers import install
from tests.support.matrix import matrix

HERE = Path(__file__).parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
#: Every overlay, and every component with its matching overlays.
SETS = {
    "postgres": (),
    "postgres+all": ("ingress", "pgbouncer", "monitoring", "exec-pre-stop"),
    "postgres+gateway": ("gateway",),
    "single": (),
    "single+all": ("ingress", "monitoring", "exec-pre-stop"),
}
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The documents that each set builds, by name."""
    folder = tmp_path_factory.mktemp("kubernetes")
    shutil.copytree(KUBERNETES, folder, dirs_exist_ok=True)

    def build(name: str) -> str:
        place = folder / "sets" / name
        place.mkdir(parents=True)
        overlay = name.partition("+")[0]
        components = [f"../../components/{each}" for each in SETS[name]]
        chosen = {"resources": [f"../../overlays/{overlay}"], "components": components}
        (place / "kustomization.yaml").write_text(yaml.safe_dump(chosen))
        return kustomize.build(place)

    return {name: build(name) for name in SETS}


@cache
def _parsed(text: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(text, yaml.CSafeLoader))


def of_kind(documents: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [each for each in documents if each["kind"] in kinds]


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pod templates, with the names of their owners."""
    for each in of_kind(documents, "Deployment", "StatefulSet", "Job"):
        yield each["metadata"]["name"], each["spec"]["template"]


def test_every_component_is_in_a_set() -> None:
    assert {name for names in SETS.values() for name in names} == {
        path.parent.name for path in KUBERNETES.glob("components/*/kustomization.yaml")
    }


def test_every_document_is_valid_for_every_release(built: Mapping[str, str]) -> None:
    python = install.environment("deploy-linters", HERE.parent / "linters.txt")
    command = [str(python), str(HERE / "validate.py"), str(HERE / "custom_resources.json"), "1.30"]
    # Each document once, even if several sets contain it.
    documents = {part for text in built.values() for part in text.split("\n---\n")}
    done = subprocess.run(command, input="\n---\n".join(documents), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == f"{len(documents)} documents\n"


@matrix("name", SETS)
def test_pods_have_the_fewest_rights_and_no_secret_in_an_environment(built: Mapping[str, str], name: str) -> None:
    documents, seen = _parsed(built[name]), 0
    settings = {each["metadata"]["name"]: each for each in of_kind(documents, "ConfigMap")}
    for owner, template in pods(documents):
        spec = template["spec"]
        security = spec["securityContext"]
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001, owner
        assert security["runAsNonRoot"] is True, owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False, owner
        [container] = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, owner
        assert container["resources"].keys() == {"requests", "limits"}, owner
        assert container["resources"]["limits"].keys() == {"memory"}, owner  # a processor limit would only slow it down
        mounted = {each["name"] for each in container["volumeMounts"]}
        claimed = {each["metadata"]["name"] for set_ in of_kind(documents, "StatefulSet") for each in _claims(set_)}
        assert mounted == {each["name"] for each in spec["volumes"]} | (claimed if owner == "manifest-auth" else set())
        for source in container.get("envFrom", []):
            for key in settings[source["configMapRef"]["name"]]["data"]:
                field = key.removeprefix("MANIFEST_").lower()
                assert field in Settings.__struct_fields__, key
                assert not any(word in field for word in ("secret", "password")), key
        seen += 1
    assert not of_kind(documents, "Secret")
    assert seen == len(of_kind(documents, "Deployment", "StatefulSet", "Job")) > 0


def _claims(stateful_set: dict[str, Any]) -> list[dict[str, Any]]:
    claims: list[dict[str, Any]] = stateful_set["spec"]["volumeClaimTemplates"]
    return claims


@matrix("name", SETS)
def test_selectors_and_ports_meet(built: Mapping[str, str], name: str) -> None:
    documents = _parsed(built[name])
    labels = {owner: template["metadata"]["labels"] for owner, template in pods(documents)}
    ports = {
        owner: {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0].get("ports", [])}
        for owner, template in pods(documents)
    }

    def chosen(selector: dict[str, str]) -> set[str]:
        return {owner for owner, own in labels.items() if selector.items() <= own.items()}

    for each in of_kind(documents, "Deployment", "StatefulSet"):
        assert chosen(each["spec"]["selector"]["matchLabels"]) == {each["metadata"]["name"]}
    for each in of_kind(documents, "Service"):
        [owner] = chosen(each["spec"]["selector"])
        assert each["metadata"]["name"] == owner
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports[owner].keys()
    for each in of_kind(documents, "PodDisruptionBudget", "PodMonitor"):
        assert chosen(each["spec"]["selector"]["matchLabels"]) == {"manifest-auth"}, each["kind"]
    for each in of_kind(documents, "PodMonitor"):
        assert {point["port"] for point in each["spec"]["podMetricsEndpoints"]} <= ports["manifest-auth"].keys()
    for each in of_kind(documents, "HorizontalPodAutoscaler"):
        assert each["spec"]["scaleTargetRef"]["name"] == "manifest-auth"
    services = {each["metadata"]["name"]: each for each in of_kind(documents, "Service")}
    for each in of_kind(documents, "Ingress"):
        backend = each["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
    for each in of_kind(documents, "HTTPRoute"):
        [backend] = each["spec"]["rules"][0]["backendRefs"]
        assert backend["port"] in {port["port"] for port in services[backend["name"]]["spec"]["ports"]}


@matrix("name", SETS)
def test_the_network_policy_admits_what_the_pods_need(built: Mapping[str, str], name: str) -> None:
    documents = _parsed(built[name])
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(documents, "NetworkPolicy")}
    ours = policies["manifest-auth"]
    entered = {(rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
               for rule in ours["ingress"] for port in rule["ports"]}  # fmt: skip
    assert entered == {("ingress", "http"), ("monitoring", "metrics")}
    left = {(port["port"], port["protocol"]) for rule in ours["egress"] for port in rule["ports"]}
    pooled = {(6432, "TCP")} if "pgbouncer" in policies else set()
    assert left == {(53, "UDP"), (53, "TCP"), (5432, "TCP"), (443, "TCP"), (587, "TCP")} | pooled
    # The Job also connects to the database.
    selected = {owner for owner, template in pods(documents)
                if any(each["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
                       for each in policies.values())}  # fmt: skip
    assert selected == {owner for owner, _ in pods(documents)}


@matrix("name", SETS)
def test_the_server_starts_stops_and_is_asked_as_written(built: Mapping[str, str], name: str) -> None:
    documents = _parsed(built[name])
    [server] = [
        each for each in of_kind(documents, "Deployment", "StatefulSet") if each["metadata"]["name"] != "pgbouncer"
    ]
    spec = server["spec"]["template"]["spec"]
    [container] = spec["containers"]
    parser().parse_args(container["args"])
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    [settings] = [each["data"] for each in of_kind(documents, "ConfigMap") if "MANIFEST_PORT" in each["data"]]
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert numbers["http"] == int(settings["MANIFEST_PORT"])
    assert numbers["metrics"] == int(settings["MANIFEST_METRICS_LISTEN"].rpartition(":")[2])
    before = container["lifecycle"]["preStop"]
    expected = {"exec": {"command": ["sleep", "3"]}} if "exec-pre-stop" in SETS[name] else {"sleep": {"seconds": 3}}
    assert before == expected
    drain, grace = int(settings["MANIFEST_SHUTDOWN_DRAIN"]), int(settings["MANIFEST_SHUTDOWN_GRACE"])
    readiness = container["readinessProbe"]
    assert drain > readiness["periodSeconds"] * readiness["failureThreshold"]
    assert spec["terminationGracePeriodSeconds"] > 3 + drain + grace
    jobs = of_kind(documents, "Job")
    if name.startswith("postgres"):
        [job] = jobs
        [upgrade] = job["spec"]["template"]["spec"]["containers"]
        assert upgrade["image"] == container["image"]
        assert job["metadata"]["name"] == f"db-upgrade-{container['image'].rpartition(':')[2]}"
        assert settings["MANIFEST_DATABASE_UPGRADE"] == "never"
        parser().parse_args(upgrade["args"])
        for member in ("envFrom", "env", "volumeMounts"):
            assert upgrade[member] == container[member]
    else:
        assert jobs == []
        assert server["kind"] == "StatefulSet"
        assert server["spec"]["replicas"] == 1


def test_pgbouncer_has_the_settings_of_the_example() -> None:
    """Except for comments, and for differences in the environment."""
    ours, example = (
        {line for line in path.read_text("utf-8").splitlines() if line and line[0] not in ";["}
        for path in (KUBERNETES / "components/pgbouncer/pgbouncer.ini", ROOT / "deploy/pgbouncer.ini")
    )
    assert {line.partition(" =")[0] for line in ours ^ example} == {
        "*",
        "listen_addr",
        "auth_file",
        "pidfile",
        "logfile",
    }
