"""The SCIM library's own tests for storages pass with our storage, each in a unit of work that is rolled back."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from scim2_models import NotFoundException, UniquenessException
from scim2_server.testing import ScimStorageContract

from manifest_auth.accounts.provisioning import connections
from manifest_auth.clients.scim import protocol
from manifest_auth.clients.scim.storage import Storage
from manifest_auth.context import ScimCaller
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from tests.http.scim.connecting import Connection, connect
from tests.support.accounts import store_of
from tests.support.application import App
from tests.support.matrix import matrix

#: Reasons for which the library skips its tests of what our configuration doesn't announce.
NOT_SUPPORTED = {
    f"The service does not support {feature}" for feature in ("sorting", "searching at the root", "cursor pagination")
}


class Contract(ScimStorageContract):
    supports_root_search = False


class Case(NamedTuple):
    name: str
    test: Callable[..., None]
    given: dict[str, Any]


def _cases() -> Iterator[Case]:
    for name, test in inspect.getmembers(Contract, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        axes = []
        for mark in getattr(test, "pytestmark", ()):
            if mark.name == "parametrize":
                names, values = mark.args[:2]
                axes.append([{names: value} for value in values])
        for chosen in itertools.product(*axes):
            given = {key: value for one in chosen for key, value in one.items()}
            yield Case(f"{name} {given or ''}".strip(), test, given)


class Translated(Storage):
    """Raises the library's errors where ours have the same meaning, as the service does for responses."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _translated(found) if name in ("get", "create", "update", "delete") else found


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return method(*given, **named)
        except NotFound:
            raise NotFoundException from None
        except Conflict:
            raise UniquenessException from None

    return call


class RolledBack(Exception):
    """Ends a unit of work without a commit."""


@pytest.fixture(scope="module")
async def of(app: App) -> Connection:
    return await connect(app)


@matrix("case", list(_cases()), ids=lambda case: case.name)
async def test_our_storage_keeps_the_contract(app: App, of: Connection, case: Case) -> None:
    store, skipped = await store_of(app, of.client), []

    def work(unit: TenantUnit) -> None:
        given = {**_fixtures(app, of, unit), **case.given}
        asked = inspect.signature(case.test).parameters.keys() - {"self"}
        try:
            case.test(Contract(), **{name: given[name] for name in asked})
        except pytest.skip.Exception as reason:
            skipped.append(str(reason))
        raise RolledBack

    with pytest.raises(RolledBack), protocol.PROVIDER:
        await store.write(work)
    assert set(skipped) <= NOT_SUPPORTED


def _fixtures(app: App, of: Connection, unit: TenantUnit) -> dict[str, Any]:
    """Values for the fixtures of the library's class, with our storage and our models."""
    ctx = RequestContext(app.services, "contract", "192.0.2.1", "contract")
    connection = connections.get_by_id(unit, of.id)
    ctx.caller = ScimCaller(unit.tenant_id, of.client, connection.id, of.name)
    found: dict[str, Any] = {"provider": protocol.PROVIDER}
    found["storage"] = Translated(unit, ctx, connection, address_of=lambda draft: f"{draft.user_name}@contract.example")
    for one in protocol.PROVIDER.resource_types:
        name = str(one.name).lower()
        found |= {f"{name}_type": one, f"{name}_model": protocol.PROVIDER.model_for(one)}
    return found
