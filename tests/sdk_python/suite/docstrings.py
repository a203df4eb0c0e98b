"""Each public name has an example in its docstring that runs, with the stated result."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection

import manifest_auth_client
from manifest_auth_client import ApiKeyAuth, ClientCredentials, Connection, ManifestAuth, TokenVerifier, errors, testing
from manifest_auth_client.testing import FakeManifestAuth

URL = "http://auth.example"
MODULES = sorted(found.name for found in pkgutil.walk_packages(manifest_auth_client.__path__, "manifest_auth_client."))
#: Names covered by another name's example: ``ManifestAuthError`` covers the classes in the closed list.
_ELSEWHERE = {*errors.BY_CODE.values()}


def public() -> Iterator[Any]:
    """Everything that the packages and the framework modules export."""
    for module in (manifest_auth_client, testing):
        yield from (getattr(module, name) for name in module.__all__)
    for name in ("fastapi", "starlette"):
        found = importlib.import_module(f"manifest_auth_client.{name}")
        for each in vars(found).values():
            if getattr(each, "__module__", "") == found.__name__ and not each.__name__.startswith("_"):
                yield each


@pytest.mark.parametrize("each", [*public()], ids=lambda each: each.__name__)
def test_a_public_name_has_an_example(each: Any) -> None:
    assert each.__doc__
    assert ">>>" in each.__doc__ or each in _ELSEWHERE
    if inspect.isclass(each):
        for name, member in vars(each).items():
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(getattr(each, name)), f"{each.__name__}.{name} says nothing"


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """The packages available to the examples."""
    fake = FakeManifestAuth(URL)
    fake.add_user("ada@acme.example", "kestrel-harbor-21", roles=["Author"])
    service = fake.add_service("robot", scopes=["users:read"], may_introspect=True)
    connection = Connection(URL, transport=fake.transport)
    machine = ClientCredentials(URL, service.client_id, secret=service.secret, connection=connection)
    auth = ManifestAuth(URL, client="acme", transport=fake.transport)
    token = ManifestAuth(URL, transport=fake.transport).sign_in("ada@acme.example", "kestrel-harbor-21").tokens
    return {
        "URL": URL, "fake": fake, "auth": auth, "connection": connection, "machine": machine, "secret": service.secret,
        "key": service.key, "folder": tmp_path, "token": token.access_token, "httpx2": httpx2, "asyncio": asyncio,
        "verifier": TokenVerifier(URL, "manifest-api", credentials=machine, connection=connection),
        "HTTPConnection": HTTPConnection, "ManifestAuth": ManifestAuth, "ApiKeyAuth": ApiKeyAuth,
        **{name: getattr(manifest_auth_client, name) for name in manifest_auth_client.__all__},
        "FakeManifestAuth": FakeManifestAuth,
    }  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_as_they_say(name: str, names: dict[str, Any]) -> None:
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert found.failed == 0
    assert (found.attempted > 0) == (">>>" in inspect.getsource(module))
