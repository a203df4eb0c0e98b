"""Calls to Microsoft: keys of a directory, Graph ``/me``, on-behalf-of tokens, Dataverse ``WhoAmI``."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft.clouds import Cloud, Clouds
from manifest_auth.protocols.microsoft.tokens import GUID, Claims, MicrosoftRefused
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Reply, Unreachable

_PROFILE = "id,givenName,surname,mail,accountEnabled,userType"
_LONGEST_WAIT_S = 300
#: Exchanges a user's token for our application (RFC 7523, as Entra ID extends it).
ON_BEHALF_OF = {
    "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "requested_token_use": "on_behalf_of",
}


class Throttled(Unreachable):
    """The service asks the caller to wait ``seconds``."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NoMember(MicrosoftRefused):
    """Dataverse accepts the token, but its user is not a member of the environment."""


class Profile(NamedTuple):
    """A user in Graph."""

    id: str
    first_name: str
    last_name: str
    email: str | None
    is_guest: bool = False
    is_disabled: bool = False


class Organization(NamedTuple):
    """Dataverse's answer to ``WhoAmI``."""

    user_id: str
    organization_id: str


class Microsoft:
    """Every method raises Refused, Unreachable and Throttled; ``deadline`` names the client."""

    def __init__(self, outgoing: Outgoing, clock: Clock, clouds: Clouds) -> None:
        self._outgoing, self.clouds = outgoing, clouds
        self._keys = oidc.TtlCache(self._published, clock, outgoing.metrics, "directory_keys")

    async def verify(self, token: str, claims: Claims, cloud: Cloud, deadline: Deadline) -> None:
        """Checks that the directory signed a token for our own application.

        A key set may contain keys of other directories, and the one of `common` does: each key names the issuer whose
        tokens it signs, or a template with ``{tenantid}``, and that must match the token's.
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
        """Graph ``/me`` with a token: only Graph can verify a token for Graph."""
        address = f"{cloud.graph}/v1.0/me?$select={_PROFILE}"
        body = _body(await self._ask(address, token, deadline, "graph"), "graph")
        person, enabled, email = body.get("id"), body.get("accountEnabled"), body.get("mail")
        if not isinstance(person, str) or not isinstance(enabled, bool | None):
            raise Unreachable("graph: not what Graph answers")
        if not GUID.match(person.lower()):  # of a personal account, for instance
            raise MicrosoftRefused("Graph names no person of a directory")
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

        ``directory``: GUID of the token's directory.
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

    async def who_am_i(self, token: str, organization: str, cloud: Cloud, deadline: Deadline) -> Organization:
        """The user of a token in a Dataverse environment. Raises NoMember too."""
        address = f"{cloud.api_address(organization)}/api/data/v9.2/WhoAmI"
        reply = await self._ask(address, token, deadline, "dataverse")
        if reply.status == 403:
            raise NoMember(_refusal(reply, "dataverse"))
        body = _body(reply, "dataverse")
        found = [
            value.lower() if isinstance(value := body.get(name), str) else "" for name in ("UserId", "OrganizationId")
        ]
        if not all(GUID.match(value) for value in found):
            raise MicrosoftRefused("Dataverse names no user")
        return Organization(*found)

    async def _ask(self, address: str, token: str, deadline: Deadline, call: Any) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return await self._outgoing.get(address, headers=headers, deadline=deadline, call=call)

    async def _published(self, address: str, tenant_id: int) -> tuple[oidc.Key, ...]:
        return await oidc.fetch_keys(self._outgoing, address, self._outgoing.deadline(tenant_id))


def _body(reply: Reply, call: str) -> dict[str, Any]:
    """The body of a successful answer. Raises Throttled and Unreachable for a busy or broken service; Refused for
    others."""
    if reply.status == 429 or reply.status == 503:
        raise Throttled(f"{call} answered {reply.status}", _wait(reply))
    if reply.status != 200 and not 400 <= reply.status < 500:
        raise Unreachable(f"{call} answered {reply.status}")
    if reply.status != 200:
        raise MicrosoftRefused(_refusal(reply, call))
    body = _json(reply)
    if not isinstance(body, dict):
        raise Unreachable(f"{call}: no JSON object")
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
    """A reason with the error code of Graph's, Dataverse's or the token endpoint's answer."""
    body = _json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    code_text = code[:80] if isinstance(code, str) and code.isprintable() else "no code"
    return f"{call} answered {reply.status}: {code_text}"


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
