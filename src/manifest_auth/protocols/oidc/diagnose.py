"""``provider test`` for OpenID Connect: checks a provider and this server's registration there, in sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, NamedTuple

from manifest_auth.protocols.oidc import discovery, messages
from manifest_auth.protocols.oidc.messages import (
    ABOUT_CODE,
    Answer,
    Authorization,
    CallbackAddresses,
    Discovered,
    Registration,
    TokenEndpoint,
    description_of,
    error_of,
    is_about_client,
    with_number,
)
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Reply, Unreachable
from manifest_auth.text import base64url
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

# The registration is checked without a user, with requests that the provider must reject. The kind of error determines
# the finding.


#: An invalid code, with a verifier of the length required by RFC 7636, section 4.1.
_BOGUS = ("a-code-that-was-never-given", "0123456789-0123456789-0123456789-0123456789")
_NO_APPLICATION = "AADSTS700016"
_TELLS_NOTHING = frozenset({401, 404, 405, 407, 408, 429})  # statuses that reveal nothing about the address


class Finding(NamedTuple):
    """A finding. ``ok`` is correct, ``note`` is worth knowing, and ``bad`` means that users can't sign in. ``unknown``
    means that a test can't tell. ``about`` names the provider settings that fix it."""

    level: Literal["ok", "note", "unknown", "bad"]
    text: str
    about: Literal["settings", "rules"] = "settings"


#: The state of a callback address, with the reason if it is unknown.
CallbackState = tuple[Literal["registered", "not registered", "unknown"], str]


async def callback_state(
    outgoing: Outgoing,
    random: Random,
    found: Discovered,
    registration: Registration,
    redirect_uri: str,
    deadline: Deadline,
) -> CallbackState:
    """Returns whether the callback address is registered. A provider responds to an authorization request without a
    page (``prompt=none``, OpenID Connect Core, section 3.1.2.1) only at a registered address. Raises no errors."""
    challenge = base64url.encode(hashlib.sha256(random.bytes(32)).digest())
    asked = Authorization(random.text(), random.text(), challenge, redirect_uri, prompt="none")
    try:
        reply = await outgoing.get_with_redirects(
            messages.request_address(found, registration, asked), deadline=deadline
        )
    except Unreachable as error:
        return "unknown", error.args[0]
    location = reply.headers.get("location", "")
    if 300 <= reply.status < 400:
        if location.partition("?")[0].partition("#")[0] == redirect_uri:
            return "registered", ""
        return "unknown", _("the provider redirects the browser somewhere else first")
    if 400 <= reply.status < 500 and reply.status not in _TELLS_NOTHING:
        return "not registered", ""
    return "unknown", _("the provider returns status %(status)s", status=reply.status)


async def client_finding(
    outgoing: Outgoing,
    random: Random,
    found: Discovered,
    registration: Registration,
    redirect_uri: str,
    deadline: Deadline,
) -> Finding:
    """Returns whether the client ID and secret are correct. Most providers check the client before the code. A provider
    that reports an invalid code even for a made-up client doesn't check the client first. Raises no errors."""
    tokens, answer = TokenEndpoint(outgoing), Answer(*_BOGUS, nonce="", redirect_uri=redirect_uri)
    try:
        reply = await tokens.ask(found, registration, answer, deadline)
    except Unreachable as error:
        return Finding("bad", _("The token endpoint can't be used: %(error)s.", error=error.args[0]))
    complaint = error_of(reply)
    if is_about_client(reply):
        return Finding("bad", _("The client ID or the client secret is incorrect."))
    if with_number("", description_of(reply)).strip() == _NO_APPLICATION:  # with a code that has another meaning
        text = _(
            "Microsoft Entra ID doesn't know an application with this client ID (%(number)s).", number=_NO_APPLICATION
        )
        return Finding("bad", text)
    if complaint == "unauthorized_client":
        return Finding("bad", _("The provider doesn't allow this client to use the authorization code flow."))
    if complaint not in ABOUT_CODE:
        status = f"{reply.status} {complaint[:80]!r}" if complaint else reply.status
        return _not_told(_("it returned %(status)s", status=status))
    made_up = _made_up(registration, random)._replace(authentication=tokens.method(found, registration))
    try:
        told_to_anyone = _same(reply, await TokenEndpoint(outgoing).ask(found, made_up, answer, deadline))
    except Unreachable as error:
        return _not_told(error.args[0])
    if told_to_anyone and registration.client_secret:
        return _not_told(_("the provider responds in the same way to a made-up client secret"))
    if told_to_anyone:
        return _not_told(_("the provider responds in the same way to a made-up client ID"))
    return Finding("ok", _("The provider knows this client and accepts its authentication."))


def _not_told(why: str) -> Finding:
    return Finding("unknown", _("The client ID and secret couldn't be checked: %(why)s.", why=why))


def _made_up(registration: Registration, random: Random) -> Registration:
    if registration.client_secret:
        return registration._replace(client_secret=random.text(24))
    return registration._replace(client_id=random.text())


def _same(one: Reply, other: Reply) -> bool:
    return (one.status, error_of(one)) == (other.status, error_of(other))


#: The directory in issuers of Entra ID. If it is copied incorrectly, the issuer is invalid.
_DIRECTORY = re.compile(r"/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/v2\.0\Z", re.IGNORECASE)


async def examine(
    outgoing: Outgoing,
    random: Random,
    registration: Registration,
    addresses: CallbackAddresses,
    address: str,
    tenant_id: int,
    *,
    is_quiet: bool,
) -> AsyncIterator[Finding]:
    """Fetches everything again, tries to redeem an invalid code, and requests a sign-in without a page. ``address`` is
    the address of the issuer's discovery document. Each step has the whole time budget of a sign-in. Raises only errors
    of ``outgoing``."""
    if addresses.shared is None:
        yield _address(addresses.own, addresses)
    try:
        outgoing.check(address)
        document = await discovery.fetch_document(outgoing, address, outgoing.deadline(tenant_id))
    except ValueError as error:
        yield Finding("bad", _("The issuer %(issuer)s %(error)s.", issuer=registration.issuer, error=error.args[0]))
        for finding in _unconfirmed_address(addresses):
            yield finding
        return
    except Unreachable as error:
        hint = (
            _("Check the issuer, including the directory (tenant) ID.")
            if _DIRECTORY.search(registration.issuer)
            else _("Check the issuer.")
        )
        text = _(
            "The provider's metadata can't be fetched: %(error)s. %(hint)s It is the part of the URL before "
            "/.well-known/openid-configuration.",
            error=error.args[0],
            hint=hint,
        )
        yield Finding("bad", text)
        for finding in _unconfirmed_address(addresses):
            yield finding
        return
    yield Finding("ok", _("The provider's metadata is at %(address)s.", address=address))
    for finding in (*_issuer(registration.issuer, document), *_abilities(registration, document)):
        yield finding
    faults = discovery.bad_endpoints(outgoing, document)
    for fault in faults:
        yield Finding("bad", _("In the provider's metadata, %(fault)s.", fault=fault))
    if faults:
        for finding in _unconfirmed_address(addresses):
            yield finding
        return
    found = discovery.read_document(outgoing, registration.issuer, {**document, "issuer": registration.issuer})
    redirect_uri = addresses.chosen(found).redirect_uri
    yield await _keys(outgoing, found, outgoing.deadline(tenant_id))
    if is_quiet:  # invalid codes and secrets that are sent every day would look like an attack
        return
    yield await client_finding(outgoing, random, found, registration, redirect_uri, outgoing.deadline(tenant_id))
    for finding in _callback(addresses, found):
        yield finding
    yield await _registered(outgoing, random, found, registration, redirect_uri, outgoing.deadline(tenant_id))


def _issuer(configured: str, document: dict[str, Any]) -> Iterator[Finding]:
    named = document.get("issuer")
    if named == configured:
        yield Finding("ok", _("The issuer in the provider's metadata matches the settings."))
    elif isinstance(named, str) and named.rstrip("/") == configured.rstrip("/"):
        text = _(
            "The issuer is %(named)s, but %(configured)s is configured. They differ only in the slash at the end.",
            named=named[:200],
            configured=configured,
        )
        yield Finding("bad", text)
    else:
        text = _(
            "The issuer in the provider's metadata is %(named)s, but %(configured)s is configured.",
            named=str(named)[:200],
            configured=configured,
        )
        yield Finding("bad", text)


def _abilities(registration: Registration, document: dict[str, Any]) -> Iterator[Finding]:
    """Checks the announced flow, PKCE, algorithms, and scopes. A missing list announces nothing."""
    flows = discovery.texts(document, "response_types_supported")
    if flows and "code" not in flows:
        yield Finding("bad", _("The provider doesn't offer the authorization code flow (response type code)."))
    if "S256" in discovery.texts(document, "code_challenge_methods_supported"):
        yield Finding("ok", _("The provider supports PKCE with S256."))
    else:
        yield Finding(
            "note",
            _(
                "The provider's metadata doesn't list PKCE (S256). The server sends it anyway, and the provider "
                "might ignore it."
            ),
        )
    announced = discovery.texts(document, "id_token_signing_alg_values_supported")
    usable = discovery.usable_algorithms(document)
    if announced and not set(usable) & set(announced):
        names = ", ".join(announced)[:200]
        yield Finding("bad", _("The provider signs only with %(names)s, and none of these is accepted.", names=names))
    else:
        yield Finding("ok", _("Signatures are accepted with %(names)s.", names=", ".join(usable)))
    offered = discovery.texts(document, "scopes_supported")
    if missing := [scope for scope in registration.scopes if offered and scope not in offered]:
        yield Finding(
            "note", _("The provider's metadata doesn't list these scopes: %(scopes)s.", scopes=", ".join(missing))
        )


async def _keys(outgoing: Outgoing, found: Discovered, deadline: Deadline) -> Finding:
    try:
        published = await discovery.fetch_keys(outgoing, found.jwks_uri, deadline)
    except Unreachable as error:
        return Finding("bad", _("The provider's keys can't be read: %(error)s.", error=error.args[0]))
    usable = sum(any(key.fits(name) for name in found.algorithms) for key in published)
    if not usable:
        text = _("None of the keys at %(address)s can verify an accepted signature.", address=found.jwks_uri)
        return Finding("bad", text)
    text = several(
        "The provider publishes %(number)d usable key.", "The provider publishes %(number)d usable keys.", usable
    )
    return Finding("ok", text)


def _unconfirmed_address(addresses: CallbackAddresses) -> Iterator[Finding]:
    """Yields the callback address to register while the provider's description isn't available."""
    if addresses.shared is not None:
        text = _(
            "Register the redirect URI %(shared)s, which is shared, if the provider announces iss (RFC 9207); "
            "otherwise %(own)s, which belongs only to this provider.",
            shared=addresses.shared,
            own=addresses.own,
        )
        yield Finding("note", text)


def _address(chosen: str, addresses: CallbackAddresses) -> Finding:
    if chosen == addresses.own:
        return Finding(
            "ok", _("Register the redirect URI %(address)s, which belongs only to this provider.", address=chosen)
        )
    return Finding("ok", _("Register the redirect URI %(address)s, which is shared.", address=chosen))


def _callback(addresses: CallbackAddresses, found: Discovered) -> Iterator[Finding]:
    if addresses.shared is not None:
        yield _address(addresses.chosen(found).redirect_uri, addresses)
    if found.returns_iss:
        yield Finding("ok", _("The provider announces iss (RFC 9207), so every response must name its issuer."))
    elif addresses.shared is not None:
        text = _(
            "The provider doesn't announce iss (RFC 9207): sharedCallback has no effect, and the provider's own "
            "redirect URI must be registered there."
        )
        yield Finding("note", text)
    else:
        yield Finding(
            "ok", _("The provider doesn't announce iss (RFC 9207). Its own redirect URI tells its responses apart.")
        )


async def _registered(
    outgoing: Outgoing,
    random: Random,
    found: Discovered,
    registration: Registration,
    redirect_uri: str,
    deadline: Deadline,
) -> Finding:
    state, why = await callback_state(outgoing, random, found, registration, redirect_uri, deadline)
    if state == "registered":
        return Finding("ok", _("The redirect URI is registered at the provider."))
    if state == "not registered":
        text = _("The redirect URI isn't registered, so the provider shows an error page.")
        return Finding("bad", text)
    return Finding("unknown", _("The registration of the redirect URI couldn't be checked: %(why)s.", why=why))
