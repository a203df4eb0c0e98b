"""The container image: it builds, holds what it should and no more, and runs with the fewest rights."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from manifest_auth import __version__
from tests.bundle import making
from tests.deploy.engine import BASE, IMAGE, Engine
from tests.support.commands import until
from tests.support.processes import free_port

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
    """With the image."""
    made = Engine(tmp_path_factory.mktemp("engine"))
    made.prepare()
    made.build(making.signed().folder)
    yield made
    made.stop()


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


def test_the_image_contains_only_the_program(engine: Engine) -> None:
    before, after = _tree(engine, BASE), _tree(engine, IMAGE)
    added = {name: found for name, found in after.items() if name not in before}
    ours = {name: found for name, found in added.items() if name.startswith("/opt/manifest-auth/")}
    others = {name for name, found in added.items() if name not in ours and not stat.S_ISDIR(found.st_mode)}
    assert others == set()  # no user, no source, no cache
    assert {name for name, found in added.items() if name not in ours and stat.S_ISDIR(found.st_mode)} == {
        "/opt/manifest-auth", "/data",
    }  # fmt: skip
    assert f"/opt/manifest-auth/releases/{__version__}/lib/manifest-auth/argon2/_argon2_cffi_bindings" in ours
    assert not [name for name in ours if name.endswith((".key", ".db", ".env", ".pem.key"))]
    assert not [name for name in ours if name.endswith(("/pip", "/pip3", "/gcc")) and "/LICENSES/" not in name]
    assert {(found.st_uid, found.st_gid) for found in ours.values()} == {(0, 0)}
    assert not [name for name, found in ours.items() if not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o6022]
    data = after["/data"]
    assert (data.st_uid, data.st_gid, stat.S_IMODE(data.st_mode)) == (10001, 10001, 0o700)
    size = sum(found.st_size for found in ours.values())
    assert size < 190 * MIB, f"{size / MIB:.0f} MiB"


def test_two_builds_of_a_bundle_are_one_image(engine: Engine) -> None:
    engine.build(making.signed().folder, f"{IMAGE}-again")
    first, second = engine.inspect(IMAGE), engine.inspect(f"{IMAGE}-again")
    assert first["RootFS"]["Layers"]
    # podman's Docker format adds an identifier of the build, and so has another name for the same image.
    differing = {name for name in first if first[name] != second[name]}
    assert differing <= {"Id", "Digest", "RepoTags", "RepoDigests", "NamesHistory"}


def test_it_serves_without_rights_and_a_second_start_finds_everything(engine: Engine) -> None:
    port = free_port()
    settings = {"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1",
                "MANIFEST_PORT": str(port)}  # fmt: skip
    http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-Client-ID": "acme"})

    def start(name: str) -> Any:
        running = engine.run(name, "kept", **settings)

        def ready() -> bool:
            assert running.poll() is None, (engine.folder / f"{name}.log").read_text()
            try:
                return http.get("/readyz").status_code == 200
            except httpx2.TransportError:
                return False

        until(ready)
        return running

    def stop(name: str, running: Any) -> None:
        engine.do("stop", "--time=30", name)
        assert running.wait(10) == 0

    def sign_in() -> str:
        answer = http.post("/api/client/auth/sign-in", json={"email": "ada@acme.example", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["token"])

    def inside(*command: str, given: str = "") -> str:
        return engine.do("exec", "--interactive", "first", *command, given=given)

    running = start("first")
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

    running = start("second")
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
    until(lambda: "reading" in (engine.folder / "early.log").read_text())
    engine.do("stop", "--time=30", "early")
    assert running.wait(30) == 143  # 137: it was killed
