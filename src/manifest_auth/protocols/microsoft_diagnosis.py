"""``provider test`` for Microsoft: checks a directory, an application, an environment and Graph; findings as sentences.

No user signs in, so all requests are without a user's token, and Microsoft refuses them: the kind of refusal is the
finding. Changes nothing.
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
        return [Finding("bad", f"Microsoft's login service can't be reached: {error}.")]
    found = object_of(reply)
    if reply.status != 200:
        if found.get("error") == "invalid_tenant" or _number(found) == "AADSTS90002":
            text = (
                f"There is no such directory: {host} doesn't know the ID {name}. Check whether it "
                "belongs to another cloud."
            )
            return [Finding("bad", text)]
        return [Finding("bad", f"Microsoft's login service at {host} {_status_text(reply)}.")]
    issuer = found.get("issuer")
    if issuer != cloud.issuer_v2(name):
        text = f"The directory's issuer is {str(issuer)[:200]}, but in this cloud it must be {cloud.issuer_v2(name)}."
        return [Finding("bad", text)]
    findings = [Finding("ok", f"The directory is at {host}, and its issuer is correct for this cloud.")]
    try:
        keys = await oidc.fetch_keys(outgoing, str(found.get("jwks_uri")), outgoing.deadline(tenant_id))
    except Unreachable as error:
        return [*findings, Finding("bad", f"The directory's keys can't be read: {error}.")]
    usable = sum(key.fits("RS256") for key in oidc.keys_of_issuer(keys, cloud.issuer_v2(name)))
    if not usable:
        return [*findings, Finding("bad", "None of the published keys signs for this directory.")]
    return [*findings, Finding("ok", f"The directory publishes {usable} usable {'key' if usable == 1 else 'keys'}.")]


async def application(
    outgoing: Outgoing,
    cloud: Cloud,
    name: str,
    client_id: str,
    secret: str | None,
    grant: dict[str, str],
    tenant_id: int,
) -> Finding:
    """Checks that the directory knows our application and accepts its secret: it gets an invalid ``grant``, and reports
    the first error that it finds."""
    fields = {**grant, "client_id": client_id, **({"client_secret": secret} if secret else {})}
    try:
        address = f"{cloud.login}/{name}/oauth2/v2.0/token"
        reply = await outgoing.post_form(address, fields, deadline=outgoing.deadline(tenant_id), call="token")
    except Unreachable as error:
        return Finding("bad", f"The directory's token endpoint can't be reached: {error}.")
    found = object_of(reply)
    complaint, number = found.get("error"), _number(found)
    suffix = f" ({number})" if number else ""
    if complaint == "unauthorized_client":
        return Finding("bad", f"The directory doesn't know the application {client_id}{suffix}.")
    if complaint == "invalid_client" and secret:
        return Finding("bad", f"Microsoft rejects the client secret. It is incorrect or has expired{suffix}.")
    if complaint == "invalid_client":
        return Finding("bad", f"Microsoft requires a client secret, and none is set{suffix}. Set clientSecret.")
    if complaint not in ("invalid_grant", "invalid_request"):
        why = f"Microsoft {_status_text(reply)}"
        return Finding("unknown", f"The application and its secret couldn't be checked: {why}.")
    if not secret:
        text = "This works if the redirect URI is registered for mobile and desktop applications, not for the web."
        return Finding("unknown", f"There is no client secret. {text}")
    text = "Microsoft might check the secret only at a real sign-in, so test sign-in too."
    return Finding("unknown", f"Microsoft reports no problem with the application and its secret so far. {text}")


async def environment(outgoing: Outgoing, cloud: Cloud, organization: str, name: str, tenant_id: int) -> Finding:
    """Checks that the Dataverse environment exists, and accepts tokens of the directory."""
    try:
        address = f"{cloud.api_address(organization)}/api/data/v9.2/WhoAmI"
        reply = await outgoing.get(address, deadline=outgoing.deadline(tenant_id), call="dataverse")
    except Unreachable as error:
        return Finding("bad", f"The environment {organization} can't be reached: {error}.")
    if reply.status == 404:
        return Finding("bad", f"There is no environment at {organization}.")
    if reply.status != 401:
        return Finding("note", f"The environment {organization} {_status_text(reply)} instead of requesting a token.")
    named = _DIRECTORY.search(reply.headers.get("www-authenticate", ""))
    if named is None:
        return Finding("ok", f"The environment {organization} exists and requests a token.")
    if named[1].lower() != name:
        return Finding("bad", f"The environment {organization} belongs to a different directory: {named[1].lower()}.")
    return Finding("ok", f"The environment {organization} exists and belongs to this directory.")


async def graph(outgoing: Outgoing, cloud: Cloud, tenant_id: int) -> Finding:
    """Checks that Graph can be reached."""
    try:
        reply = await outgoing.get(f"{cloud.graph}/v1.0/me", deadline=outgoing.deadline(tenant_id), call="graph")
    except Unreachable as error:
        return Finding("bad", f"Microsoft Graph can't be reached: {error}.")
    if reply.status != 401:
        return Finding("note", f"Microsoft Graph at {cloud.graph} {_status_text(reply)} instead of requesting a token.")
    return Finding("ok", f"Microsoft Graph is at {cloud.graph} and requests a token.")


def _number(body: dict[str, Any]) -> str:
    """Microsoft's error number (AADSTS…)."""
    return oidc.with_number("", body.get("error_description")).strip()


def _status_text(reply: Reply) -> str:
    number = _number(object_of(reply))
    return f"returns status {reply.status}" + (f" ({number})" if number else "")
