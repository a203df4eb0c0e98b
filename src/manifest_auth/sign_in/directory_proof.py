"""Verifies that a Microsoft directory belongs to a client: one of its administrators signs in there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth import audit, providers, sessions, tenants
from manifest_auth.audit import Act
from manifest_auth.errors import Conflict, Marked, ProviderUnavailable, Reason, SsoFailed
from manifest_auth.permissions import Permission, permissions_of
from manifest_auth.protocols import microsoft, oidc
from manifest_auth.protocols.microsoft import Accepted, Cloud
from manifest_auth.protocols.oidc import Redeemed
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import StartedFlow
from manifest_auth.runtime.outgoing import Deadline
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import own_settings_of
from manifest_auth.sign_in.providers.microsoft import OID, OTHER_DIRECTORY
from manifest_auth.sign_in.providers.oidc import CallbackParams, authorization_of
from manifest_auth.sign_in.providers.provider_flow import return_address
from manifest_auth.sign_in.refusal_reasons import OTHER_BROWSER, STATE_TAKEN, STATE_UNKNOWN, STATE_USED
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import directory_proofs, sealed_for
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.tenants.claims import directories
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Wire

# A row is used once, and is bound to the browser and to the session that started it.

LIFE_S = 600
_DIRECTORY = Reason(
    "directory: …",
    cause="The verification of a directory was started in another browser or more than ten minutes ago, or "
    "something that it needs was removed",
    cure="Start the [verification](../domains.md#verify-a-directory) again",
)
_CLAIM_RELEASED = _DIRECTORY.also("the claim was released in the meantime")
_SESSION_ENDED = _DIRECTORY.also("the session that started the verification has ended")
_NO_MANAGER = _DIRECTORY.also("the user who started the verification no longer has settings:manage")
_OTHER_APPLICATION = _DIRECTORY.also("the application that started the verification no longer exists")
_USED = ""
_COOKIE = "directory"  # prefix of the cookie's name


class Flow(NamedTuple):
    """A stored flow. ``provider_id``: the provider that has the application in use, or None for the operator's
    application."""

    key: str
    tenant_id: int
    directory: str
    browser: str
    session_id: str
    provider_id: int | None
    secrets: bytes
    return_to: str

    @property
    def is_used(self) -> bool:
        return self.browser == _USED

    @property
    def cookie(self) -> str:
        return sign_in_flows.cookie_name(_COOKIE, self.key)

    def is_from(self, browser: str | None) -> bool:
        """Whether the browser sent back the cookie."""
        return sign_in_flows.is_hash_of(self.browser, browser)


_C = directory_proofs.c
_BY_KEY = cross_tenant(
    select(*(_C[name] for name in Flow._fields)).where(_C.key == bindparam("key"), _C.expires_at > bindparam("now")),
    Flow,
    because="Microsoft's response names the sign-in that it belongs to, which names the tenant",
)
_ADD = tenant_scoped(
    insert(directory_proofs).values(
        {name: bindparam(name) for name in (*Flow._fields, "expires_at") if name != "tenant_id"}
    )
)
_TAKE = tenant_scoped(
    update(directory_proofs).where(_C.key == bindparam("of_key"), _C.browser != _USED).values(browser=_USED)
)


def begin_flow(
    unit: TenantUnit, ctx: RequestContext, directory: str, provider_id: int | None, return_to: str
) -> StartedFlow:
    """Stores a flow for the caller's session, valid for ten minutes, and returns its secrets.

    ``directory`` is a GUID. ``provider_id`` None: the operator's application. ``return_to`` is a listed address.
    """
    begun = sign_in_flows.new_values(ctx.services.random, _COOKIE)
    unit.change(
        _ADD,
        key=begun.key,
        directory=directory,
        browser=sign_in_flows.hash_of(begun.browser),
        session_id=ctx.user.session_id,
        provider_id=provider_id,
        secrets=sign_in_flows.seal(ctx.services.sealer, begun, _row(begun.key)),
        return_to=return_to,
        expires_at=ctx.now + LIFE_S * 1000,
    )
    return begun


def _row(key: str) -> str:
    return sealed_for(_C.secrets, key=key)


# This is the code flow at the directory's own authority, as for any sign-in with Microsoft. The proof is the verified
# ID token and the roles in it. The redirect of Microsoft's admin consent page proves nothing, since anyone can call
# that address.

CALLBACK = "/api/client/auth/directory/callback"
_SCOPES = ("openid", "profile")
_RELEASED = Marked("The directory is no longer claimed")  # in English: only programs get it
_NO_APPLICATION = (
    "There is no application to sign in to. Save a provider of this directory with clientId and "
    "clientSecret, or ask the operator to set MANIFEST_MICROSOFT_APP_ID"
)


class ProveData(Wire, frozen=True):
    """``location``: the address to open in the browser. First show the client, and the directory whose administrator
    signs in."""

    location: str
    client: str
    client_name: str
    directory: str
    application: str


class _Application(NamedTuple):
    """This server's registration at the directory. ``provider`` is the provider that it belongs to, or None for the
    operator's."""

    client_id: str
    secret: str
    provider: Provider | None


def callback_of(ctx: RequestContext) -> str:
    """Returns the redirect URI to register for the application. All clients share it, since all use the same
    authorization server."""
    return ctx.services.settings.public_url.rstrip("/") + CALLBACK


async def begin(ctx: RequestContext, directory: str, return_to: str) -> tuple[ProveData, StartedFlow]:
    """Starts a proof for the caller, a user of the client. The flow holds the browser's cookie. Raises NotFound,
    Conflict, ValidationError, SsoFailed, ProviderUnavailable, ReauthenticationRequired."""
    step_up.check(ctx, Act.DOMAINS)

    def look(unit: SystemUnit) -> tuple[directories.Claim, Tenant, _Application]:
        bound = unit.of(ctx.user.tenant_id)
        claim, tenant = directories.get(bound, directory), tenants.get(unit, bound.tenant_id)
        return claim, tenant, _application(bound, ctx, directory)

    claim, tenant, application = await ctx.services.store.read(look)
    address = return_address(tenant, application.provider, return_to, roles=ctx.user.roles)
    registration = _registration(ctx, claim, application)
    try:
        deadline = ctx.services.outgoing.deadline(ctx.user.tenant_id)
        found = await ctx.services.oidc.discover(registration.issuer, deadline)
    except Unreachable as error:
        raise ProviderUnavailable(reason=f"discovery: {error}") from error
    except oidc.OidcRefused as error:
        raise SsoFailed(error.sentence, reason=error.reason) from error
    provider_id = application.provider.id if application.provider is not None else None
    begun = await ctx.store.write_quickly(lambda unit: begin_flow(unit, ctx, directory, provider_id, address))
    authorization = authorization_of(begun, callback_of(ctx), prompt="select_account")
    location = oidc.request_address(found, registration, authorization)
    return ProveData(location, tenant.identifier, tenant.name, directory, registration.client_id), begun


async def end(ctx: RequestContext, returned: CallbackParams, cookie_of: Callable[[str], str | None]) -> Flow:
    """Verifies the response and stores the proof. Raises SsoFailed, Conflict, ProviderUnavailable."""
    flow = await _open(ctx, returned.state, cookie_of)
    try:
        person, role = await _administrator(ctx, flow, returned)
        await ctx.services.store.write(lambda unit: _prove(unit, ctx, flow, person, role))
    except (SsoFailed, Conflict) as refusal:
        why = refusal.reason or refusal.message
        await ctx.services.store.of(flow.tenant_id).write(lambda unit: _record(unit, ctx, flow, why))
        raise
    return flow


async def _open(ctx: RequestContext, state: str, cookie_of: Callable[[str], str | None]) -> Flow:
    """Returns the flow that a response belongs to, marked as used. Nothing is marked before state and browser are
    verified."""
    key = sign_in_flows.hash_of(state)
    flow = await ctx.services.store.read(lambda unit: unit.first(_BY_KEY, key=key, now=ctx.now))
    if flow is None:
        raise SsoFailed(reason=_DIRECTORY.with_(STATE_UNKNOWN))
    if flow.is_used:
        raise SsoFailed(reason=_DIRECTORY.with_(STATE_USED), replay="oidc_state")
    if not flow.is_from(cookie_of(flow.cookie)):
        raise SsoFailed(reason=_DIRECTORY.with_(OTHER_BROWSER))
    if not await ctx.services.store.of(flow.tenant_id).write_quickly(lambda unit: unit.change(_TAKE, of_key=key)):
        raise SsoFailed(reason=_DIRECTORY.with_(STATE_TAKEN), replay="oidc_state")
    return flow


async def _administrator(ctx: RequestContext, flow: Flow, returned: CallbackParams) -> tuple[str, str]:
    """Returns the ``oid`` of the person who signed in, and the role with which that person administers the directory.
    Raises SsoFailed, ProviderUnavailable."""
    if returned.error or not returned.code:
        why = oidc.redirect_reason(returned.error, returned.description)
        raise SsoFailed(oidc.sentence_for(returned.error), reason=why)
    store = ctx.services.store.of(flow.tenant_id)
    claim, application = await store.read(
        lambda unit: (directories.find(unit, flow.directory), _same_application(unit, ctx, flow))
    )
    if claim is None:
        raise SsoFailed(_RELEASED, reason=_CLAIM_RELEASED)
    registration = _registration(ctx, claim, application)
    nonce, verifier = sign_in_flows.unseal(ctx.services.sealer, flow.secrets, _row(flow.key))
    if not oidc.Callback(callback_of(ctx), iss_required=False).matches(
        returned.callback_address, returned.iss, lambda: registration.issuer
    ):
        raise SsoFailed(reason=oidc.ELSEWHERE)
    answer = oidc.Answer(returned.code, verifier, nonce, callback_of(ctx))
    deadline = ctx.services.outgoing.deadline(flow.tenant_id)
    try:
        redeemed = await ctx.services.oidc.redeem_tokens(registration, answer, frozenset(), deadline)
        directory = microsoft.directory_of(redeemed.claims)
        if directory != claim.directory:
            raise SsoFailed(directories.OTHER_DIRECTORY, reason=OTHER_DIRECTORY.with_(directory or "missing"))
        person = redeemed.claims.get("oid")
        if not isinstance(person, str) or not microsoft.GUID.match(person.lower()):
            raise SsoFailed(oidc.SETUP_ERROR, reason=OID)
        wids = [redeemed.claims.get("wids")]
        if not isinstance(wids[0], list):
            wids = [await _wids_of_access_token(ctx, claim, registration, redeemed, deadline)]
    except Unreachable as error:
        raise ProviderUnavailable(reason=str(error)) from error
    except oidc.OidcRefused as error:
        raise SsoFailed(error.sentence, reason=error.reason) from error
    return person.lower(), directories.role_of(wids)


async def _wids_of_access_token(
    ctx: RequestContext,
    claim: directories.Claim,
    registration: oidc.Registration,
    redeemed: Redeemed,
    deadline: Deadline,
) -> Any:
    """Returns ``wids`` of the access token that came with the ID token, if that token is genuine, issued for this
    server's application, and for the same person. Raises Unreachable."""
    ours = registration.client_id
    cloud = _cloud(ctx, claim)
    accepted = Accepted(
        directory=claim.directory,
        cloud=cloud,
        applications=frozenset({ours}),
        audiences=frozenset({ours, f"api://{ours}"}),
        scopes=frozenset(),
        graph_tokens=False,
        guests=True,
    )
    try:
        checked = microsoft.check(microsoft.read(redeemed.access_token) or {}, accepted, ctx.now)
        await ctx.services.microsoft.verify(redeemed.access_token, checked, cloud, deadline)
    except microsoft.MicrosoftRefused:  # usually a token for another service
        return None
    is_theirs = checked.person == redeemed.claims["oid"].lower()
    return checked.everything.get("wids") if is_theirs and checked.expires_at * 1000 > ctx.now else None


def _prove(unit: SystemUnit, ctx: RequestContext, flow: Flow, person: str, role: str) -> None:
    session = sessions.read(unit, flow.session_id)
    if session is None or not session.is_alive(ctx.now) or session.tenant_id != flow.tenant_id:
        raise SsoFailed(_("You're no longer signed in"), reason=_SESSION_ENDED)
    if Permission.SETTINGS_MANAGE not in permissions_of(session.roles):
        raise SsoFailed(_("You no longer have permission to do this"), reason=_NO_MANAGER)
    bound = unit.of(flow.tenant_id)
    if directories.find(bound, flow.directory) is None:
        raise SsoFailed(_RELEASED, reason=_CLAIM_RELEASED)
    who = ctx.origin._replace(actor=f"user:{session.user_id}")
    directories.prove(bound, who, flow.directory, person=person, role=role)


def _record(unit: TenantUnit, ctx: RequestContext, flow: Flow, why: str) -> None:
    subject = f"directory:{flow.directory}"
    event, limits = audit.Event.SIGN_IN_REFUSED, ctx.services.anonymous_limits
    limits.record(unit, ctx, event, subject, method="directory", why=why[:500])


def _application(unit: TenantUnit, ctx: RequestContext, directory: str) -> _Application:
    """Returns the operator's application, or else that of a provider of the directory that has a secret. Raises
    Conflict."""
    if ours := _operators(ctx):
        return ours
    for provider in providers.list_all(unit):
        if (found := _of_provider(ctx, provider, directory)) is not None:
            return found
    raise Conflict(_NO_APPLICATION)


def _same_application(unit: TenantUnit, ctx: RequestContext, flow: Flow) -> _Application:
    """Returns the application that the flow started with. Raises SsoFailed."""
    provider = providers.find_by_id(unit, flow.provider_id) if flow.provider_id is not None else None
    found = _of_provider(ctx, provider, flow.directory) if provider is not None else _operators(ctx)
    if found is None or (found.provider is None) != (flow.provider_id is None):
        raise SsoFailed(reason=_OTHER_APPLICATION)
    return found


def _operators(ctx: RequestContext) -> _Application | None:
    settings = ctx.services.settings
    if settings.microsoft_app_id and settings.microsoft_app_secret is not None:
        return _Application(settings.microsoft_app_id, settings.microsoft_app_secret.reveal(), None)
    return None


def _of_provider(ctx: RequestContext, provider: Provider, directory: str) -> _Application | None:
    named = own_settings_of(provider).microsoft_directory(ctx.services.microsoft.clouds)
    if named is None or named.id != directory or provider.disabled_at is not None:
        return None
    secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
    return _Application(named.application, secret, provider) if named.application and secret else None


def _registration(ctx: RequestContext, claim: directories.Claim, application: _Application) -> oidc.Registration:
    issuer = _cloud(ctx, claim).issuer_v2(claim.directory)
    return oidc.Registration(issuer, application.client_id, application.secret, _SCOPES, "post")


def _cloud(ctx: RequestContext, claim: directories.Claim) -> Cloud:
    try:
        return ctx.services.microsoft.clouds.get(claim.cloud)
    except ValueError as error:
        raise SsoFailed(reason=_DIRECTORY.with_(error)) from error
