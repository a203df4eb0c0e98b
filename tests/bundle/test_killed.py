"""Running a killed install again completes it, and the previous release keeps running in the meantime.

The bundle is small: the real script, installer, and checksums, a program that only prints its version, and one library
with native code. So the tested moments are in the script, not in copying fifty libraries.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.bundle import making
from tests.bundle.installing import environment, install, installed, upgrade
from tests.support.rounds import repeated
from tests.support.rules import rule
from tools.bundle import archive

pytestmark = [pytest.mark.needs("gcc", "git", "openssl"), pytest.mark.endurance]

MOMENTS = repeated(20, 12)  # after every fourth, it runs to completion
PLACES = ("nothing", "begun", "environment", "installed", "told its files")


def _wheel(folder: Path, version: str) -> None:
    """The wheel of a program with that version."""
    info = f"manifest_auth-{version}.dist-info"
    files = {
        "small_program.py": f"def main():\n    print('manifest-auth {version}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: manifest-auth\nVersion: {version}\n"
        "Requires-Dist: markupsafe\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nmanifest-auth = small_program:main\n",
    }
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
               for name, text in files.items()}  # fmt: skip
    listed = [f"{name},sha256={digests[name]},{len(text)}\n" for name, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*listed, f"{info}/RECORD,,\n"])
    with zipfile.ZipFile(folder / f"manifest_auth-{version}-py3-none-any.whl", "w") as made:
        for name, text in files.items():
            made.writestr(name, text)


def _small(folder: Path, version: str) -> Path:
    """The bundle of such a program."""
    whole = making.signed().folder
    shutil.copytree(whole, folder, ignore=lambda _, names: [name for name in names if name in ("wheels", "docs")])
    (folder / "wheels").mkdir()
    for pattern in ("pip-*", "markupsafe-*"):
        for path in (whole / "wheels").glob(pattern):
            os.link(path, folder / "wheels" / path.name)
    _wheel(folder / "wheels", version)
    about = json.loads((folder / "release.json").read_text())
    (folder / "release.json").write_text(json.dumps({**about, "version": version}))
    lines = dict[str, list[str]]()
    for path in (folder / "wheels").iterdir():
        name, number = path.name.split("-")[:2]
        if name != "pip":
            lines.setdefault(f"{name}=={number}", []).append(hashlib.sha256(path.read_bytes()).hexdigest())
    text = "".join(f"{name} {' '.join(f'--hash=sha256:{each}' for each in found)}\n" for name, found in lines.items())
    (folder / "requirements.txt").write_text(text)
    (folder / "SHA256SUMS").write_text(archive.sums(folder))
    return folder


def _version(prefix: Path) -> str:
    done = subprocess.run([str(prefix / "current/bin/manifest-auth")], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in folder.rglob("*")}


@rule("BUNDLE")
@pytest.mark.timeout(400)
def test_killed_at_many_moments_and_run_again(scratch: Path) -> None:
    old, new = _small(scratch / "old", "1.0"), _small(scratch / "new", "2.0")
    prefix = scratch / "prefix"
    options = ("--prefix", str(prefix), "--unsigned")
    assert (done := install(old, *options)).returncode == 0, done.stderr
    assert (done := _upgrade(prefix, new)).returncode == 0, done.stderr
    expected = {str(path.relative_to(prefix)) for path in prefix.rglob("*")}
    assert _version(prefix) == "manifest-auth 1.0"
    places = set[str]()
    for moment in range(MOMENTS):
        if moment % 4 == 0:
            shutil.rmtree(prefix / "releases" / "2.0")
        with (scratch / "log").open("w") as log:
            started = subprocess.Popen(
                upgrade(prefix, new, "--unsigned"), env=environment(), stdout=log, stderr=log, process_group=0
            )
        _wait_for(PLACES[moment % len(PLACES)], prefix / "releases" / "2.0", started)
        time.sleep(moment // len(PLACES) * 0.03)
        # Alternates between killing everything and only the script; its children then continue while the next run
        # waits.
        with contextlib.suppress(ProcessLookupError):  # it has completed
            os.killpg(started.pid, signal.SIGKILL) if moment % 2 else os.kill(started.pid, signal.SIGKILL)
        started.wait()
        places.add(_place(prefix / "releases" / "2.0"))
        assert _version(prefix) == "manifest-auth 1.0"
        if moment % 4 < 3:
            continue  # the next run, on the remaining files, is killed too
        again = _upgrade(prefix, new)
        assert again.returncode == 0, again.stdout + again.stderr
        assert {str(path.relative_to(prefix)) for path in prefix.rglob("*")} == expected, moment
        assert "RELEASE=2.0 manifest-auth db status\n" in again.stdout  # the next step to take
        assert f"{prefix}/releases/2.0/install --prefix {prefix} --switch 2.0\n" in again.stdout
    print("killed:", sorted(places))
    assert len(places) >= 4, places
    for version in ("2.0", "1.0", "2.0"):
        script = prefix / "releases" / version / "install"
        assert installed(script, "--prefix", str(prefix), "--switch", version).returncode == 0
        assert _version(prefix) == f"manifest-auth {version}"
    assert installed(script, "--prefix", str(prefix), "--switch", "1.0").returncode == 0
    assert _version(prefix) == "manifest-auth 1.0"


def _upgrade(prefix: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    command = upgrade(prefix, bundle, "--unsigned")
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)


def _place(new: Path) -> str:
    """The progress so far."""
    steps = {"whole": new / "SHA256SUMS", "told its files": new / "install", "installed": new / "bin/manifest-auth",
             "environment": new / "bin/python", "begun": new}  # fmt: skip
    return next((step for step, path in steps.items() if path.exists()), "nothing")


def _wait_for(place: str, new: Path, installing: subprocess.Popen[bytes]) -> None:
    """Wait until that progress or the end; for ``nothing``, only until the start."""
    while place != "nothing" and _place(new) != place and installing.poll() is None:
        time.sleep(0.001)


def test_a_second_run_changes_nothing(scratch: Path) -> None:
    bundle, prefix = _small(scratch / "bundle", "1.0"), scratch / "prefix"
    options = ("--prefix", str(prefix), "--unsigned")
    assert install(bundle, *options).returncode == 0
    before = _tree(prefix)
    again = install(bundle, *options)
    assert again.returncode == 0
    assert "1.0 is installed" in again.stdout
    assert _tree(prefix) == before


def test_settings_of_pip_and_python_change_nothing(scratch: Path) -> None:
    bundle, prefix = _small(scratch / "bundle", "1.0"), scratch / "prefix"
    other, pip_conf = str(scratch / "else"), scratch / "pip.conf"
    pip_conf.write_text(f"[install]\ntarget = {other}\n")
    given = {"PIP_TARGET": other, "PIP_INDEX_URL": "http://192.0.2.1/", "PIP_CONFIG_FILE": str(pip_conf),
             "PYTHONPATH": other, "PYTHONHOME": "/nowhere"}  # fmt: skip
    done = install(bundle, "--prefix", str(prefix), "--unsigned", **given)
    assert done.returncode == 0, done.stderr
    assert _version(prefix) == "manifest-auth 1.0"
    assert not (scratch / "else").exists()


def test_another_build_of_an_installed_version_is_rejected(scratch: Path) -> None:
    bundle, prefix = _small(scratch / "bundle", "1.0"), scratch / "prefix"
    options = ("--prefix", str(prefix), "--unsigned")
    assert install(bundle, *options).returncode == 0
    (bundle / "CHANGELOG.md").write_text("another")
    (bundle / "SHA256SUMS").write_text(archive.sums(bundle))
    before = _tree(prefix)
    refused = _upgrade(prefix, bundle)
    assert refused.returncode == 1
    assert "is another build of 1.0" in refused.stderr
    assert _tree(prefix) == before


def test_an_installation_without_its_python_is_reinstalled(scratch: Path) -> None:
    """As after an upgrade of the system."""
    bundle, prefix = _small(scratch / "bundle", "1.0"), scratch / "prefix"
    options = ("--prefix", str(prefix), "--unsigned")
    assert install(bundle, *options).returncode == 0
    python = prefix / "current/bin/python"
    python.unlink()
    python.symlink_to("/usr/bin/no-such-python")
    assert install(bundle, *options).returncode == 0
    assert _version(prefix) == "manifest-auth 1.0"


def test_a_library_that_this_machine_cannot_load_stops_it(scratch: Path) -> None:
    """``pip`` installs it anyway."""
    bundle, prefix = _small(scratch / "bundle", "1.0"), scratch / "prefix"
    with zipfile.ZipFile(next((bundle / "wheels").glob("manifest_auth-*")), "a") as wheel:
        wheel.writestr("native.so", b"\x7fELF, but no more than that")
    path = next((bundle / "wheels").glob("manifest_auth-*"))
    text = (bundle / "requirements.txt").read_text().splitlines(keepends=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kept = [line for line in text if not line.startswith("manifest_auth")]
    (bundle / "requirements.txt").write_text("".join([*kept, f"manifest_auth==1.0 --hash=sha256:{digest}\n"]))
    (bundle / "SHA256SUMS").write_text(archive.sums(bundle))
    refused = install(bundle, "--prefix", str(prefix), "--unsigned")
    assert refused.returncode != 0
    assert "native.so" in refused.stderr
    assert not (prefix / "current").exists()
