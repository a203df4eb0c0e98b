"""A bundle that is incomplete, or isn't signed by a valid key, installs nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle import making
from tests.bundle.installing import install, installed
from tests.support.matrix import matrix
from tests.support.rules import rule
from tools.bundle import archive, sign

pytestmark = [pytest.mark.needs("gcc", "git", "openssl"), pytest.mark.endurance, pytest.mark.timeout(300)]


@pytest.fixture
def bundle(scratch: Path) -> Path:
    """An unpacked bundle that a test can damage. Its files are links to those of the run, so each must be replaced as a
    whole."""
    folder = scratch / "bundle"
    shutil.copytree(making.signed().folder, folder, copy_function=os.link)
    return folder


def _put(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _refused(bundle: Path, *options: str, **given: str) -> str:
    """Run the script, which must fail and leave nothing behind; returns its message."""
    prefix = bundle.parent / "prefix"
    done = install(bundle, "--prefix", str(prefix), *options, **given)
    assert done.returncode == 1, done.stdout + done.stderr
    assert not prefix.exists()
    return done.stdout + done.stderr


KINDS = ("CHANGELOG.md", "LICENSE", "LICENSES/lxml/LICENSE.txt", "argon2/x86-64-v3/_argon2_cffi_bindings/_ffi.abi3.so",
         "constraints.txt", "deploy/Containerfile", "docs/index.html", "install", "release.json", "release.keys",
         "requirements.txt", "sbom.cdx.json", "wheels/manifest_auth-*.whl", "wheels/pip-*.whl", "wheels/lxml-*.whl",
         "SHA256SUMS", "SHA256SUMS.sig")  # fmt: skip


def test_there_is_a_case_for_each_kind_of_file() -> None:
    there = {path.name for path in making.signed().folder.iterdir()}
    assert {kind.partition("/")[0] for kind in KINDS} == there


@rule("BUNDLE")
@matrix("kind", KINDS)
def test_a_single_flipped_bit_is_rejected(bundle: Path, kind: str) -> None:
    path = next(bundle.glob(kind))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if kind != "install" else data.index(b"#   --check") + 1] ^= 1
    _put(path, bytes(data))
    assert "nothing was installed" in _refused(bundle)


def test_a_flipped_bit_without_a_signature_is_rejected(bundle: Path) -> None:
    wheel = next((bundle / "wheels").glob("six-*.whl"))
    _put(wheel, wheel.read_bytes()[:-1] + b"x")
    assert "not the files of this release" in _refused(bundle, "--unsigned")


def _line_less(bundle: Path) -> None:
    _put(bundle / "SHA256SUMS", b"".join((bundle / "SHA256SUMS").read_bytes().splitlines(keepends=True)[1:]))


def _file_more(bundle: Path) -> None:
    (bundle / "wheels" / "more-1.0-py3-none-any.whl").write_bytes(b"")


def _file_less(bundle: Path) -> None:
    next((bundle / "wheels").glob("six-*.whl")).unlink()


def _link(bundle: Path) -> None:
    (bundle / "docs" / "link").symlink_to("/etc")


@rule("BUNDLE")
@matrix("spoil", [_line_less, _file_more, _file_less, _link])
@matrix("options", [(), ("--unsigned",)], ids=["signed", "unsigned"])
def test_a_file_with_a_wrong_checksum_is_rejected(
    bundle: Path, spoil: Callable[[Path], None], options: tuple[str, ...]
) -> None:
    spoil(bundle)
    assert "nothing was installed" in _refused(bundle, *options)


@rule("BUNDLE")
def test_another_signature_is_rejected(bundle: Path) -> None:
    _put(bundle / "SHA256SUMS.sig", making.OTHER_KEY.sign((bundle / "SHA256SUMS").read_bytes()))
    assert "the signature is of no key" in _refused(bundle)


def test_a_bundle_without_a_signature_is_rejected(bundle: Path) -> None:
    (bundle / "SHA256SUMS.sig").unlink()
    assert "not signed" in _refused(bundle)


def test_another_key_is_rejected(bundle: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"other {sign.public(making.OTHER_KEY)}\n")
    assert "the signature is of no key" in _refused(bundle, "--keys", str(keys))


def _release(prefix: Path, keys: str | None = None) -> Path:
    """Create the script's parts that an installed release has: itself, and its list of keys. Returns the script."""
    current = prefix / "current"
    current.mkdir(parents=True)
    for name in ("install", "release.keys"):
        shutil.copy(making.signed().folder / name, current)
    if keys is not None:
        (current / "release.keys").write_text(keys)
    return current / "install"


@rule("BUNDLE")
def test_at_an_upgrade_the_installed_release_checks_before_anything_of_the_bundle_runs(
    bundle: Path, tmp_path: Path
) -> None:
    """The bundle's maker controls its script and keys."""
    prefix, ran, file = tmp_path / "prefix", tmp_path / "ran", tmp_path / "bundle.tar"
    script = _release(prefix)
    for good in (making.signed().file, making.signed().folder):
        done = installed(script, "--prefix", str(prefix), "--from", str(good), "--check")
        assert done.returncode == 0, done.stderr
        assert f"of the key tests in {prefix}/current/release.keys" in done.stdout
    own = (bundle / "install").read_bytes()
    _put(bundle / "install", f"touch {ran}\n".encode())
    _put(bundle / "release.keys", f"other {sign.public(making.OTHER_KEY)}\n".encode())
    _put(bundle / "SHA256SUMS", archive.sums(bundle).encode())
    _put(bundle / "SHA256SUMS.sig", making.OTHER_KEY.sign((bundle / "SHA256SUMS").read_bytes()))
    archive.pack(bundle, file, 0)
    for bad in (file, bundle):
        refused = installed(script, "--prefix", str(prefix), "--from", str(bad))
        assert refused.returncode == 1
        assert f"of no key in {prefix}/current/release.keys" in refused.stderr
    assert not ran.exists()
    _put(bundle / "install", own)  # running it anyway prints the correct way
    refused = install(bundle, "--prefix", str(prefix))
    assert refused.returncode == 1
    assert f"sh {prefix}/current/install --from {bundle}\n" in refused.stderr
    assert [path.name for path in prefix.iterdir()] == ["current"]


@rule("BUNDLE")
def test_a_release_that_lists_no_key_checks_no_bundle(tmp_path: Path) -> None:
    script = _release(tmp_path / "prefix", keys="# Keys\n\n")
    refused = installed(script, "--from", str(making.signed().folder), "--check")
    assert refused.returncode == 1
    assert "release.keys lists no key" in refused.stderr


def test_an_invalid_bundle_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no archive")
    for given in (tmp_path, tmp_path / "file", tmp_path / "missing"):
        refused = install(making.signed().folder, "--from", str(given), "--check")
        assert refused.returncode == 1
        assert f"{given} is not a bundle" in refused.stderr


def test_without_openssl_it_stops_and_says_what_to_do(bundle: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "dirname", "mktemp", "rm", "sed", "grep"):
        (programs / name).symlink_to(str(shutil.which(name)))
    said = _refused(bundle, PATH=str(programs))
    assert "openssl is missing" in said
    assert "--unsigned" in said


def test_a_valid_bundle_passes_every_check(bundle: Path) -> None:
    done = install(bundle, "--prefix", str(bundle.parent / "prefix"), "--check")
    assert done.returncode == 0, done.stderr
    assert "signature: good, of the key tests" in done.stdout
    assert not (bundle.parent / "prefix").exists()


def test_a_bundle_signed_only_by_its_own_key_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar"
    shutil.copy(making.signed().file, file)
    before = file.read_bytes()
    with pytest.raises(sign.KeyRefused, match="does not list this key"):
        sign.sign(file, making.OTHER_KEY)
    assert file.read_bytes() == before
    assert sign.sign(file, making.KEY) == "tests"
    assert file.read_bytes() == before
