"""Microsoft's clouds: the login, Graph and Dataverse hosts of each, grouped so that they cannot be mixed by accident.

A token of one cloud is not valid in another. Addresses from Microsoft's documentation of national deployments; issuers
of v1.0 tokens outside the global cloud from real tokens.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from manifest_auth.runtime.outgoing import split

GRAPH_ID: Final = "00000003-0000-0000-c000-000000000000"
CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"  # personal accounts
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CALLED = ("login", "graph", "dataverse")
_CUSTOM = (*_CALLED, "issuer", "sts")


class Cloud(NamedTuple):
    """Addresses without a slash at the end. ``issuer``: start of v2.0 issuers; ``sts``: of v1.0 ones.
    ``organizations``: pattern of Dataverse hosts; ``dataverse``: the API address of all of them in a custom cloud;
    ``graph_name``: the audience of tokens for Graph, if it differs from ``graph``."""

    login: str
    graph: str
    issuer: str
    sts: str
    organizations: str
    dataverse: str = ""
    graph_name: str = ""

    def issuer_v2(self, directory: str) -> str:
        """``iss`` of v2.0 tokens of a directory."""
        return f"{self.issuer}/{directory}/v2.0"

    def issuer_v1(self, directory: str) -> str:
        """``iss`` of v1.0 tokens of a directory; with a slash at the end."""
        return f"{self.sts}/{directory}/"

    def is_graph(self, audience: str) -> bool:
        """Whether a token is for Microsoft Graph."""
        return audience.removesuffix("/") in {GRAPH_ID, self.graph, self.graph_name or self.graph}

    def is_organization(self, address: str) -> bool:
        """Whether an address is exactly that of a Dataverse environment of this cloud. It becomes part of the scope, so
        parsers must not disagree about its host."""
        return re.fullmatch(rf"https://{self.organizations}/?", address) is not None

    def api_address(self, organization: str) -> str:
        """The API address of an environment."""
        return self.dataverse or organization.rstrip("/")


_NAME = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?(?:\.api)?"
_GLOBAL_LOGIN, _STS = "https://login.microsoftonline.com", "https://sts.windows.net"
_US_LOGIN, _CN_LOGIN = "https://login.microsoftonline.us", "https://login.partner.microsoftonline.cn"
CLOUDS: dict[str, Cloud] = {
    "global": Cloud(
        _GLOBAL_LOGIN, "https://graph.microsoft.com", _GLOBAL_LOGIN, _STS, rf"{_NAME}\.crm\d{{0,2}}\.dynamics\.com"
    ),
    "us-gov": Cloud(_US_LOGIN, "https://graph.microsoft.us", _US_LOGIN, _STS, rf"{_NAME}\.crm\.microsoftdynamics\.us"),
    "us-dod": Cloud(_US_LOGIN, "https://dod-graph.microsoft.us", _US_LOGIN, _STS, rf"{_NAME}\.crm\.appsplatform\.us"),
    "china": Cloud(
        _CN_LOGIN,
        "https://microsoftgraph.chinacloudapi.cn",
        _CN_LOGIN,
        "https://sts.chinacloudapi.cn",
        rf"{_NAME}\.crm\.dynamics\.cn",
    ),
}


def read_custom(text: str) -> Cloud:
    """A custom cloud from ``name=address`` words: login, graph and dataverse; and ``issuer`` and ``sts`` if the issuers
    in tokens differ from login. A cloud with the issuer of a Microsoft cloud has that cloud's tokens, with its audience
    for Graph. Raises ValueError."""
    given: dict[str, str] = {}
    for word in text.split():
        name, mark, address = word.partition("=")
        if not mark or name not in _CUSTOM or name in given:
            raise ValueError(f"unknown or repeated word {name!r}; known are {', '.join(_CUSTOM)}")
        given[name] = _address(name, address)
    if missing := [name for name in _CALLED if name not in given]:
        raise ValueError(f"missing: {', '.join(missing)}")
    issuer = given.get("issuer", given["login"])
    sts = given.get("sts", f"{issuer}/sts")
    graph_name = next((cloud.graph for cloud in CLOUDS.values() if cloud.issuer == issuer), "")
    return Cloud(
        login=given["login"],
        graph=given["graph"],
        issuer=issuer,
        sts=sts,
        organizations=r"[a-z0-9.-]+",
        dataverse=given["dataverse"],
        graph_name=graph_name,
    )


def _address(name: str, text: str) -> str:
    """The address without a slash at the end. Addresses that are called must be allowed ones; issuers are only
    names."""
    try:
        parts = split(text) if name in _CALLED else urlsplit(text)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if parts.scheme not in ("http", "https") or "?" in text or "#" in text:
        raise ValueError(f"{name} must be an address without query and fragment")
    return text.rstrip("/")


class Clouds:
    """The clouds of this installation: Microsoft's, and a custom one from the settings. The custom cloud replaces those
    with the same issuer, so that each issuer belongs to one cloud."""

    def __init__(self, default: str, custom: str) -> None:
        self._default = default
        self._clouds = dict(CLOUDS)
        if custom:
            own = read_custom(custom)
            self._clouds = {name: cloud for name, cloud in CLOUDS.items() if cloud.issuer != own.issuer}
            self._clouds["custom"] = own
        if default not in self._clouds:
            raise ValueError("the cloud chosen for all needs addresses of its own, or its issuer is the custom cloud's")

    def get(self, name: str) -> Cloud:
        """A cloud by name; for an empty name the installation's. Raises ValueError."""
        found = self._clouds.get(name or self._default)
        if found is None:
            raise ValueError(f"unknown cloud {name!r}")
        return found

    def name_of(self, name: str) -> str:
        """The name, or the installation's for an empty one."""
        return name or self._default

    def of_issuer(self, issuer: str) -> Cloud | None:
        """The cloud whose tokens have this issuer; None: it is not Microsoft's."""
        return next((c for c in self._clouds.values() if issuer.startswith((f"{c.issuer}/", f"{c.sts}/"))), None)

    def directory_of(self, issuer: str) -> tuple[str, str] | None:
        """Cloud and directory of an OpenID issuer that is one Microsoft directory; None for others, also for issuers of
        many directories."""
        for name, cloud in self._clouds.items():
            for base in (cloud.issuer, cloud.sts):
                found = issuer.removeprefix(f"{base}/").partition("/")[0].lower()
                if issuer.startswith(f"{base}/") and _GUID.fullmatch(found):
                    return ("" if name == self.name_of("") else name), found
        return None

    def discovery_of(self, issuer: str) -> str | None:
        """The discovery address of a v2.0 issuer, if it is not below the issuer itself."""
        for cloud in self._clouds.values():
            if cloud.login != cloud.issuer and issuer.startswith(f"{cloud.issuer}/"):
                return f"{cloud.login}{issuer.removeprefix(cloud.issuer)}/.well-known/openid-configuration"
        return None
