"""Microsoft's clouds: the hosts of each belong together, and a custom cloud replaces the one with the same issuer."""

from __future__ import annotations

import itertools
import re

import pytest

from manifest_auth.protocols.microsoft import CLOUDS, GRAPH_ID, Cloud, Clouds, read_custom
from tests.support.matrix import matrix

DIRECTORY = "c0c0c0c0-1111-4111-8111-111111111111"
OWN = "login=https://login.gateway.example graph=https://graph.gateway.example dataverse=https://crm.gateway.example"
GLOBALS = f"{OWN} issuer=https://login.microsoftonline.com sts=https://sts.windows.net"
PAIRS = [(one, other) for one, other in itertools.permutations(CLOUDS, 2)]

#: As documented by Microsoft: login, Graph, an environment, and the issuers of v2.0 and v1.0 tokens.
KNOWN = {
    "global": (
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com",
        "https://contoso.crm4.dynamics.com",
        f"https://login.microsoftonline.com/{DIRECTORY}/v2.0",
        f"https://sts.windows.net/{DIRECTORY}/",
    ),
    "us-gov": (
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us",
        "https://contoso.crm.microsoftdynamics.us",
        f"https://login.microsoftonline.us/{DIRECTORY}/v2.0",
        f"https://sts.windows.net/{DIRECTORY}/",
    ),
    "us-dod": (
        "https://login.microsoftonline.us",
        "https://dod-graph.microsoft.us",
        "https://contoso.crm.appsplatform.us",
        f"https://login.microsoftonline.us/{DIRECTORY}/v2.0",
        f"https://sts.windows.net/{DIRECTORY}/",
    ),
    "china": (
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "https://contoso.crm.dynamics.cn",
        f"https://login.partner.microsoftonline.cn/{DIRECTORY}/v2.0",
        f"https://sts.chinacloudapi.cn/{DIRECTORY}/",
    ),
}


@matrix("name", KNOWN)
def test_the_hosts_of_a_cloud_are_together(name: str) -> None:
    login, graph, environment, issuer_v2, issuer_v1 = KNOWN[name]
    cloud = Clouds(name, "").get("")
    assert (cloud.login, cloud.graph) == (login, graph)
    assert (cloud.issuer_v2(DIRECTORY), cloud.issuer_v1(DIRECTORY)) == (issuer_v2, issuer_v1)
    assert cloud.is_organization(environment)
    assert cloud.is_organization(f"{environment}/")
    assert cloud.api_address(f"{environment}/") == environment
    for audience in (GRAPH_ID, f"{GRAPH_ID}/", graph, f"{graph}/"):
        assert cloud.is_graph(audience)


def test_all_of_them_are_known() -> None:
    assert set(KNOWN) == set(CLOUDS)


@matrix(("one", "other"), PAIRS)
def test_no_host_of_one_is_another_ones(one: str, other: str) -> None:
    cloud = CLOUDS[one]
    _, graph, environment, *_ = KNOWN[other]
    assert not cloud.is_graph(graph)
    assert not cloud.is_organization(environment)


@matrix("name", KNOWN)
@matrix(
    "change",
    [
        lambda address: address.replace("https:", "http:"),
        lambda address: address.replace("https:", "HTTPS:"),
        lambda address: address.upper(),
        lambda address: f"{address}//",
        lambda address: f"{address}/x",
        lambda address: f"{address}?x=y",
        lambda address: f"{address}#x",
        lambda address: f"{address}:443",
        lambda address: f"{address}.",
        lambda address: f"{address}.evil.example",
        lambda address: f"{address}\n",
        lambda address: f" {address}",
        lambda address: address.replace("://", "://user@"),
        lambda address: address.replace("contoso.", "contoso.evil.example/"),
        lambda address: address.replace("contoso.", "contoso..").replace("..", ".x."),
        lambda address: address.replace("contoso.", ""),
        lambda address: address.replace("contoso", "-contoso"),
        lambda address: address.replace("contoso", "c\u00f6ntoso"),
        lambda address: address.replace("contoso.", "evil.example\\."),
    ],
    ids=range(19),
)
def test_an_invalid_environments_address(name: str, change: object) -> None:
    assert callable(change)
    assert not CLOUDS[name].is_organization(change(KNOWN[name][2]))


@matrix(
    "host",
    ["contoso.crm.dynamics.com", "contoso.crm9.dynamics.com", "contoso.crm19.dynamics.com", "a.crm.dynamics.com",
     "contoso-test-1.crm.dynamics.com", "contoso.api.crm4.dynamics.com"],
)  # fmt: skip
def test_environments_of_the_regions(host: str) -> None:
    assert CLOUDS["global"].is_organization(f"https://{host}")


@matrix(
    "audience",
    ["", "/", "https://graph.microsoft.com//", "graph.microsoft.com", "https://graph", "https://graph.microsoft.com/v1.0",
     "00000002-0000-0000-c000-000000000000", f"{GRAPH_ID}//"],
)  # fmt: skip
def test_what_is_not_graph(audience: str) -> None:
    assert not any(cloud.is_graph(audience) for cloud in CLOUDS.values())


def test_a_cloud_is_chosen_for_all_and_for_one() -> None:
    clouds = Clouds("china", "")
    assert clouds.get("") == CLOUDS["china"]
    for name, cloud in CLOUDS.items():
        assert clouds.get(name) == cloud
    with pytest.raises(ValueError, match="unknown cloud"):
        clouds.get("custom")
    with pytest.raises(ValueError, match="unknown cloud"):
        clouds.get("mars")


@matrix("name", KNOWN)
def test_whose_tokens_an_issuer_is_about(name: str) -> None:
    clouds = Clouds("global", "")
    for issuer in KNOWN[name][3:]:
        assert clouds.of_issuer(issuer) is not None
    for issuer in (KNOWN[name][0], f"{KNOWN[name][0]}.evil.example/{DIRECTORY}/v2.0", f"x{KNOWN[name][3]}", "", "/"):
        assert clouds.of_issuer(issuer) is None


class TestOfOnesOwn:
    def test_three_addresses_make_one(self) -> None:
        cloud = Clouds("custom", OWN).get("")
        assert cloud.login == "https://login.gateway.example"
        assert cloud.issuer_v2(DIRECTORY) == f"https://login.gateway.example/{DIRECTORY}/v2.0"
        assert cloud.issuer_v1(DIRECTORY) == f"https://login.gateway.example/sts/{DIRECTORY}/"
        assert cloud.is_graph("https://graph.gateway.example")
        assert cloud.is_graph(GRAPH_ID)
        assert not cloud.is_graph("https://graph.microsoft.com")
        assert cloud.api_address("https://contoso.crm.dynamics.com") == "https://crm.gateway.example"

    def test_slashes_and_spaces_do_not_matter(self) -> None:
        spaced = "  ".join(f"{word}/" for word in OWN.split())
        assert read_custom(f" {spaced}\n") == read_custom(OWN)

    def test_it_stands_beside_microsofts(self) -> None:
        clouds = Clouds("global", OWN)
        assert clouds.get("") == CLOUDS["global"]
        assert clouds.get("custom").login == "https://login.gateway.example"
        assert clouds.of_issuer(f"https://login.gateway.example/{DIRECTORY}/v2.0") == clouds.get("custom")
        assert clouds.of_issuer(f"https://login.gateway.example/sts/{DIRECTORY}/") == clouds.get("custom")

    def test_one_with_the_issuer_of_microsofts_takes_its_place(self) -> None:
        """Two clouds must not verify the same tokens."""
        clouds = Clouds("custom", GLOBALS)
        own = clouds.get("")
        assert clouds.of_issuer(KNOWN["global"][3]) == own
        assert own.is_graph("https://graph.microsoft.com")
        with pytest.raises(ValueError, match="unknown cloud"):
            clouds.get("global")
        for name in ("us-gov", "us-dod", "china"):
            assert clouds.get(name) == CLOUDS[name]

    def test_of_the_two_that_share_an_issuer_both_go(self) -> None:
        clouds = Clouds("custom", f"{OWN} issuer=https://login.microsoftonline.us sts=https://sts.windows.net")
        for name in ("us-gov", "us-dod"):
            with pytest.raises(ValueError, match="unknown cloud"):
                clouds.get(name)
        assert clouds.get("global") == CLOUDS["global"]

    def test_one_that_is_chosen_for_all_must_be_there(self) -> None:
        for default, custom in (("custom", ""), ("global", GLOBALS)):
            with pytest.raises(ValueError, match="the default cloud"):
                Clouds(default, custom)

    @matrix(
        ("text", "words"),
        [
            ("login", "unknown or repeated name 'login'"),
            (f"{OWN} mars=https://x.example", "unknown or repeated name 'mars'"),
            (f"{OWN} graph=https://x.example", "unknown or repeated name 'graph'"),
            ("login=https://x.example", "missing: graph, dataverse"),
            ("login=https://x.example graph=https://x.example", "missing: dataverse"),
            (OWN.replace("https://graph.gateway.example", ""), "graph "),
            (OWN.replace("https://graph.gateway.example", "graph.gateway.example"), "graph must begin with https://"),
            (OWN.replace("https://graph.", "http://graph."), "http is allowed only for loopback addresses"),
            (OWN.replace("https://login.", "ftp://login."), "login must begin with https://"),
            (OWN.replace("https://crm.", "https://user:pw@crm."), "must not contain a user name"),
            (OWN.replace("graph.gateway.example", "graph.gateway.example/?x="), "graph must be a URL"),
            (OWN.replace("graph.gateway.example", "graph.gateway.example#x"), "must not contain #"),
            (OWN.replace("graph.gateway.example", "graph.gateway.example:99999"), "graph "),
            (OWN.replace("graph.gateway.example", "[::1"), "graph "),
            (f"{OWN} issuer=urn:x", "issuer must be a URL"),
            (f"{OWN} sts=https://x.example?y", "sts must be a URL"),
        ],
    )
    def test_errors_are_named(self, text: str, words: str) -> None:
        with pytest.raises(ValueError, match=re.escape(words)):
            read_custom(text)

    def test_on_this_machine_it_can_be_plain_http(self) -> None:
        text = "login=http://127.0.0.1:1 graph=http://localhost:2 dataverse=http://[::1]:3"
        assert read_custom(text).graph == "http://localhost:2"

    def test_where_documents_are_that_do_not_lie_below_their_issuer(self) -> None:
        clouds = Clouds("custom", GLOBALS)
        assert clouds.discovery_of(KNOWN["global"][3]) == (
            f"https://login.gateway.example/{DIRECTORY}/v2.0/.well-known/openid-configuration"
        )
        for issuer in (
            KNOWN["us-gov"][3],
            "https://accounts.example",
            "https://login.microsoftonline.com.evil.example/x",
        ):
            assert clouds.discovery_of(issuer) is None


def test_an_environments_pattern_of_the_callers_own_is_a_host() -> None:
    cloud: Cloud = read_custom(OWN)
    assert cloud.is_organization("https://contoso.crm.dynamics.com")
    for address in (
        "http://contoso.example",
        "https://contoso.example/x",
        "https://a@b.example",
        "https://x:1",
        "contoso",
    ):
        assert not cloud.is_organization(address)
