"""Microsoft: Entra ID access tokens, Graph, Dataverse, and the national clouds.

Checks the claims of tokens, and calls Microsoft's APIs. Knows nothing of clients or the store, stores no tokens, and
never identifies a user by an email address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from manifest_auth.protocols import oidc
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Reply, Unreachable, parse, split
from manifest_auth.text.base64url import decode

# Microsoft's clouds: the login, Graph, and Dataverse hosts of each, grouped so that they can't be mixed by accident.
#
# A token of one cloud isn't valid in another. The addresses are from Microsoft's documentation of national deployments.
# Issuers of v1.0 tokens outside the global cloud are from real tokens.


GRAPH_ID: Final = "00000003-0000-0000-c000-000000000000"
CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"  # personal accounts
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CALLED = ("login", "graph", "dataverse")
_CUSTOM = (*_CALLED, "issuer", "sts")


class Cloud(NamedTuple):
    """The addresses of a cloud, without a trailing slash. ``issuer`` is the start of v2.0 issuers, and ``sts`` of v1.0
    issuers. ``organizations`` is a pattern for Dataverse hosts, and ``dataverse`` is their common API address in a
    custom cloud. ``graph_name`` is the audience of tokens for Graph, if it differs from ``graph``."""

    login: str
    graph: str
    issuer: str
    sts: str
    organizations: str
    dataverse: str = ""
    graph_name: str = ""

    def issuer_v2(self, directory: str) -> str:
        """The ``iss`` of a directory's v2.0 tokens."""
        return f"{self.issuer}/{directory}/v2.0"

    def issuer_v1(self, directory: str) -> str:
        """The ``iss`` of a directory's v1.0 tokens, with a trailing slash."""
        return f"{self.sts}/{directory}/"

    def is_graph(self, audience: str) -> bool:
        """Whether a token is for Microsoft Graph."""
        return audience.removesuffix("/") in {GRAPH_ID, self.graph, self.graph_name or self.graph}

    def is_organization(self, address: str) -> bool:
        """Whether an address exactly matches a Dataverse environment of this cloud. It becomes part of the scope, so
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
    """Returns a custom cloud from ``name=address`` words: login, graph, and dataverse; also ``issuer`` and ``sts`` if
    the issuers in tokens differ from login. A cloud with the issuer of a Microsoft cloud has that cloud's tokens, with
    its audience for Graph. Raises ValueError."""
    given: dict[str, str] = {}
    for word in text.split():
        name, mark, address = word.partition("=")
        if not mark or name not in _CUSTOM or name in given:
            raise ValueError(f"unknown or repeated name {name!r}; known names are {', '.join(_CUSTOM)}")
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
    """Returns the address without a trailing slash. Addresses that the server calls must be allowed; issuers are only
    names."""
    try:
        parts = split(text) if name in _CALLED else urlsplit(text)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if parts.scheme not in ("http", "https") or "?" in text or "#" in text:
        raise ValueError(f"{name} must be a URL without query and fragment")
    return text.rstrip("/")


class Clouds:
    """The clouds of this installation: Microsoft's, and a custom one from the settings. The custom cloud replaces
    clouds with the same issuer, so that each issuer belongs to one cloud."""

    def __init__(self, default: str, custom: str) -> None:
        self._default = default
        self._clouds = dict(CLOUDS)
        if custom:
            own = read_custom(custom)
            self._clouds = {name: cloud for name, cloud in CLOUDS.items() if cloud.issuer != own.issuer}
            self._clouds["custom"] = own
        if default not in self._clouds:
            raise ValueError("the default cloud must have its own addresses, because its issuer is the custom cloud's")

    def get(self, name: str) -> Cloud:
        """Returns a cloud by name; for an empty name, the installation's cloud. Raises ValueError."""
        found = self._clouds.get(name or self._default)
        if found is None:
            raise ValueError(f"unknown cloud {name!r}")
        return found

    def name_of(self, name: str) -> str:
        """Returns the name; for an empty one, the name of the installation's cloud."""
        return name or self._default

    def of_issuer(self, issuer: str) -> Cloud | None:
        """Returns the cloud that issues tokens with this issuer. None if it isn't Microsoft's."""
        return next((c for c in self._clouds.values() if issuer.startswith((f"{c.issuer}/", f"{c.sts}/"))), None)

    def directory_of(self, issuer: str) -> tuple[str, str] | None:
        """Returns the cloud and directory of an OpenID issuer that is a single Microsoft directory. None for other
        issuers, including issuers of many directories."""
        for name, cloud in self._clouds.items():
            for base in (cloud.issuer, cloud.sts):
                found = issuer.removeprefix(f"{base}/").partition("/")[0].lower()
                if issuer.startswith(f"{base}/") and _GUID.fullmatch(found):
                    return ("" if name == self.name_of("") else name), found
        return None

    def discovery_of(self, issuer: str) -> str | None:
        """Returns the discovery address of a v2.0 issuer, if it isn't below the issuer itself."""
        for cloud in self._clouds.values():
            if cloud.login != cloud.issuer and issuer.startswith(f"{cloud.issuer}/"):
                return f"{cloud.login}{issuer.removeprefix(cloud.issuer)}/.well-known/openid-configuration"
        return None


# :func:`check` has the same rule for tokens for Graph and for our own application. The caller verifies the token,
# either by calling Graph or by its signature. The rule follows Microsoft's advice on claims validation and RFC 8725:
# audience, issuer bound to the directory, application by ``azp`` or ``appid``, and user by ``oid`` and ``tid``, never
# by an email address.


MAX_LENGTH = 16 * 1024  # tokens with many groups are long
SKEW_S = 60
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


class MicrosoftRefused(Exception):
    """The token is rejected. The text is for the log."""


class Accepted(NamedTuple):
    """The values that a client's provider accepts. ``applications`` are client IDs of allowed apps, in lowercase.
    ``audiences`` are the ID and the App ID URI of our own application; empty if only tokens for Graph are accepted. A
    token for our own application must have one of ``scopes``."""

    directory: str
    cloud: Cloud
    applications: frozenset[str]
    audiences: frozenset[str]
    scopes: frozenset[str]
    graph_tokens: bool
    guests: bool


class Claims(NamedTuple):
    """The checked claims. Times are in seconds."""

    directory: str
    person: str  # oid
    application: str
    audience: str
    issuer: str
    version: str
    expires_at: float
    everything: Mapping[str, Any]


def read(token: str) -> dict[str, Any] | None:
    """Returns the unverified payload of a JWT; None for any other text.

    Decodes all three parts strictly, although only one is used. Graph can accept invalid base64url, so one token would
    have several texts.
    """
    if len(token) > MAX_LENGTH or not _COMPACT.match(token):
        return None
    try:
        header, claims, _ = (decode(part) for part in token.split("."))
        parse(header)
        payload = parse(claims)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def directory_of(payload: Mapping[str, Any]) -> str:
    """The directory (``tid``) that the payload names, in lowercase; empty if it isn't a directory ID."""
    tid = payload.get("tid")
    return tid.lower() if isinstance(tid, str) and GUID.match(tid.lower()) else ""


def application_of(payload: Mapping[str, Any]) -> str:
    """The application that requested the token: ``azp`` in v2.0 tokens, ``appid`` in v1.0 tokens. Empty if both are
    present and differ."""
    values = [payload[name] for name in ("azp", "appid") if name in payload]
    found = {value.lower() if isinstance(value, str) else "" for value in values}
    return found.pop() if len(found) == 1 else ""


def check(payload: Mapping[str, Any], accepted: Accepted, now_ms: int) -> Claims:
    """Returns the claims, checked against the provider's settings. Does not check ``exp``, which is checked after the
    token is verified. Raises MicrosoftRefused."""
    cloud, directory = accepted.cloud, accepted.directory
    if directory_of(payload) != directory or directory == CONSUMERS:
        raise MicrosoftRefused("tid: a different directory, or the directory of personal accounts")
    version = payload.get("ver")
    issuers = {"1.0": cloud.issuer_v1(directory), "2.0": cloud.issuer_v2(directory)}
    if version not in ("1.0", "2.0") or payload.get("iss") != issuers[version]:
        raise MicrosoftRefused("iss: doesn't match ver and tid")
    audience = payload.get("aud")
    if not isinstance(audience, str) or not _is_for_us(audience, accepted):
        raise MicrosoftRefused("aud: neither Graph nor this server's application")
    application = application_of(payload)
    if application not in accepted.applications:
        raise MicrosoftRefused("appid, azp: not on the provider's list")
    person = payload.get("oid")
    if not isinstance(person, str) or not GUID.match(person.lower()):
        raise MicrosoftRefused("oid: missing")
    _check_delegated(payload, accepted, is_graph=cloud.is_graph(audience))
    _check_guest(payload, accepted)
    expires_at = _check_times(payload, now_ms / 1000)
    return Claims(
        directory=directory,
        person=person.lower(),
        application=application,
        audience=audience,
        issuer=issuers[version],
        version=version,
        expires_at=expires_at,
        everything=payload,
    )


def _is_for_us(audience: str, accepted: Accepted) -> bool:
    return audience in accepted.audiences or (accepted.graph_tokens and accepted.cloud.is_graph(audience))


def _check_delegated(payload: Mapping[str, Any], accepted: Accepted, *, is_graph: bool) -> None:
    """Rejects tokens of an application itself, which have ``roles`` and no ``scp``. ``idtyp`` is optional, and is
    ``user`` in a user's token."""
    scopes = payload.get("scp")
    if payload.get("idtyp", "user") != "user" or not isinstance(scopes, str) or not scopes.split():
        raise MicrosoftRefused("scp: an app's own token, not a user's")
    if not is_graph and accepted.scopes and not accepted.scopes & set(scopes.split()):
        raise MicrosoftRefused("scp: none of the scopes that the provider requires")


def _check_guest(payload: Mapping[str, Any], accepted: Accepted) -> None:
    """Rejects guests unless they are allowed. ``acct`` is 1 for a guest and 0 for a member. ``idp`` names a guest's own
    identity provider. Both are optional, and any other value means a guest."""
    cloud, directory = accepted.cloud, accepted.directory
    at_home = payload.get("idp", "") in ("", cloud.issuer_v1(directory), cloud.issuer_v2(directory))
    if not (at_home and payload.get("acct", 0) in (0, "0")) and not accepted.guests:
        raise MicrosoftRefused("idp, acct: a guest")


def _check_times(payload: Mapping[str, Any], now: float) -> float:
    exp, nbf, iat = payload.get("exp"), payload.get("nbf", 0), payload.get("iat", 0)
    for name, value in (("exp", exp), ("nbf", nbf), ("iat", iat)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
            raise MicrosoftRefused(f"{name}: not a time")
    assert isinstance(exp, int | float)
    if nbf > now + SKEW_S or iat > now + SKEW_S:
        raise MicrosoftRefused("nbf, iat: not valid yet")
    return float(exp)


_PROFILE = "id,givenName,surname,mail,accountEnabled,userType"
_LONGEST_WAIT_S = 300
#: Exchanges a user's token for our application (RFC 7523, with Entra ID's extensions).
ON_BEHALF_OF = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "requested_token_use": "on_behalf_of"}


class Throttled(Unreachable):
    """The service asks the caller to wait this many ``seconds``."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NoMember(MicrosoftRefused):
    """Dataverse accepts the token, but its user isn't a member of the environment."""


class Profile(NamedTuple):
    """A user in Graph."""

    id: str
    first_name: str
    last_name: str
    email: str | None
    is_guest: bool = False
    is_disabled: bool = False


class Microsoft:
    """Calls Microsoft's APIs. Every method raises MicrosoftRefused, Unreachable, or Throttled. ``deadline`` names the
    client."""

    def __init__(self, outgoing: Outgoing, clock: Clock, clouds: Clouds) -> None:
        self._outgoing, self.clouds = outgoing, clouds
        self._keys = oidc.TtlCache(self._published, clock, outgoing.metrics, "directory_keys")

    async def verify(self, token: str, claims: Claims, cloud: Cloud, deadline: Deadline) -> None:
        """Checks that the directory signed a token for our own application.

        A key set can contain keys of other directories, and the set of `common` does. Each key names the issuer of the
        tokens that it signs, or a template with ``{tenantid}``, which must match the token's issuer.
        """
        version = "/v2.0" if claims.version == "2.0" else ""
        address = f"{cloud.login}/{claims.directory}/discovery{version}/keys"
        issuers = cloud.issuer_v2(claims.directory), cloud.issuer_v1(claims.directory)
        try:
            signed = oidc.read_token(token, ("RS256",))
            keys = await self._keys.get(address, deadline)
            try:
                oidc.verifying_key(signed, oidc.keys_of_issuer(keys, *issuers))
            except oidc.NoKey:
                newer = await self._keys.renew(address, keys, deadline)
                if newer is None:
                    raise
                oidc.verifying_key(signed, oidc.keys_of_issuer(newer, *issuers))
        except oidc.OidcRefused as error:
            raise MicrosoftRefused(error.reason.text) from error

    async def profile(self, token: str, cloud: Cloud, deadline: Deadline) -> Profile:
        """Calls Graph's ``/me`` with a token, because only Graph can verify a token for Graph."""
        body = _body(await self._ask(f"{cloud.graph}/v1.0/me?$select={_PROFILE}", token, deadline, "graph"), "graph")
        person, enabled, email = body.get("id"), body.get("accountEnabled"), body.get("mail")
        if not isinstance(person, str) or not isinstance(enabled, bool | None):
            raise Unreachable("graph: unexpected response")
        if not GUID.match(person.lower()):  # for example, for a personal account
            raise MicrosoftRefused("Graph returned no user of a directory")
        return Profile(
            id=person.lower(),
            first_name=_text(body, "givenName"),
            last_name=_text(body, "surname"),
            email=email if isinstance(email, str) else None,
            is_guest=body.get("userType") == "Guest",
            is_disabled=enabled is False,
        )

    async def on_behalf_of(
        self, token: str, directory: str, client_id: str, client_secret: str, cloud: Cloud, deadline: Deadline
    ) -> str:
        """Exchanges a token for our application for a token for Graph (OAuth 2.0 on-behalf-of, RFC 7523).

        ``directory`` is the GUID of the token's directory.
        """
        fields = {
            **ON_BEHALF_OF,
            "client_id": client_id,
            "client_secret": client_secret,
            "assertion": token,
            "scope": f"{cloud.graph}/User.Read",
        }
        address = f"{cloud.login}/{directory}/oauth2/v2.0/token"
        reply = await self._outgoing.post_form(address, fields, deadline=deadline, call="token")
        found = _body(reply, "on behalf of").get("access_token")
        if not isinstance(found, str):
            raise MicrosoftRefused("on behalf of: no access token")
        return found

    async def who_am_i(self, token: str, organization: str, cloud: Cloud, deadline: Deadline) -> tuple[str, str]:
        """Returns the IDs of the token's user in a Dataverse environment, and of its organization. Also raises
        NoMember."""
        reply = await self._ask(f"{cloud.api_address(organization)}/api/data/v9.2/WhoAmI", token, deadline, "dataverse")
        if reply.status == 403:
            raise NoMember(_refusal(reply, "dataverse"))
        body = _body(reply, "dataverse")
        found = [
            value.lower() if isinstance(value := body.get(name), str) else "" for name in ("UserId", "OrganizationId")
        ]
        if not all(GUID.match(value) for value in found):
            raise MicrosoftRefused("Dataverse returned no user")
        user_id, organization_id = found
        return user_id, organization_id

    async def _ask(self, address: str, token: str, deadline: Deadline, call: Any) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return await self._outgoing.get(address, headers=headers, deadline=deadline, call=call)

    async def _published(self, address: str, tenant_id: int) -> tuple[oidc.Key, ...]:
        return await oidc.fetch_keys(self._outgoing, address, self._outgoing.deadline(tenant_id))


def _body(reply: Reply, call: str) -> dict[str, Any]:
    """Returns the body of a successful response. Raises Throttled or Unreachable for a busy or broken service, and
    MicrosoftRefused otherwise."""
    if reply.status == 429 or reply.status == 503:
        raise Throttled(f"{call} returned {reply.status}", _wait(reply))
    if reply.status != 200 and not 400 <= reply.status < 500:
        raise Unreachable(f"{call} returned {reply.status}")
    if reply.status != 200:
        raise MicrosoftRefused(_refusal(reply, call))
    body = _json(reply)
    if not isinstance(body, dict):
        raise Unreachable(f"{call}: not a JSON object")
    return body


def _json(reply: Reply) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


def _wait(reply: Reply) -> int:
    text = reply.headers.get("retry-after", "")
    return min(max(int(text), 1), _LONGEST_WAIT_S) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _refusal(reply: Reply, call: str) -> str:
    """Returns a reason with the error code from the response of Graph, Dataverse, or the token endpoint."""
    body = _json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    code_text = code[:80] if isinstance(code, str) and code.isprintable() else "no code"
    return f"{call} returned {reply.status}: {code_text}"


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
