"""The wheel in an empty environment contains all files, and runs with the newest and oldest dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import httpx2
import pytest
from packaging.requirements import Requirement

from tests.architecture.links import ROOT
from tests.sdk_python.environment import clean
from tests.sdk_python.environment import wheel as library
from tests.support import run_folder
from tests.support.processes import ending_with_us, free_port
from tests.support.programs import Program
from tests.support.server import DEMO_PASSWORD, Server, stop, wait_for
from tools import package

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDS = [Requirement(line) for line in (*PROJECT["dependencies"], *EXTRAS["otel"], *EXTRAS["s3"], *EXTRAS["scim"])]
#: Files that only the build creates.
_MADE = "manifest_auth/api/site/"
_CALL = """
import sys
from manifest_auth_client import ManifestAuth
with ManifestAuth(sys.argv[1], client="acme") as auth:
    auth.sign_in("author@acme.example", sys.argv[2])
    print(auth.graphql("{ users { email } }")["users"][0]["email"])
"""
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    """The files that ``./dev package`` builds, by file name ending; built once per run."""
    folder = run_folder.folder() / "package"
    with run_folder.locked("package"):
        if not folder.exists():
            making = folder.with_name("package-making")
            package.build(ROOT, making)
            making.rename(folder)
    return {path.suffix: path for path in folder.iterdir()}


@pytest.mark.endurance
def test_the_files_have_all_that_the_program_needs(files: dict[str, Path]) -> None:
    command = ["git", "ls-files", "src/manifest_auth"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    ours = {name.removeprefix("src/") for name in listed if (ROOT / name).exists()}
    with zipfile.ZipFile(files[".whl"]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [said] = [name for name in archive.namelist() if name.endswith("METADATA")]
        metadata = archive.read(said).decode()
    assert {name for name in names if not name.startswith(_MADE)} == ours
    assert {f"{_MADE}index.html", f"{_MADE}site.json"} <= names
    assert ">=" in metadata
    with tarfile.open(files[".gz"]) as tar:
        sources = {name.partition("/src/")[2] for name in tar.getnames() if "/src/" in name}
    assert sources == names


@pytest.mark.endurance
@pytest.mark.parametrize("versions", ["newest", pytest.param("oldest", marks=pytest.mark.release)])
def test_it_runs_with_what_an_index_offers(tmp_path: Path, files: dict[str, Path], versions: str) -> None:
    place, port = tmp_path / "environment", free_port()
    venv.create(place, with_pip=False, symlinks=True)
    bounds = tmp_path / "bounds.txt"
    bounds.write_text("".join(f"{need.name}=={next(iter(need.specifier)).version}\n" for need in NEEDS))
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python")]
    given = ["-c", str(bounds)] if versions == "oldest" else ["--upgrade"]
    install = [*pip, "install", "--quiet", *given]
    wanted = [f"manifest-auth[otel,s3] @ {files['.whl'].as_uri()}", str(library())]
    subprocess.run([*install, *wanted], env=clean(), check=True)
    subprocess.run([*pip, "check"], env=clean(), check=True, capture_output=True)

    folder, output = tmp_path / "empty", tmp_path / "output"
    folder.mkdir()
    environment = clean(MANIFEST_DEMO_PASSWORD=DEMO_PASSWORD, TMPDIR=str(folder))
    command = ending_with_us([str(place / "bin/manifest-auth"), "demo", "--port", str(port)], "TERM")
    with output.open("w") as out:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=out)
    server = wait_for(Server(Program(process, output, output), port, output))
    try:
        with httpx2.Client(base_url=f"http://localhost:{port}", headers={"Accept-Language": "de"}) as http:
            page = http.get("/sign-in").text
            assert "Anmelden" in page
            [style] = re.findall(r'href="[^"]*(/assets/[^"]+\.css)"', page)[:1]
            assert http.get(style).status_code == 200
            assert "Manifest Auth" in http.get("/docs/reference/http.html").text
            assert http.get("/docs", follow_redirects=True).url.path == "/docs/"
        call = [str(place / "bin/python"), "-c", _CALL, f"http://localhost:{port}", DEMO_PASSWORD]
        done = subprocess.run(call, env=clean(), capture_output=True, text=True, check=False)
        assert done.stdout.strip().endswith("@acme.example"), done.stderr
        with httpx2.Client(base_url=f"http://localhost:{port}") as http:
            given_in = {"email": "admin@acme.example", "password": DEMO_PASSWORD}
            signed_in = http.post("/api/client/auth/sign-in", json=given_in, headers={"X-Client-ID": "acme"}).json()
            http.headers["Authorization"] = f"Bearer {signed_in['data']['token']}"
            refused = http.post("/api/client/scim", json={"name": "okta"})
            assert (refused.status_code, "pip install 'manifest-auth[scim]'" in refused.text) == (409, True)
            subprocess.run([*install, f"manifest-auth[scim] @ {files['.whl'].as_uri()}"], env=clean(), check=True)
            made = http.post("/api/client/scim", json={"name": "okta"}).json()["data"]
            http.headers["Authorization"] = f"Bearer {made['token']}"
            assert http.get(f"{made['baseUrl']}/Users").json()["totalResults"] == 0
    finally:
        assert stop(server) == 0
    assert list(folder.iterdir()) == []
    assert '"level":"error"' not in output.read_text()
