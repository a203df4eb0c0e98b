"""The container image: it builds, holds what it should and no more, and runs with the fewest rights, also without any
setting."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from manifest_auth import __version__
from tests.bundle import making
from tests.deploy.engine import BASE, IMAGE, OF_BUNDLE, Engine
from tests.support.commands import until
from tests.support.processes import free_port
from tools.bundle import lock

PASSWORD = "kestrel-harbor-21-violet"
MIB = 2**20
pytestmark = [
    pytest.mark.needs("gcc", "git", "openssl", "podman", "runc"),
    pytest.mark.endurance,
    pytest.mark.timeout(400),
    pytest.mark.needs_root,
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the image of a checkout."""
    made = Engine(tmp_path_factory.mktemp("engine"))
    made.prepare()
    made.build(_checkout())
    yield made
    made.stop()


def _checkout() -> Path:
    return making.signed().file.parents[1]


def _tree(engine: Engine, image: str) -> dict[str, os.stat_result]:
    top = Path(engine.do("image", "mount", image).strip())
    found = {f"/{path.relative_to(top)}": path.lstat() for path in top.rglob("*")}
    engine.do("image", "unmount", image)
    return found


def test_the_image_declares_how_to_run_it(engine: Engine) -> None:
    described = engine.inspect(IMAGE)
    config: dict[str, Any] = described["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["manifest-auth"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/data"]
    assert "/readyz" in described["Healthcheck"]["Test"][-1]
    assert not [line for line in config["Env"] if "SECRET" in line or "PASSWORD" in line or "TOKEN" in line]
    label = "org.opencontainers.image"
    told = {name.removeprefix(f"{label}."): value for name, value in config["Labels"].items() if label in name}
    assert (told["title"], told["licenses"]) == ("Manifest Auth", "Apache-2.0")
    assert (told["version"], told["revision"]) == ("1.2.3", "0123456789ab")


def _added(engine: Engine, image: str) -> dict[str, os.stat_result]:
    """What lies in the folder of the program. Nothing else may be there that the base does not have."""
    before, after = _tree(engine, BASE), _tree(engine, image)
    added = {name: found for name, found in after.items() if name not in before}
    ours = {name: found for name, found in added.items() if name.startswith("/opt/manifest-auth/")}
    others = {name for name, found in added.items() if name not in ours and not stat.S_ISDIR(found.st_mode)}
    assert others == set()  # no user, no source, no cache
    folders = {"/opt/manifest-auth", "/data", "/data/files"}
    assert {name for name, found in added.items() if name not in ours and stat.S_ISDIR(found.st_mode)} == folders
    assert not [name for name in ours if name.endswith((".key", ".db", ".env", ".pem.key"))]
    assert not [name for name in ours if name.endswith(("/pip", "/pip3", "/gcc")) and "/LICENSES/" not in name]
    assert {(found.st_uid, found.st_gid) for found in ours.values()} == {(0, 0)}
    assert not [name for name, found in ours.items() if not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o6022]
    for name in ("/data", "/data/files"):
        data = after[name]
        assert (data.st_uid, data.st_gid, stat.S_IMODE(data.st_mode)) == (10001, 10001, 0o700)
    size = sum(found.st_size for found in ours.values())
    assert size < 190 * MIB, f"{size / MIB:.0f} MiB"
    return ours


def test_the_image_contains_only_the_program(engine: Engine) -> None:
    current = "/opt/manifest-auth/current"
    ours = _added(engine, IMAGE)
    [site] = [name for name in ours if name.endswith("/manifest_auth/api/site/site.json")]
    assert site.startswith(current)
    parts = engine.do("run", "--rm", "--entrypoint=cat", IMAGE, f"{current}/sbom.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(parts) is None
    told = json.loads(parts)
    assert told["metadata"]["component"]["version"] == __version__
    locked = {(each.name, each.version) for each in lock.read() if each.name != lock.INSTALLER}
    assert {(each["name"].replace("_", "-"), each["version"]) for each in told["components"]} == locked
    assert "(0123456789ab, schema" in engine.do("run", "--rm", IMAGE, "--version")


def test_a_bundle_makes_an_image_with_the_argon2_of_newer_processors(engine: Engine) -> None:
    engine.build_of_bundle(making.signed().folder)
    release = f"/opt/manifest-auth/releases/{__version__}"
    ours = _added(engine, OF_BUNDLE)
    assert {f"{release}/lib/manifest-auth/argon2/_argon2_cffi_bindings", f"{release}/sbom.cdx.json"} <= set(ours)


@pytest.mark.release
@pytest.mark.parametrize("image", [IMAGE, OF_BUNDLE])
def test_two_builds_of_one_source_are_one_image(engine: Engine, image: str) -> None:
    def build(name: str) -> Any:
        if image == IMAGE:
            engine.build(_checkout(), name)
        else:
            engine.build_of_bundle(making.signed().folder, name)
        return engine.inspect(name)

    first, second = (build(f"{image}-{name}") for name in ("one", "two"))
    assert first["RootFS"]["Layers"]
    # podman's Docker format adds an identifier of the build, and so has another name for the same image.
    differing = {name for name in first if first[name] != second[name]}
    assert differing <= {"Id", "Digest", "RepoTags", "RepoDigests", "NamesHistory"}


def _serves(engine: Engine, name: str, running: subprocess.Popen[bytes], port: int) -> httpx2.Client:
    """A caller at localhost, once the container serves."""
    http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-Client-ID": "acme"})

    def ready() -> bool:
        assert running.poll() is None, engine.log(name)
        try:
            return http.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    until(ready)
    return http


def test_without_any_setting_it_serves_its_machine_and_prints_the_setup_code(engine: Engine) -> None:
    port = free_port()
    running = engine.run("new", "new", published=port)
    http = _serves(engine, "new", running, port)
    assert "open http://localhost:8080/installation/setup and enter this setup code" in engine.log("new")
    assert re.search(r"^    (\w{4}-){3}\w{4}$", engine.log("new"), re.MULTILINE)
    assert http.get("/metrics").status_code == 404
    assert http.get("/docs/").status_code == 200
    assert "BAD" not in engine.do("exec", "new", "manifest-auth", "doctor")
    refused = engine.run("refused", "refused", published=free_port(), MANIFEST_PUBLIC_URL="http://auth.example.com")
    assert refused.wait(60) == 2
    assert "MANIFEST_PUBLIC_URL: http://auth.example.com isn't safe" in engine.log("refused")
    engine.do("stop", "--time=30", "new")
    assert running.wait(30) == 0


def test_the_demo_is_one_word_more(engine: Engine) -> None:
    port = free_port()
    running = engine.run("demo", "demo", "demo", published=port)
    http = _serves(engine, "demo", running, port)
    until(lambda: "/sign-in in a browser" in engine.log("demo"))
    assert "Open http://localhost:8080/sign-in" in engine.log("demo")
    [password] = re.findall(r"^  author@acme\.example +(\S+)$", engine.log("demo"), re.MULTILINE)
    answer = http.post("/api/client/auth/sign-in", json={"email": "author@acme.example", "password": password})
    assert answer.status_code == 200, answer.text
    engine.do("stop", "--time=30", "demo")
    assert running.wait(30) == 0


def test_it_serves_without_rights_and_a_second_start_finds_everything(engine: Engine) -> None:
    port = free_port()
    settings = {"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1",
                "MANIFEST_PORT": str(port)}  # fmt: skip

    def start(name: str) -> tuple[Any, httpx2.Client]:
        running = engine.run(name, "kept", **settings)
        return running, _serves(engine, name, running, port)

    def stop(name: str, running: Any) -> None:
        engine.do("stop", "--time=30", name)
        assert running.wait(10) == 0

    def sign_in() -> str:
        answer = http.post("/api/client/auth/sign-in", json={"email": "ada@acme.example", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["token"])

    def inside(*command: str, given: str = "") -> str:
        return engine.do("exec", "--interactive", "first", *command, given=given)

    running, http = start("first")
    engine.do("healthcheck", "run", "first")
    inside("manifest-auth", "admin", "create", "root", "--password-stdin", given=PASSWORD)
    inside("manifest-auth", "client", "create", "acme")
    inside("manifest-auth", "user", "create", "ada@acme.example", "--client", "acme", "--role", "Admin",
           "--password-stdin", given=PASSWORD)  # fmt: skip
    token = sign_in()
    assert "BAD" not in inside("manifest-auth", "doctor")
    status = dict(line.split(":\t", 1) for line in inside("cat", "/proc/1/status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    engine.do("exec", "first", "touch", "/opt/manifest-auth/x", status=1)
    key = inside("cat", "/data/secret.key")
    stop("first", running)

    running, http = start("second")
    assert http.get("/api/client/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    sign_in()
    assert engine.do("exec", "second", "cat", "/data/secret.key") == key
    stop("second", running)


def test_a_stop_signal_during_the_start_stops_it(engine: Engine, tmp_path: Path) -> None:
    """As the first process of the container, for which the kernel drops signals without a handler. The signal comes
    while it loads the program, which never ends here: one module waits forever."""
    tmp_path.chmod(0o755)
    (tmp_path / "argparse.py").write_text("import time\nprint('reading', flush=True)\ntime.sleep(3600)\n")
    running = engine.run("early", str(tmp_path), "serve", PYTHONPATH="/data")
    until(lambda: "reading" in engine.log("early"))
    engine.do("stop", "--time=30", "early")
    assert running.wait(30) == 143  # 137: it was killed
