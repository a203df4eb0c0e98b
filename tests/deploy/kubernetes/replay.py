"""Runs pods with podman as their documents say: settings, volumes, privileges, probes, and the way to stop."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import yaml  # type: ignore[import-untyped]

from tests.architecture.links import ROOT
from tests.deploy.engine import IMAGE, Engine
from tests.deploy.kubernetes import kustomize
from tests.support.commands import until

#: Seconds that a probe waits for a response if its document says nothing, as Kubernetes defines.
_PROBE_TIMEOUT = 1


def overlay(folder: Path, name: str, *components: str, **settings: str) -> dict[str, dict[str, Any]]:
    """Build an overlay as an operator does: in a copy, with components and settings. Returns the documents by kind."""
    shutil.copytree(ROOT / "deploy/kubernetes", folder)
    place = folder / "overlays" / name
    chosen = yaml.safe_load((place / "kustomization.yaml").read_text())
    chosen["components"] = [f"../../components/{each}" for each in components]
    (place / "kustomization.yaml").write_text(yaml.safe_dump(chosen))
    with (place / "settings.env").open("r+") as file:
        lines = [line for line in file.read().splitlines() if line.partition("=")[0] not in settings]
        file.seek(0)
        file.truncate()
        file.write("\n".join((*lines, *(f"{key}={value}" for key, value in settings.items()), "")))
    return {each["kind"]: each for each in yaml.load_all(kustomize.build(place), yaml.CSafeLoader)}


class Pod:
    """A pod of a Deployment, StatefulSet, or Job. Its volumes are folders in ``folder``, with the owners and modes that
    Kubernetes gives them. ``secrets`` are the keys of its Secret."""

    def __init__(
        self, engine: Engine, name: str, documents: dict[str, dict[str, Any]], kind: str, folder: Path, **secrets: str
    ) -> None:
        self._engine, self.name, self._folder, self._secrets = engine, name, folder, secrets
        self._documents, self._spec = documents, documents[kind]["spec"]
        self._pod = self._spec["template"]["spec"]
        [self._container] = self._pod["containers"]
        self._group = self._pod["securityContext"]["fsGroup"]
        self._callers: dict[str, httpx2.Client] = {}
        self._ports = {each["name"]: each["containerPort"] for each in self._container.get("ports", ())}

    def start(self) -> None:
        """Start it in the background, in place of the one before."""
        self._engine.do("rm", "--force", "--ignore", self.name)
        self._callers.clear()
        self._engine.do("tag", IMAGE, self._container["image"])
        who, rights = self._pod["securityContext"], self._container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        given = ["--detach", f"--name={self.name}", "--pull=never", "--security-opt=no-new-privileges"]
        given += ["--read-only", "--read-only-tmpfs=false", "--tmpfs=/dev/shm"]  # Kubernetes adds no other tmpfs
        given += [f"--user={who['runAsUser']}:{who['runAsGroup']}", f"--group-add={self._group}"]
        given += [f"--cap-drop={each}" for each in rights["capabilities"]["drop"]]
        given += [f"--publish=127.0.0.1::{port}" for port in self._ports.values()]
        given += [*self._settings(), *self._mounts()]
        self._engine.do("run", *given, self._container["image"], *self._container["args"])

    def _settings(self) -> list[str]:
        config = self._documents["ConfigMap"]
        assert [each["configMapRef"]["name"] for each in self._container["envFrom"]] == [config["metadata"]["name"]]
        given = {**config["data"], **{each["name"]: each["value"] for each in self._container["env"]}}
        return [f"--env={key}={value}" for key, value in given.items()]

    def _mounts(self) -> list[str]:
        claims = (each["metadata"]["name"] for each in self._spec.get("volumeClaimTemplates", ()))
        volumes = {**dict.fromkeys(claims), **{each["name"]: each for each in self._pod["volumes"]}}
        mounts = []
        for each in self._container["volumeMounts"]:
            volume, place = volumes.pop(each["name"]), self._folder / each["name"]
            place.mkdir(parents=True, exist_ok=True)
            if volume is not None and "secret" in volume:
                self._write_secrets(place, volume["secret"]["defaultMode"])
            else:
                self._share(place, 0o755 if volume is None else 0o777)
            mounts.append(f"--volume={place}:{each['mountPath']}{':ro' if each.get('readOnly') else ''}")
        assert not volumes
        return mounts

    def _share(self, place: Path, mode: int) -> None:
        """Give a volume, and everything in it, to the group of the pod, as Kubernetes does for each new pod. An empty
        volume has this mode at first."""
        if not any(place.iterdir()):
            place.chmod(mode)
        found, policy = place.stat(), self._pod["securityContext"].get("fsGroupChangePolicy", "Always")
        if policy == "OnRootMismatch" and found.st_gid == self._group and found.st_mode & 0o2770 == 0o2770:
            return
        for each in (place, *place.rglob("*")):
            os.chown(each, -1, self._group)
            each.chmod(each.stat().st_mode | (0o2770 if each.is_dir() else 0o660))

    def _write_secrets(self, place: Path, mode: int) -> None:
        """Write each key as a link to a link, so that Kubernetes can replace all keys in one step."""
        shutil.rmtree(place)
        files = place / "..2026_12_01"
        files.mkdir(parents=True)
        (place / "..data").symlink_to(files.name)
        for key, value in self._secrets.items():
            (files / key).write_text(value)
            os.chown(files / key, 0, self._group)
            (files / key).chmod(mode)
            (place / key).symlink_to(f"..data/{key}")

    def client(self, port: str, **headers: str) -> httpx2.Client:
        """A caller of the port with that name."""
        address = self._engine.do("port", self.name, str(self._ports[port])).strip()
        return httpx2.Client(base_url=f"http://{address}", headers=headers)

    def probe(self, kind: str) -> int:
        """The status that a probe finds once; 0 if there is no response."""
        probe = self._container[f"{kind}Probe"]
        if self._callers.get(kind) is None:
            self._callers[kind] = self.client(probe["httpGet"]["port"])
        with contextlib.suppress(httpx2.TransportError):
            answer = self._callers[kind].get(
                probe["httpGet"]["path"], timeout=probe.get("timeoutSeconds", _PROBE_TIMEOUT)
            )
            return answer.status_code
        return 0

    def until_ready(self) -> None:
        """Wait until all probes succeed, at most as long as the startup probe allows."""
        startup = self._container["startupProbe"]
        until(lambda: self.probe("startup") == self.probe("readiness") == self.probe("liveness") == 200,
              startup["periodSeconds"] * startup["failureThreshold"])  # fmt: skip

    def run(self) -> int:
        """Run it to completion, and return its exit status."""
        self.start()
        return int(self._engine.do("wait", self.name))

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Stop it as Kubernetes does: first the pause, then the signal for the block. After the grace period, podman
        kills it, and then its status isn't 0."""
        [(way, pause)] = self._container["lifecycle"]["preStop"].items()
        seconds = pause["seconds"] if way == "sleep" else int(pause["command"][-1])
        if way == "sleep":
            time.sleep(seconds)
        else:
            self._engine.do("exec", self.name, *pause["command"])
        assert self.probe("readiness") == 200
        with ThreadPoolExecutor(1) as other:
            left = self._pod["terminationGracePeriodSeconds"] - seconds
            stopped = other.submit(self._engine.do, "stop", f"--time={left}", self.name)
            yield
            stopped.result()
        assert int(self._engine.do("wait", self.name)) == 0, self._engine.printed(self.name)
