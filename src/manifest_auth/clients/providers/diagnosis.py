"""Tests a provider, and reports the findings and the results of its latest sign-ins and tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

import orjson

from manifest_auth import accounts, audit, providers, tenants
from manifest_auth.audit import Event, EventFilter
from manifest_auth.audit.chains import Link
from manifest_auth.errors import Conflict, ProviderUnavailable, SsoFailed, ValidationError
from manifest_auth.protocols.oidc import CallbackAddresses, Finding, Registration
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import TRY, FlowRequest
from manifest_auth.runtime.outgoing import LimitedOutgoing, NoPublicAddress, Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import provider_proofs
from manifest_auth.sign_in.providers.kind import SignInStart
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice
from manifest_auth.sign_in.providers.provider_proofs import Tried
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import check_web_address
from manifest_auth.text.languages import marked as _


async def diagnose(
    ctx: RequestContext, client: str, provider: Provider, *, by_admin: bool, is_quiet: bool = False
) -> AsyncIterator[Finding]:
    """Yields the findings one by one. Changes nothing. ``client`` is the identifier of the provider's client.
    ``by_admin`` means that the caller ranks as an Admin. For other callers, only public addresses are called, because a
    test must not scan the operator's network. ``is_quiet`` has the same meaning as in :meth:`.kind.Kind.diagnose`."""
    try:
        async with outgoing_for(ctx, by_admin=by_admin) as outgoing:
            async for found in _diagnose(ctx, client, provider, outgoing, is_quiet):
                yield found
    except NoPublicAddress as error:
        text = _("%(host)s. Only an Admin can test a server that isn't on the public internet.", host=error.args[0])
        yield Finding("unknown", text)


def verdict(findings: Sequence[Finding]) -> bool | None:
    """Whether people can sign in, according to the findings of a test; None if a test can't tell."""
    levels = {finding.level for finding in findings}
    return False if "bad" in levels else None if "unknown" in levels else True


@contextlib.asynccontextmanager
async def outgoing_for(ctx: RequestContext, *, by_admin: bool) -> AsyncIterator[Outgoing]:
    """Opens the calls on behalf of the person who sets up a provider. They raise NoPublicAddress for an address that
    only an Admin can call."""
    services = ctx.services
    outgoing = services.outgoing if by_admin else LimitedOutgoing(services.settings, services.outgoing)
    try:
        yield outgoing
    finally:
        if outgoing is not services.outgoing:
            await outgoing.close()


async def _diagnose(
    ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing, is_quiet: bool
) -> AsyncIterator[Finding]:
    if provider.disabled_at is not None:
        yield Finding("note", _("The provider is turned off here"))
    if not provider.reaches_admins:
        yield Finding("note", _("A User Admin changed it last. It doesn't sign in Admins until an Admin saves it"))
    async for found in KINDS[provider.kind].diagnose(ctx, client, provider, outgoing, is_quiet=is_quiet):
        yield found
    rules = provider.rules
    if rules.second_factor == "claims" and not (rules.amr or rules.acr):
        text = _("No claim is accepted as a second factor: amr and acr are empty, so this server always asks for one")
        yield Finding("note", text, "rules")
    if not rules.group_roles and not rules.default_roles and rules.create_users:
        text = _("It creates users but grants no roles. Grant roles by group, or to everyone")
        yield Finding("bad", text, "rules")


ISSUER: Final = "oidc.issuer"


async def check_issuer(ctx: RequestContext, issuer: str, *, by_admin: bool) -> None:
    """Fetches what an OpenID provider publishes. ``by_admin`` has the same meaning as in :func:`diagnose`. An address
    that only an Admin can test isn't checked. Raises ValidationError that names :data:`ISSUER`."""
    asked, addresses = Registration(issuer, "", None), CallbackAddresses("")
    with contextlib.suppress(NoPublicAddress):
        async with outgoing_for(ctx, by_admin=by_admin) as outgoing:
            random, tenant_id = ctx.services.random, ctx.user.tenant_id
            async for one in ctx.services.oidc.examine(asked, addresses, random, tenant_id, outgoing, is_quiet=True):
                if one.level == "bad":
                    raise ValidationError(details=[(ISSUER, one.text)])


MEMBER: Final = "saml.metadataUrl"
LONGEST: Final = 512 * 1024


async def fetch(ctx: RequestContext, address: str, *, by_admin: bool) -> str:
    """Returns the document as text. Its signature isn't verified, and nothing is stored. ``by_admin`` has the same
    meaning as in :func:`.diagnose`. Raises ValidationError that names :data:`MEMBER`."""
    check_web_address(address, MEMBER)
    try:
        async with outgoing_for(ctx, by_admin=by_admin) as outgoing:
            outgoing.check(address)
            reply = await outgoing.get(address, deadline=outgoing.deadline(ctx.user.tenant_id), call="metadata")
    except ValueError as error:
        raise _refused(_("The URL %(error)s", error=error.args[0])) from error
    except NoPublicAddress as error:
        raise _refused(
            _("%(host)s. Ask an Admin to fetch it, or paste the document instead", host=error.args[0])
        ) from None
    except Unreachable as error:
        raise _refused(_("The document can't be fetched: %(error)s", error=error.args[0])) from error
    if reply.status != 200:
        raise _refused(_("The URL returns status %(status)s instead of a document", status=reply.status))
    if len(reply.body) > LONGEST:
        raise _refused(_("The document is larger than %(number)s KiB", number=LONGEST // 1024))
    try:
        return reply.body.decode()
    except UnicodeDecodeError as error:
        raise _refused(_("The document isn't UTF-8")) from error


def _refused(sentence: str) -> ValidationError:
    return ValidationError(details=[(MEMBER, sentence)])


async def begin(ctx: RequestContext, name: str, return_to: str) -> SignInStart | Tried:
    """Starts a test sign-in of the caller's session, which replaces the previous one. Returns a result if it fails
    immediately. ``return_to`` is the page that shows the result. Raises NotFound, or Conflict if users don't sign in at
    this provider."""
    user = ctx.user

    def look(unit: SystemUnit) -> ProviderChoice:
        provider = providers.get(unit.of(user.tenant_id), name)
        request = FlowRequest(return_to, response=TRY, link_session_id=user.session_id)
        return ProviderChoice(tenants.get(unit, user.tenant_id), provider, request)

    chosen = await ctx.services.store.read(look)
    kind = KINDS[chosen.provider.kind]
    if not kind.start:
        raise Conflict(_("Users don't sign in at this provider, because apps send its tokens"))
    provider = chosen.provider
    await ctx.store.write(lambda unit: sign_in_flows.delete_try(unit, provider.id, user.session_id))
    try:
        return await kind.begin(ctx, chosen, user.email)
    except (SsoFailed, ProviderUnavailable) as refusal:
        failed = provider_proofs.refused_try(ctx, refusal, is_admin=accounts.is_admin(ctx))
        await ctx.store.write(lambda unit: provider_proofs.record_try(unit, ctx, provider, failed))
        return failed


async def result(ctx: RequestContext, provider: Provider) -> Tried | None:
    """Returns the result of the last test sign-in with the provider by the caller's session."""
    return await ctx.store.read(lambda unit: provider_proofs.result_of_try(unit, ctx, provider, ctx.user.session_id))


_LOOKED_AT = 200
#: Prefixes of the reasons that are about the provider, not a person.
_OF_THE_PROVIDER = ("discovery: ", "unreachable: ", "token endpoint", "userinfo", "keys: ")
_ENDS = {event.value for event in (Event.SIGNED_IN, Event.SIGN_IN_FAILED, Event.SIGN_IN_REFUSED)}


class RecentActivity(NamedTuple):
    """Recent activity. Times are in milliseconds, 0 if none is among the events that were read. ``why`` is the reason
    of the failure. ``try_why`` is the reason of the last failed test, empty if it worked."""

    signed_in_at: int = 0
    failed_at: int = 0
    why: str = ""
    tried_at: int = 0
    try_why: str = ""

    @property
    def lets_no_one_in(self) -> bool:
        """Whether the provider itself recently failed, and no sign-in through it has succeeded since."""
        return self.failed_at > self.signed_in_at and self.why.startswith(_OF_THE_PROVIDER)


async def recent_activity(ctx: RequestContext) -> dict[int, RecentActivity]:
    """Returns the last sign-in, failure, and test of each provider of the caller's client, by the provider's ID.

    Reads a fixed number of the latest events, so the cost doesn't depend on the length of the trail.
    """
    found: dict[int, RecentActivity] = {}
    events, _ = await audit.page(ctx.store, EventFilter(), _LOOKED_AT)
    for link in (one.link for one in events):
        if link.event == Event.PROVIDER_TRIED.value:
            _add_try(found, link)
        if link.event not in _ENDS:
            continue
        detail = orjson.loads(link.detail)
        provider_id = detail.get("provider")
        if not isinstance(provider_id, int):
            continue
        known = found.get(provider_id, RecentActivity())
        if link.event == Event.SIGNED_IN.value:
            known = known._replace(signed_in_at=known.signed_in_at or link.at)
        elif not known.failed_at:
            known = known._replace(failed_at=link.at, why=str(detail.get("why", "")))
        found[provider_id] = known
    return found


def _add_try(found: dict[int, RecentActivity], link: Link) -> None:
    number = link.subject.removeprefix("provider:")
    if number.isdigit() and not (known := found.get(int(number), RecentActivity())).tried_at:
        found[int(number)] = known._replace(tried_at=link.at, try_why=str(orjson.loads(link.detail).get("why", "")))
