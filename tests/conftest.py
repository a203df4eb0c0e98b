"""Fixtures: both databases, and the application on each of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from os import environ

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.support.application import App, running
from tests.support.background_jobs import nothing_by_itself
from tests.support.mail_server import MailServer
from tests.support.postgres import SHARED, Databases, Postgres, drop_all
from tests.support.stores import fresh_store

pytest_plugins = [
    "tests.architecture.log_lines",
    "tests.support.matrix",
    "tests.support.needs",
    "tests.support.run_order",
]
# Examples, and generating them, can take any amount of time.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(**variables): the application of the module has these settings")
    config.addinivalue_line("markers", "rule(*names): shows these rules of docs/reference/security.md")
    config.addinivalue_line("markers", "still: the application of the module runs nothing in the background")
    config.addinivalue_line("markers", "mail: the application of the module sends its mail to `post`")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """The PostgreSQL server of this run; its databases can be lost if the machine fails."""
    if address := environ.get(SHARED):
        yield Databases(address)
        return
    server = Postgres(is_durable=False)
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def _databases_end() -> Iterator[None]:
    """Drop the databases at the end of the module that they were created for."""
    yield
    drop_all()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that the test can kill, and that keeps everything that was committed."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind without tables, one for each test module, for migration tests."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('store') / 'test.db'}"
    server: Databases = request.getfixturevalue("postgres")
    return server.empty_database()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind with the current schema, one for each test module."""
    if request.param == "sqlite":
        return fresh_store(tmp_path_factory.mktemp("store") / "test.db")
    server: Databases = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture(scope="module")
async def app(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[App]:
    """The application on each kind of database, with the settings of the module's marks. The module's tests share it,
    and must not rely on data from other tests."""
    settings: dict[str, str] = {}
    for mark in request.node.iter_markers("settings"):
        settings |= mark.kwargs
    if request.node.get_closest_marker("mail"):
        mail_server: MailServer = request.getfixturevalue("mail_server")
        settings |= mail_server.settings
    is_still = request.node.get_closest_marker("still") is not None
    async with contextlib.AsyncExitStack() as until_the_end:
        with nothing_by_itself() if is_still else contextlib.nullcontext():
            application = await until_the_end.enter_async_context(running(database_url, **settings))
        yield application


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    """An SMTP server that receives the application's mail."""
    with MailServer() as server:
        yield server
