"""Runs podman with separate storage, and with a base image made only from this machine.

It doesn't use an image registry. The base image is an empty skeleton; programs and libraries are this machine's,
mounted read-only in each build step and each run. So the image contains only what the container file adds.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bundle.bare_machine import without_links
from tests.support.processes import ending_with_us
from tools.bundle.lock import CACHE

BASE, IMAGE, OF_BUNDLE = "localhost/base", "localhost/manifest-auth", "localhost/manifest-auth-of-bundle"
FILE = "deploy/Containerfile"
_MOUNTED = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/share")
_LIMITS = (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
# The minimum: a read-only root file system, and no capabilities.
BOUND = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--pull=never")
_NEEDED = "on Debian and Ubuntu: apt-get install podman runc python3"


def _mounts() -> list[str]:
    return [f"{place}:{place}:ro" for place in _MOUNTED if Path(place).is_dir()]


def _limits() -> list[str]:
    # Without the right to raise them, a container can't start with podman's own limits, which are higher.
    bounds = ((name, *resource.getrlimit(kind)) for name, kind in _LIMITS)
    return [f"{name}={soft}:{hard}" for name, soft, hard in bounds]


@dataclass
class Engine:
    """A podman engine that stores everything in ``folder``."""

    folder: Path

    def __post_init__(self) -> None:
        missing = [name for name in ("podman", "runc", "/usr/bin/python3") if not shutil.which(name)]
        assert not missing, f"{missing}: {_NEEDED}"
        driver = "overlay" if "overlay" in Path("/proc/filesystems").read_text() else "vfs"  # which copies everything
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.folder}/graph"\nrunroot = "{self.folder}/run"\n'
        )
        (self.folder / "containers.conf").write_text(
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f"[containers]\nvolumes = {_mounts()}\ndefault_ulimits = {_limits()}\n"
            f'[network]\nnetwork_config_dir = "{self.folder}/networks"\n'
        )
        self._seen = {
            **os.environ,
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }

    def command(self, *arguments: str) -> list[str]:
        return ["podman", *arguments]

    def printed(self, container: str) -> str:
        """Return what a container that runs on its own has printed."""
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done: Any = subprocess.run(self.command("logs", container), env=self._seen, **both)  # type: ignore[call-overload]
        return str(done.stdout.decode())

    def do(self, *arguments: str, given: str = "", status: int = 0) -> str:
        """Run podman to completion, and return its output."""
        done = subprocess.run(
            self.command(*arguments), env=self._seen, input=given, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}"
        return done.stdout

    def _import_base(self) -> None:
        """Create the base image."""
        base = self.folder / "base"
        for name in (
            "usr/local/bin",
            "etc/ssl/certs",
            "var/lib",
            "root",
            "opt",
            "proc",
            "sys",
            "dev",
            "run",
            "tmp",
            "wheels",
        ):
            (base / name).mkdir(parents=True)
        (base / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (base / name).symlink_to(f"usr/{name}")
        for place in _MOUNTED:
            (base / place[1:]).mkdir(exist_ok=True)
        (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        for name in ("hosts", "hostname", "resolv.conf", "pip.conf"):  # each step has its own
            (base / "etc" / name).touch()
        (base / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (base / "etc/group").write_text("root:x:0:\n")
        for name in ("alternatives", "pam.d", "login.defs", "ld.so.cache", "ssl/certs/ca-certificates.crt"):
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, base / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, base / "etc" / name)
        archive = self.folder / "base.tar"
        subprocess.run(["tar", "-C", str(base), "-cf", str(archive), "."], check=True)
        self.do("import", "--quiet", str(archive), BASE)

    def prepare(self) -> None:
        """Create the base image, and start a container that does nothing. If this fails, the machine is the reason."""
        nothing = self.folder / "nothing"
        nothing.write_text(f"FROM {BASE}\nRUN true\n")
        self._import_base()
        self._build(nothing, f"{BASE}-tried", self.folder)
        self.do("run", "--rm", "--network=host", *BOUND, f"{BASE}-tried", "true")

    def build_of_bundle(self, bundle: Path, image: str = OF_BUNDLE) -> None:
        """Build an unpacked bundle as the container file says at its start, but with our base image, and without a
        network. An isolation mode that needs few rights uses the caller's network, which is turned off here."""
        at = json.loads((bundle / "release.json").read_text())["time"]
        with without_links():
            self._build(bundle / FILE, image, bundle, f"--timestamp={at}")

    def build(self, checkout: Path, image: str = IMAGE) -> None:
        """Build a checkout. Libraries come from the same source as for bundles, and tools from this run's pip index."""
        settings = {name.lower().removeprefix("pip_").replace("_", "-"): value for name, value in os.environ.items()
                    if name in ("PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")}  # fmt: skip
        lines = (f"{name} = {value}\n" for name, value in {**settings, "find-links": "/wheels"}.items())
        (self.folder / "pip.conf").write_text(f"[global]\n{''.join(lines)}")
        mounted = (f"{self.folder}/pip.conf:/etc/pip.conf:ro", f"{CACHE}:/wheels:ro")
        arguments = ("--build-arg=VERSION=1.2.3", "--build-arg=REVISION=0123456789ab", "--timestamp=0")
        self._build(checkout / FILE, image, checkout, *arguments, *(f"--volume={each}" for each in mounted))

    def _build(self, file: Path, image: str, context: Path, *options: str) -> None:
        given = ["--isolation=chroot", "--network=host", "--layers=false", "--pull=never", "--format", "docker"]
        given += [*(f"--ulimit={each}" for each in _limits()), *(f"--volume={each}" for each in _mounts())]
        self.do("build", *given, "--build-arg", f"BASE={BASE}", *options, "-f", str(file), "-t", image, str(context))

    def image(self, name: str, lines: str, *copied: Path) -> None:
        """Build an image from our base and these lines of a container file; ``copied`` are files next to it."""
        context = self.folder / f"image-{name}"
        context.mkdir()
        for place in copied:
            subprocess.run(["cp", "-a", str(place), str(context)], check=True)
        (context / "file").write_text(f"FROM {BASE}\n{lines}")
        self._build(context / "file", f"localhost/{name}", context)

    def compose(self, file: Path, *arguments: str, **variables: str) -> str:
        """Run podman-compose, and return its output."""
        command = ["podman-compose", "-f", str(file), *arguments]
        seen = {**self._seen, **variables}
        done = subprocess.run(command, env=seen, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{arguments}: {(done.stdout + done.stderr)[-3000:]}"
        return done.stdout + done.stderr

    def logs(self) -> str:
        """Return the state and the last lines of all containers."""
        names = self.do("ps", "--all", "--format={{.Names}}").split()
        printed = (f"{name}:\n{self.printed(name)[-2000:]}" for name in names)
        return "\n".join((self.do("ps", "--all"), *printed))

    def log(self, name: str) -> str:
        """Return the output of a container."""
        return (self.folder / f"{name}.log").read_text()

    def inspect(self, what: str) -> Any:
        return json.loads(self.do("inspect", what))[0]

    def gateway(self) -> str:
        """Return the address from which containers see requests to their published ports."""
        return str(json.loads(self.do("network", "inspect", "podman"))[0]["subnets"][0]["gateway"])

    def run(
        self, name: str, volume: str, *arguments: str, published: str = "", **settings: str
    ) -> subprocess.Popen[bytes]:
        """Run a container with minimal rights: a read-only root file system, no capabilities, and a volume.
        ``published`` is the port of this machine, instead of its network."""
        network = f"--publish=127.0.0.1:{published}:8080" if published else "--network=host"
        given = ["--rm", f"--name={name}", network, *BOUND, f"--volume={volume}:/data"]
        given += [f"--env={key}={value}" for key, value in settings.items()]
        command = ending_with_us(self.command("run", *given, IMAGE, *arguments), "TERM")
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            return subprocess.Popen(command, env=self._seen, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop what is still running, and release the storage, which podman leaves mounted."""
        self.do("rm", "--all", "--force", "--time=0")
        mounted = self.folder / "graph" / "overlay"
        if mounted.is_mount():
            subprocess.run(["umount", str(mounted)], check=True)
