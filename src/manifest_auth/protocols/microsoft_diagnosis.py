"""``provider test`` for Microsoft: checks a directory, an application, an environment, and Graph.

Findings are sentences. No user signs in, so all requests lack a user's token, and Microsoft rejects them. The kind of
error determines the finding. Changes nothing.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import ON_BEHALF_OF, Cloud
from manifest_auth.protocols.oidc import Finding
from manifest_auth.protocols.oidc.messages import object_of
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Reply, Unreachable
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

_DIRECTORY = re.compile(r"authorization_uri=\"?https://[^/,\s\"]+/([0-9a-fA-F-]{36})/")
#: Invalid grants: a code, and a token to exchange.
CODE = {"grant_type": "authorization_code", "code": "a-code-that-was-never-given", "code_verifier": "0123456789-" * 4}
TOKEN = {**ON_BEHALF_OF, "assertion": "e30.e30.e30"}


async def directory(outgoing: Outgoing, cloud: Cloud, name: str, tenant_id: int) -> list[Finding]:
    """Checks that the directory exists in this cloud, and that its keys can be read."""
    host = urlsplit(cloud.login).netloc
    try:
        address = f"{cloud.login}/{name}/v2.0/.well-known/openid-configuration"
        reply = await outgoing.get(address, deadline=outgoing.deadline(tenant_id), call="discovery")
    except Unreachable as error:
        return [Finding("bad", _("Microsoft's login service can't be reached: %(error)s.", error=error.args[0]))]
    found = object_of(reply)
    if reply.status != 200:
        if found.get("error") == "invalid_tenant" or _number(found) == "AADSTS90002":
            text = _(
                "There is no such directory: %(host)s doesn't know the ID %(name)s. Check whether it belongs to "
                "another cloud.",
                host=host,
                name=name,
            )
            return [Finding("bad", text)]
        text = _("Microsoft's login service at %(host)s returns status %(status)s.", host=host, status=_status(reply))
        return [Finding("bad", text)]
    issuer = found.get("issuer")
    if issuer != cloud.issuer_v2(name):
        text = _(
            "The directory's issuer is %(named)s, but in this cloud it must be %(expected)s.",
            named=str(issuer)[:200],
            expected=cloud.issuer_v2(name),
        )
        return [Finding("bad", text)]
    text = _("The directory is at %(host)s, and its issuer is correct for this cloud.", host=host)
    findings = [Finding("ok", text)]
    try:
        keys = await oidc.fetch_keys(outgoing, str(found.get("jwks_uri")), outgoing.deadline(tenant_id))
    except Unreachable as error:
        text = _("The directory's keys can't be read: %(error)s.", error=error.args[0])
        return [*findings, Finding("bad", text)]
    usable = sum(key.fits("RS256") for key in oidc.keys_of_issuer(keys, cloud.issuer_v2(name)))
    if not usable:
        return [*findings, Finding("bad", _("None of the published keys can sign tokens for this directory."))]
    text = several(
        "The directory publishes %(number)d usable key.", "The directory publishes %(number)d usable keys.", usable
    )
    return [*findings, Finding("ok", text)]


async def application(
    outgoing: Outgoing,
    cloud: Cloud,
    name: str,
    client_id: str,
    secret: str | None,
    grant: dict[str, str],
    tenant_id: int,
) -> Finding:
    """Checks that the directory knows our application and accepts its secret. Sends an invalid ``grant``, and
    interprets the first error that the directory reports."""
    fields = {**grant, "client_id": client_id, **({"client_secret": secret} if secret else {})}
    try:
        address = f"{cloud.login}/{name}/oauth2/v2.0/token"
        reply = await outgoing.post_form(address, fields, deadline=outgoing.deadline(tenant_id), call="token")
    except Unreachable as error:
        return Finding("bad", _("The directory's token endpoint can't be reached: %(error)s.", error=error.args[0]))
    found = object_of(reply)
    complaint, number = found.get("error"), _number(found)
    suffix = f" ({number})" if number else ""
    if complaint == "unauthorized_client":
        text = _("The directory doesn't know the application %(name)s%(number)s.", name=client_id, number=suffix)
        return Finding("bad", text)
    if complaint == "invalid_client" and secret:
        text = _("Microsoft rejects the client secret. It is incorrect or has expired%(number)s.", number=suffix)
        return Finding("bad", text)
    if complaint == "invalid_client":
        text = _("Microsoft requires a client secret, and none is set%(number)s. Set clientSecret.", number=suffix)
        return Finding("bad", text)
    if complaint not in ("invalid_grant", "invalid_request"):
        text = _(
            "The application and its secret couldn't be checked: Microsoft returns status %(status)s.",
            status=_status(reply),
        )
        return Finding("unknown", text)
    if not secret:
        text = _("There is no client secret. Register the redirect URI for mobile and desktop applications, not web.")
        return Finding("unknown", text)
    text = _(
        "Microsoft reports no problem with the application and its secret so far. Microsoft might check the "
        "secret only at a real sign-in, so test sign-in too."
    )
    return Finding("unknown", text)


async def environment(outgoing: Outgoing, cloud: Cloud, organization: str, name: str, tenant_id: int) -> Finding:
    """Checks that the Dataverse environment exists and accepts tokens of the directory."""
    try:
        address = f"{cloud.api_address(organization)}/api/data/v9.2/WhoAmI"
        reply = await outgoing.get(address, deadline=outgoing.deadline(tenant_id), call="dataverse")
    except Unreachable as error:
        text = _("The environment %(address)s can't be reached: %(error)s.", address=organization, error=error.args[0])
        return Finding("bad", text)
    if reply.status == 404:
        return Finding("bad", _("There is no environment at %(address)s.", address=organization))
    if reply.status != 401:
        text = _(
            "The environment %(address)s returns status %(status)s instead of requesting a token.",
            address=organization,
            status=_status(reply),
        )
        return Finding("note", text)
    named = _DIRECTORY.search(reply.headers.get("www-authenticate", ""))
    if named is None:
        return Finding("ok", _("The environment %(address)s exists and requests a token.", address=organization))
    if named[1].lower() != name:
        text = _(
            "The environment %(address)s belongs to a different directory: %(name)s.",
            address=organization,
            name=named[1].lower(),
        )
        return Finding("bad", text)
    return Finding("ok", _("The environment %(address)s exists and belongs to this directory.", address=organization))


async def graph(outgoing: Outgoing, cloud: Cloud, tenant_id: int) -> Finding:
    """Checks that Graph can be reached."""
    try:
        reply = await outgoing.get(f"{cloud.graph}/v1.0/me", deadline=outgoing.deadline(tenant_id), call="graph")
    except Unreachable as error:
        return Finding("bad", _("Microsoft Graph can't be reached: %(error)s.", error=error.args[0]))
    if reply.status != 401:
        text = _(
            "Microsoft Graph at %(address)s returns status %(status)s instead of requesting a token.",
            address=cloud.graph,
            status=_status(reply),
        )
        return Finding("note", text)
    return Finding("ok", _("Microsoft Graph is at %(address)s and requests a token.", address=cloud.graph))


def _number(body: dict[str, Any]) -> str:
    """Microsoft's error number (AADSTS…)."""
    return oidc.with_number("", body.get("error_description")).strip()


def _status(reply: Reply) -> str:
    number = _number(object_of(reply))
    return f"{reply.status} ({number})" if number else str(reply.status)
