"""The calls to Microsoft: keys of a directory, Graph ``/me``, a token on behalf of the caller, Dataverse ``WhoAmI``."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth import oidc
from manifest_auth.clock import Clock
from manifest_auth.microsoft.clouds import Cloud, Clouds
from manifest_auth.microsoft.tokens import GUID, Claims, Refused
from manifest_auth.outgoing import Outgoing, Reply, Unreachable

_PROFILE = "id,givenName,surname,mail,accountEnabled,userType"
_LONGEST_WAIT_S = 300


class Throttled(Unreachable):
    """The service asks to wait, ``seconds``."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Profile(NamedTuple):
    """A person as Graph knows them."""

    id: str
    first_name: str
    last_name: str
    email: str | None
    is_guest: bool = False


class Organization(NamedTuple):
    """What Dataverse answers to ``WhoAmI``."""

    user_id: str
    organization_id: str


class Microsoft:
    """Every method raises Refused, Unreachable and Throttled; ``deadline`` is a time of the event loop."""

    def __init__(self, outgoing: Outgoing, clock: Clock, clouds: Clouds) -> None:
        self._outgoing, self.clouds = outgoing, clouds
        self._keys = oidc.Kept(self._published, clock)

    async def verify(self, token: str, claims: Claims, cloud: Cloud, deadline: float) -> None:
        """Whether the directory signed a token for our own application.

        A document of keys may hold those of other directories, and for `common` does: each key says whose tokens it
        signs, as an issuer or as a template with ``{tenantid}`` in it, and that must be the token's.
        """
        version = "/v2.0" if claims.version == "2.0" else ""
        address = f"{cloud.login}/{claims.directory}/discovery{version}/keys"
        try:
            signed = oidc.read_token(token, ("RS256",))
            keys = await self._keys.get(address, deadline)
            try:
                oidc.verifying_key(signed, _of_directory(keys, claims.directory, cloud))
            except oidc.NoKey:
                newer = await self._keys.renew(address, keys, deadline)
                if newer is None:
                    raise
                oidc.verifying_key(signed, _of_directory(newer, claims.directory, cloud))
        except oidc.Refused as error:
            raise Refused(error.reason) from error

    async def profile(self, token: str, cloud: Cloud, deadline: float) -> Profile:
        """Graph ``/me`` with a token: only Graph can tell whether a token for Graph is genuine."""
        address = f"{cloud.graph}/v1.0/me?$select={_PROFILE}"
        body = await self._ask(address, token, deadline, "graph")
        person = body.get("id")
        if not isinstance(person, str) or not GUID.match(person.lower()):
            raise Refused("Graph names no person")
        if body.get("accountEnabled") is False:
            raise Refused("Graph: the account is disabled")
        email = body.get("mail")
        return Profile(
            person.lower(),
            _text(body, "givenName"),
            _text(body, "surname"),
            email if isinstance(email, str) else None,
            body.get("userType") == "Guest",
        )

    async def on_behalf_of(
        self, token: str, directory: str, client_id: str, client_secret: str, cloud: Cloud, deadline: float
    ) -> str:
        """A token for Graph in exchange for one for our application (OAuth 2.0 on-behalf-of, RFC 7523)."""
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "client_id": client_id,
            "client_secret": client_secret,
            "assertion": token,
            "scope": f"{cloud.graph}/User.Read",
            "requested_token_use": "on_behalf_of",
        }
        address = f"{cloud.login}/{directory}/oauth2/v2.0/token"
        reply = await self._outgoing.post_form(address, fields, deadline=deadline, call="token")
        found = _body(reply, "on behalf of").get("access_token")
        if not isinstance(found, str):
            raise Refused("on behalf of: no access token")
        return found

    async def who_am_i(self, token: str, organization: str, cloud: Cloud, deadline: float) -> Organization:
        """Who a token is to a Dataverse environment."""
        address = f"{cloud.called_at(organization)}/api/data/v9.2/WhoAmI"
        body = await self._ask(address, token, deadline, "dataverse")
        found = [
            value.lower() if isinstance(value := body.get(name), str) else "" for name in ("UserId", "OrganizationId")
        ]
        if not all(GUID.match(value) for value in found):
            raise Refused("Dataverse names no user")
        return Organization(*found)

    async def _ask(self, address: str, token: str, deadline: float, call: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return _body(await self._outgoing.get(address, headers=headers, deadline=deadline, call=call), call)

    async def _published(self, address: str) -> tuple[oidc.Key, ...]:
        return await oidc.fetch_keys(self._outgoing, address)


def _of_directory(keys: tuple[oidc.Key, ...], directory: str, cloud: Cloud) -> tuple[oidc.Key, ...]:
    known = (None, cloud.issuer_v2(directory), cloud.issuer_v1(directory))
    return tuple(key for key in keys if (key.issuer and key.issuer.replace("{tenantid}", directory)) in known)


def _body(reply: Reply, call: str) -> dict[str, Any]:
    """The body of a good answer. A busy or broken service is not the caller's fault; anything else refuses."""
    if reply.status == 429 or reply.status == 503:
        raise Throttled(f"{call} answered {reply.status}", _wait(reply))
    if reply.status >= 500:
        raise Unreachable(f"{call} answered {reply.status}")
    try:
        body = reply.json()
    except ValueError:
        body = None
    if reply.status != 200:
        raise Refused(f"{call} answered {reply.status}: {_code(body)}")
    if not isinstance(body, dict):
        raise Unreachable(f"{call}: no JSON object")
    return body


def _wait(reply: Reply) -> int:
    text = reply.headers.get("retry-after", "")
    return min(max(int(text), 1), _LONGEST_WAIT_S) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _code(body: Any) -> str:
    """The error code of Graph's, Dataverse's or the token endpoint's error bodies."""
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    return code[:80] if isinstance(code, str) and code.isprintable() else "no code"


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return "".join(c for c in value if c.isprintable())[:100] if isinstance(value, str) else ""
