"""Fixtures: real identity providers, installed when a selected test needs them, and started once for each worker.

If a provider can't be installed, its tests fail, and the end of the run names it again. One OpenID Connect and one SAML
provider belong to ``./dev test``, the others to ``./dev endurance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.interop.browser import Browser
from tests.interop.providers import djangosaml2idp, glewlwyd, lemonldap, oidc_provider, saml_idp
from tests.interop.providers.djangosaml2idp import DjangoSaml2Idp
from tests.interop.providers.glewlwyd import Glewlwyd
from tests.interop.providers.install import ProviderMissing
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.oidc_provider import OidcProvider
from tests.interop.providers.process import Process
from tests.interop.providers.saml_idp import SamlIdp
from tests.interop.service import OIDC, Client, Service
from tests.interop.sign_in_methods import METHODS, OWN_METHODS, SignInMethod
from tests.support.processes import free_port
from tests.support.server import served, start, stop

INSTALLERS: dict[str, Callable[[], object]] = {
    "oidc-provider": oidc_provider.installed,
    "glewlwyd": glewlwyd.installed,
    "saml-idp": saml_idp.installed,
    "djangosaml2idp": djangosaml2idp.installed,
    "lemonldap": lemonldap.installed,
}
#: The provider that each fixture uses.
PROVIDERS = {
    "node_provider": "oidc-provider",
    "talkative_provider": "oidc-provider",
    "own_provider": "oidc-provider",
    "glewlwyd_server": "glewlwyd",
    "node_idp": "saml-idp",
    "own_idp": "saml-idp",
    "django_idp": "djangosaml2idp",
    "strict_django_idp": "djangosaml2idp",
    "lemonldap_server": "lemonldap",
    "own_lemonldap": "lemonldap",
    # Requested by test_callback.py through a parameter.
    "sends_iss": "oidc-provider",
    "sends_none": "lemonldap",
    "of_glewlwyd": "glewlwyd",
}
_OFTEN = {"oidc-provider", "saml-idp"}
PUBLIC = "https://sign-in.localhost"
_MISSING: dict[str, ProviderMissing] = {}
P = TypeVar("P", bound=Process)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Runs before tests are selected by their marks. The first test here waits for downloads, as long as they take."""
    item.add_marker(pytest.mark.timeout(600))
    if not providers_of(item) <= _OFTEN:
        item.add_marker(pytest.mark.endurance)


def providers_of(item: pytest.Item) -> set[str]:
    """The providers that a test needs."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    fixtures = {*getattr(item, "fixturenames", ()), *map(str, given.values())}
    if "method" in given:
        fixtures.add({**METHODS, **OWN_METHODS}[given["method"]][0])
    return {PROVIDERS[name] for name in fixtures & PROVIDERS.keys()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report the providers that couldn't be installed, because a test that didn't run didn't pass."""
    if _MISSING:
        terminalreporter.section("IDENTITY PROVIDERS THAT COULD NOT BE INSTALLED", red=True)
        for missing in _MISSING.values():
            terminalreporter.line(str(missing), red=True)


@pytest.fixture(scope="session", autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    """Install every provider that the tests of this run need."""
    here = [item for item in request.session.items if Path(__file__).parent in item.path.parents]
    needed = set[str]().union(*map(providers_of, here))

    def install(name: str) -> None:
        try:
            INSTALLERS[name]()
        except ProviderMissing as missing:
            _MISSING[name] = missing

    with ThreadPoolExecutor() as pool:
        list(pool.map(install, needed))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our server in a realistic installation: TLS terminates at a proxy, and providers are other sites to the
    browser."""
    watched = f"127.0.0.1:{free_port()}"
    settings = {"MANIFEST_PUBLIC_URL": PUBLIC, "MANIFEST_RATE_LIMITS": "off", "MANIFEST_METRICS_LISTEN": watched}
    settings["MANIFEST_PROVIDER_TIMEOUT"] = "10"  # a provider is also a process on a possibly busy machine
    with served(tmp_path_factory.mktemp("service"), **settings) as server:
        yield Service(server, PUBLIC, f"http://{watched}")


@pytest.fixture(scope="session")
def plain_port() -> int:
    """The port of :func:`plain_service`, which is configured at the providers before the server runs."""
    return free_port()


@pytest.fixture(scope="session")
def plain_service(plain_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our server as in a first trial, with plain HTTP on the loopback address."""
    server = start(
        tmp_path_factory.mktemp("plain"), port=plain_port, MANIFEST_RATE_LIMITS="off", MANIFEST_PROVIDER_TIMEOUT="10"
    )
    try:
        yield Service(server, server.base)
    finally:
        stop(server)


@pytest.fixture(scope="session")
def callbacks(plain_port: int) -> list[str]:
    """The redirect URIs of OpenID providers."""
    return [f"{address}{OIDC}/callback" for address in (PUBLIC, f"http://127.0.0.1:{plain_port}")]


@pytest.fixture(scope="session")
def node_provider(callbacks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """``oidc-provider`` with minimal ID tokens, and other claims from userinfo."""
    with _running(OidcProvider(tmp_path_factory.mktemp("provider"), callbacks)) as provider:
        yield provider


@pytest.fixture(scope="session")
def talkative_provider(callbacks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """``oidc-provider`` with all claims in the ID token."""
    provider = OidcProvider(tmp_path_factory.mktemp("provider"), callbacks, claims_in_id_token=True)
    with _running(provider):
        yield provider


@pytest.fixture
def own_provider(callbacks: list[str], tmp_path: Path) -> Iterator[OidcProvider]:
    """``oidc-provider`` for a single test, which can stop it; our server hasn't connected to it before."""
    with _running(OidcProvider(tmp_path, callbacks)) as provider:
        yield provider


@pytest.fixture(scope="session")
def glewlwyd_server(callbacks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Glewlwyd]:
    """``glewlwyd`` with all claims in the ID token, and an issuer with a path."""
    with _running(Glewlwyd(tmp_path_factory.mktemp("provider"), callbacks)) as provider:
        yield provider


@pytest.fixture(scope="session")
def node_idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlIdp]:
    """``saml-idp``, which sends the same as Okta."""
    with _running(SamlIdp(tmp_path_factory.mktemp("provider"))) as provider:
        yield provider


@pytest.fixture
def own_idp(tmp_path: Path) -> Iterator[SamlIdp]:
    """``saml-idp`` for a single test, with its own key."""
    with _running(SamlIdp(tmp_path)) as provider:
        yield provider


@pytest.fixture(scope="session")
def django_idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoSaml2Idp]:
    """``djangosaml2idp2``, which uses pysaml2 and xmlsec1."""
    with _running(DjangoSaml2Idp(tmp_path_factory.mktemp("provider"))) as provider:
        yield provider


@pytest.fixture(scope="session")
def strict_django_idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoSaml2Idp]:
    """``djangosaml2idp2`` that accepts only signed requests."""
    with _running(DjangoSaml2Idp(tmp_path_factory.mktemp("provider"), wants_signed_requests=True)) as provider:
        yield provider


@pytest.fixture(scope="session")
def lemonldap_server(callbacks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LemonLdap]:
    """``lemonldap-ng`` with both protocols."""
    with _running(LemonLdap(tmp_path_factory.mktemp("provider"), callbacks)) as provider:
        yield provider


@pytest.fixture
def own_lemonldap(callbacks: list[str], tmp_path: Path) -> Iterator[LemonLdap]:
    """``lemonldap-ng`` for a single test."""
    with _running(LemonLdap(tmp_path, callbacks)) as provider:
        yield provider


@pytest.fixture
def method(request: pytest.FixtureRequest) -> Iterator[SignInMethod]:
    """The sign-in method that a test is parametrized with; restores its people afterward."""
    fixture, made = {**METHODS, **OWN_METHODS}[request.param]
    chosen = made(request.getfixturevalue(fixture))
    yield chosen
    chosen.restore()


@pytest.fixture
def client(service: Service) -> Client:
    """A separate client for each test."""
    return service.client()


@pytest.fixture
def browser(service: Service) -> Iterator[Browser]:
    """A new browser."""
    with service.browser() as fresh:
        yield fresh


@pytest.fixture
def another_browser(service: Service) -> Iterator[Browser]:
    """Another person's browser."""
    with service.browser() as fresh:
        yield fresh


@contextmanager
def _running(provider: P) -> Iterator[P]:
    if provider.name in _MISSING:
        pytest.fail(f"{provider.name} could not be installed: {_MISSING[provider.name]}")
    try:
        provider.start()
        yield provider
    finally:
        provider.stop()
