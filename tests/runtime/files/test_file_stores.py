"""Both kinds of file storage write, read, and delete bytes, and report failures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from manifest_auth.runtime.files import FileStorage, FilesUnavailable, open_storage
from manifest_auth.runtime.settings import Settings, SettingsError, load
from tests.support.faults import room_for
from tests.support.matrix import matrix

KEY = "ab" * 20


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3-compatible service with the bucket ``evidence``."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_bucket(Bucket="evidence")
    yield address
    server.stop()


def of_bucket(address: str, name: str = "s3://evidence/plant/1") -> Settings:
    return load(
        {
            "MANIFEST_FILES": name,
            "MANIFEST_FILES_ENDPOINT": address,
            "MANIFEST_FILES_REGION": "us-east-1",
            "MANIFEST_FILES_ACCESS_KEY": "a",
            "MANIFEST_FILES_SECRET_KEY": "b",
        }
    )


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> FileStorage:
    if request.param == "folder":
        return open_storage(load({"MANIFEST_DATA_DIR": str(tmp_path)}))
    return open_storage(of_bucket(request.getfixturevalue("s3")))


async def kept(storage: FileStorage, key: str = KEY) -> bytes:
    return b"".join([part async for part in await storage.open(key)])


def source(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "source"
    path.write_bytes(data)
    return path


@matrix("size", [1, 256 * 1024, 9 * 1024 * 1024])
async def test_what_is_kept_is_handed_out_again(storage: FileStorage, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    await storage.store(source(tmp_path, data), KEY)
    assert await kept(storage) == data
    await storage.drop(KEY)
    with pytest.raises(FilesUnavailable):
        await kept(storage)
    await storage.drop(KEY)  # already deleted


async def test_there_are_no_bytes_under_another_key(storage: FileStorage, tmp_path: Path) -> None:
    await storage.store(source(tmp_path, b"x"), KEY)
    with pytest.raises(FilesUnavailable):
        await kept(storage, "cd" * 20)


async def test_where_it_is_can_be_told(storage: FileStorage) -> None:
    assert "folder" in (told := await storage.check()) or "bucket evidence" in told


async def test_a_folder_is_its_owners_alone_and_has_no_halves(tmp_path: Path) -> None:
    storage = open_storage(load({"MANIFEST_FILES": str(tmp_path / "deep" / "files")}))
    await storage.store(source(tmp_path, b"x"), KEY)
    folder = tmp_path / "deep" / "files"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [KEY]


async def test_what_a_full_disk_did_not_take_leaves_nothing(tmp_path: Path) -> None:
    storage = open_storage(load({"MANIFEST_DATA_DIR": str(tmp_path)}))
    given = source(tmp_path, os.urandom(900_000))
    with room_for(600_000), pytest.raises(FilesUnavailable):
        await storage.store(given, KEY)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    await storage.store(given, KEY)


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    storage = open_storage(load({"MANIFEST_DATA_DIR": str(tmp_path)}))
    for failing in (storage.check(), storage.store(source(tmp_path, b"x"), KEY)):
        with pytest.raises(FilesUnavailable, match="files"):
            await failing


async def test_a_bucket_that_is_not_there_is_named(s3: str, tmp_path: Path) -> None:
    storage = open_storage(of_bucket(s3, "s3://nowhere"))
    for failing in (storage.check(), storage.store(source(tmp_path, b"x"), KEY), storage.open(KEY)):
        with pytest.raises(FilesUnavailable):
            await failing


async def test_without_its_library_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SettingsError, match=r"manifest-auth\[s3\]"):
        open_storage(of_bucket("http://127.0.0.1:1"))
