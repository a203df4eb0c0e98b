"""Providers of a client, for system admins under ``/api/admin/clients/{client}/providers`` and for the client's own
Admin and User Admin under ``/api/client/providers``: the same verbs, the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth import audit, providers, sessions
from manifest_auth.api.admin import lists, provider_wire
from manifest_auth.api.admin.client_scope import client_of, is_admin
from manifest_auth.api.admin.lists import Filters
from manifest_auth.api.admin.provider_check import examine
from manifest_auth.api.admin.provider_claims import saved
from manifest_auth.api.admin.provider_create import prepare
from manifest_auth.api.admin.provider_delete import delete
from manifest_auth.api.admin.provider_models import (
    ExaminedData,
    ProviderBody,
    ProviderChange,
    ProviderData,
    ProvidersData,
)
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.http import Answer, Call, Door, Page, Route, ok
from manifest_auth.permissions import Permission
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text.canonical import check_name

T = TypeVar("T")
_KEPT_KEYS = 2  # the key in use and the one before it: providers need time to take the new certificate over


class ProvidersQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "NAME", "NAME_DESC"], Meta(description="Order.")] = "ID"
    kind: Annotated[Literal["", "oidc", "saml", "dynamics", "entra"], Meta(description="Only those.")] = ""
    state: Annotated[Literal["", "on", "off"], Meta(description="Only those that are switched so.")] = ""


class Deleted(msgspec.Struct, frozen=True):
    pass


async def _write(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], Provider]) -> dict[str, Any]:
    def whole(unit: SystemUnit) -> tuple[Provider, str]:
        bound, client = client_of(unit, ctx, call)
        return work(bound), client

    provider, client = await ctx.services.store.write(whole)
    return provider_wire.wire(ctx, client, provider)


async def _read(ctx: RequestContext, call: Call[Any], work: Callable[[TenantUnit], T]) -> tuple[T, str]:
    def whole(unit: SystemUnit) -> tuple[T, str]:
        bound, client = client_of(unit, ctx, call)
        return work(bound), client

    return await ctx.services.store.read(whole)


async def _create(ctx: RequestContext, call: Call[Any]) -> Answer[Any]:
    _, client = await _read(ctx, call, lambda unit: None)
    make = await prepare(ctx, client, call.body)
    return ok(await _write(ctx, call, lambda unit: make(unit, ctx, is_admin(ctx))), status=201)


async def _list(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    asked: ProvidersQuery = call.parameters
    filters = Filters(asked.state, "kind" if asked.kind else None, of_kind=asked.kind).search(asked.q)
    read = await _read(ctx, call, lambda unit: lists.read(unit, providers.LISTING, asked, filters))
    (found, next_cursor), client = read
    return ok({"items": [provider_wire.wire(ctx, client, one) for one in found], "nextCursor": next_cursor})


async def _get(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    found, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    return ok(provider_wire.wire(ctx, client, found))


async def _change(ctx: RequestContext, call: Call[Any]) -> Answer[Any]:
    draft = provider_wire.draft_of(call.body)

    def work(unit: TenantUnit) -> Provider:
        before = providers.get(unit, call.path["provider"], lock=True)
        settings = provider_wire.merged(before.rules, draft)
        provider_wire.check_addresses(ctx, settings)
        display_name = check_name(draft.members.get("displayName") or before.display_name, "displayName")
        confirms = is_admin(ctx) and draft.is_about_people
        after = providers.change(unit, before, display_name, settings, by_admin=confirms, now=ctx.now)
        secrets = providers.open_secrets(ctx.services.sealer, before)
        elsewhere = provider_wire.asks_elsewhere(before.rules, settings)
        if secrets.client_secret is not None and elsewhere and not draft.has_secret:
            # Else whoever may change a provider, but not read its secret, points it to himself and is sent the secret.
            raise ValidationError(details=[(f"{before.kind}.clientSecret", "Needed anew for another issuer")])
        if draft.has_secret:
            fresh = msgspec.structs.replace(secrets, client_secret=draft.secret)
            after = providers.replace_secrets(unit, ctx.services.sealer, after, fresh)
        detail = {
            "before": [before.display_name, before.settings],
            "after": [after.display_name, after.settings],
            "secret_changed": draft.has_secret,
        }
        audit.record(unit, ctx, Event.PROVIDER_CHANGED, f"provider:{after.id}", **detail)
        saved(unit, ctx.services, ctx, after, vouch=draft.vouch)
        return after

    return ok(await _write(ctx, call, work))


async def _switch(ctx: RequestContext, call: Call[None], *, on: bool) -> Answer[Any]:
    def work(unit: TenantUnit) -> Provider:
        provider = providers.get(unit, call.path["provider"], lock=True)
        if (provider.disabled_at is None) == on:
            raise Conflict(f"The provider is switched {'on' if on else 'off'} already")
        after = providers.switch(unit, provider, on=on, by_admin=is_admin(ctx), now=ctx.now)
        ended = 0 if on else sessions.end_provider(unit, provider.id, "provider_switched_off", ctx.now)
        event = Event.PROVIDER_SWITCHED_ON if on else Event.PROVIDER_SWITCHED_OFF
        change = {"before": {"on": not on}, "after": {"on": on}, "sessions_ended": ended}
        audit.record(unit, ctx, event, f"provider:{provider.id}", name=provider.name, **change)
        return after

    return ok(await _write(ctx, call, work))


async def _switch_on(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    return await _switch(ctx, call, on=True)


async def _switch_off(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    return await _switch(ctx, call, on=False)


async def _rotate_key(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    found, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    if found.kind != "saml":
        raise Conflict("Only SAML providers have a key of ours")
    key, certificate = await provider_wire.new_key(ctx, f"{client} {found.name}"[:60])

    def work(unit: TenantUnit) -> Provider:
        provider = providers.get(unit, call.path["provider"], lock=True)
        secrets = providers.open_secrets(ctx.services.sealer, provider)
        fresh = msgspec.structs.replace(
            secrets,
            keys=(key, *secrets.keys)[:_KEPT_KEYS],
            certificates=(certificate, *secrets.certificates)[:_KEPT_KEYS],
        )
        audit.record(unit, ctx, Event.PROVIDER_CHANGED, f"provider:{provider.id}", key="rotated")
        return providers.replace_secrets(unit, ctx.services.sealer, provider, fresh)

    return ok(await _write(ctx, call, work))


async def _delete(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    await delete(ctx, lambda unit: client_of(unit, ctx, call)[0], call.path["provider"], by_admin=is_admin(ctx))
    return ok({})


async def _test(ctx: RequestContext, call: Call[None]) -> Answer[Any]:
    provider, client = await _read(ctx, call, lambda unit: providers.get(unit, call.path["provider"]))
    findings = [finding async for finding in examine(ctx, client, provider, by_admin=is_admin(ctx))]
    works = all(finding.level != "bad" for finding in findings)
    return ok({"works": works, "findings": [{"level": f.level, "text": f.text} for f in findings]})


def _routes(base: str, door: Door, permission: Permission | None) -> tuple[Route, ...]:
    one = f"{base}/{{provider}}"
    may: dict[str, Any] = {"permission": permission}
    gone = (NotFound,)
    return (
        Route("POST", base, _create, door, "Create an identity provider", ProviderBody, ProviderData, status=201,
              refusals=(NotFound, Conflict), **may),
        Route("GET", base, _list, door, "A client's identity providers", None, ProvidersData,
              query=ProvidersQuery, refusals=gone, **may),
        Route("GET", one, _get, door, "One identity provider", None, ProviderData, refusals=gone, **may),
        Route("PATCH", one, _change, door, "Change an identity provider; what is left out stays", ProviderChange,
              ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/switch-off", _switch_off, door, "Switch an identity provider off; ends its sessions",
              None, ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/switch-on", _switch_on, door, "Switch an identity provider on again", None, ProviderData,
              refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/rotate-key", _rotate_key, door, "A new key of ours for a SAML provider; the last one "
              "still opens what was encrypted for it", None, ProviderData, refusals=(NotFound, Conflict), **may),
        Route("POST", f"{one}/test", _test, door, "Talk to the provider and say what is wrong", None, ExaminedData,
              refusals=gone, **may),
        Route("DELETE", one, _delete, door, "Delete an identity provider, its links and the roles that its "
              "groups gave; ends its sessions", None, Deleted, refusals=gone, **may),
    )  # fmt: skip


ROUTES = (
    *_routes("/api/admin/clients/{client}/providers", Door.ADMIN, None),
    *_routes("/api/client/providers", Door.CLIENT, Permission.SETTINGS_MANAGE),
)
