"""Runs Prometheus from Debian's unpacked package: its server and ``promtool``."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.interop.providers import install
from tests.support.processes import ending_with_us, free_port

JOB = "manifest-auth"


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``, from the machine or else from the unpacked package, which starts no
    service."""
    return shutil.which(name) or str(install.debian("prometheus", "prometheus") / "usr/bin" / name)


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples returned by an instant query. Raises AssertionError with the query's error."""
        data = urllib.parse.urlencode({"query": expression}).encode()
        try:
            with urllib.request.urlopen(f"{self.base}/query", data, timeout=60) as answer:
                return list(json.load(answer)["data"]["result"])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error

    def alerts(self) -> dict[str, str]:
        """The state of every rule, by the alert's name. Raises AssertionError if a rule couldn't be evaluated."""
        with urllib.request.urlopen(f"{self.base}/rules", timeout=60) as answer:
            groups = json.load(answer)["data"]["groups"]
        found = {rule["name"]: rule for group in groups for rule in group["rules"]}
        assert {name: rule["lastError"] for name, rule in found.items() if rule.get("lastError")} == {}
        return {name: rule["state"] for name, rule in found.items()}

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Wait until a query returns samples."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):  # not started yet
                if self.query(expression):
                    return
            assert time.monotonic() < deadline, f"{expression} stayed empty"
            time.sleep(0.1)


@contextlib.contextmanager
def scraping(folder: Path, rules: Path, *targets: str) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes ``/metrics`` of the targets, ``HOST:PORT``, and evaluates the rules twice a
    second."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(ending_with_us(command, "KILL"), stdout=log, stderr=log)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(15)
