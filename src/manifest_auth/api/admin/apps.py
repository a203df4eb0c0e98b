"""Routes for apps, with which users sign in through this server, and for their secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts import apps
from manifest_auth.accounts.apps import Algorithm, App, AppSecret, Kind
from manifest_auth.accounts.service_accounts import Jwks
from manifest_auth.accounts.service_accounts.management import DEFAULT_OVERLAP_H, MOST_OVERLAP_H
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.audit.catalogue import NOTHING, Act
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Call, Items, Paging, Route, Time, Who, Wire
from manifest_auth.permissions import Permission, Role, mask_of, role_names
from manifest_auth.services import RequestContext
from manifest_auth.sessions import app_sessions
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.models import ORIGIN, RETURN_ADDRESS, one_of_texts

Name = Annotated[str, fields.APP_NAME.meta]
Address = Annotated[str, Meta(max_length=2000, extra_json_schema=RETURN_ADDRESS)]
Addresses = Annotated[list[Address], Meta(max_length=apps.MOST_ADDRESSES)]
Origin = Annotated[str, Meta(max_length=300, extra_json_schema=ORIGIN)]
Scope = Annotated[str, Meta(max_length=50, extra_json_schema=one_of_texts(*apps.SCOPES))]
Seconds = Annotated[int, Meta(ge=apps.ACCESS_S[0], le=apps.ACCESS_S[1])]
Days = Annotated[int, Meta(ge=apps.REFRESH_DAYS[0], le=apps.REFRESH_DAYS[1])]


class AppChange(msgspec.Struct, frozen=True, rename=apps.wire_name):
    """Members that are left out stay; null removes what can be null. An app of kind `device` has only a name.
    ``redirectUris``: compared exactly; ``allowedOrigins``: only of a `browser` app; ``backchannelLogoutUri``, ``jwks``:
    only of a `web` app."""

    name: Name | UnsetType = UNSET
    redirect_uris: Addresses | UnsetType = UNSET
    post_logout_uris: Addresses | UnsetType = UNSET
    allowed_origins: Annotated[list[Origin], Meta(max_length=apps.MOST_ADDRESSES)] | UnsetType = UNSET
    scopes: Annotated[list[Scope], Meta(max_length=50)] | UnsetType = UNSET
    roles: Annotated[list[Role], Meta(max_length=7)] | UnsetType = UNSET
    consent: bool | UnsetType = UNSET
    second_factor: bool | UnsetType = UNSET
    access_s: Seconds | UnsetType = UNSET
    refresh_days: Days | UnsetType = UNSET
    id_token_alg: Algorithm | UnsetType = UNSET
    backchannel_uri: Address | UnsetType | None = UNSET
    jwks: Jwks | UnsetType | None = UNSET

    @property
    def given(self) -> dict[str, Any]:
        """The members that were given, as :func:`.apps.create_app` takes them."""
        given = {name: value for name in apps.GIVEN if (value := getattr(self, name)) is not UNSET}
        if "roles" in given:
            given["roles"] = mask_of(given["roles"])
        return given | {name: msgspec.to_builtins(given[name]) for name in ("jwks",) if name in given}


class AppBody(AppChange, frozen=True, kw_only=True):
    """As a change, with what never changes. All but `name`, `kind` and `redirectUris` can be left out."""

    name: Name
    kind: Kind


class AppSecretData(Wire, frozen=True):
    """A live secret, without the secret. ``hint``: its last four characters; ``expiresAt``: of a replaced one."""

    id: str
    hint: str
    created_at: Time
    created_by: str
    expires_at: Time | None


class AppData(Wire, frozen=True, rename=apps.wire_name):
    """``id``: the client id. ``createdAt``: null for the app that every client has for its devices. ``issuer``: where
    the app finds everything else. ``users``, ``sessions``: how many let it in, and are open; only of a single app."""

    id: str
    kind: Kind
    name: str
    issuer: str
    redirect_uris: tuple[str, ...]
    post_logout_uris: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    consent: bool
    second_factor: bool
    access_s: int
    refresh_days: int
    id_token_alg: Algorithm
    backchannel_uri: str | None
    jwks: Jwks | None
    created_by: str
    created_at: Time | None
    last_used_at: Time | None
    secrets: tuple[AppSecretData, ...]
    users: int | None = None
    sessions: int | None = None


class RotateAppSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    overlap_hours: Annotated[
        int, Meta(ge=0, le=MOST_OVERLAP_H, description="The old one stays valid for so many hours.")
    ] = DEFAULT_OVERLAP_H


class NewAppSecretData(Wire, frozen=True):
    """``secret``: shown here and never again."""

    id: str
    client_id: str
    secret: str

    @classmethod
    def of_row(cls, made: AppSecret) -> NewAppSecretData:
        return cls(made.id, made.app_id, made.text)


class AppRemoved(Wire, frozen=True):
    """``ended``: how many of its sessions."""

    ended: int


def _data(ctx: RequestContext, app: App, secrets: Iterable[AppSecret], **numbers: int) -> AppData:
    """``secrets``: live ones, of other apps too."""
    own = [one for one in secrets if one.app_id == app.id]
    return AppData.of(
        app,
        issuer=apps.issuer(ctx.services.settings.oauth_issuer, app.client),
        roles=role_names(app.roles),
        jwks=None if app.jwks is None else msgspec.json.decode(app.jwks, type=Jwks),
        secrets=tuple(AppSecretData.of(one, expires_at=one.ends_at and when(one.ends_at)) for one in own),
        **{name: tuple(getattr(app, name).split()) for name in apps.LISTS},
        **numbers,
    )


def _one(ctx: RequestContext, own: TenantUnit, app: App) -> AppData:
    numbers = {"users": apps.count_grants_of(own, app.id), "sessions": app_sessions.count_of_app(own, app.id, ctx.now)}
    return _data(ctx, app, apps.list_secrets(own, ctx.now, app.id), **numbers)


async def _list(ctx: RequestContext, call: Call[None]) -> Items[AppData]:
    def work(own: TenantUnit) -> list[AppData]:
        secrets = apps.list_secrets(own, ctx.now)
        return [_data(ctx, app, secrets) for app in apps.list_apps(own)]

    return lists.part(await client_scope.read(ctx, call, work), call.parameters, "apps", "created_at")


async def _get(ctx: RequestContext, call: Call[None]) -> AppData:
    app = call.path["app"]
    return await client_scope.read(ctx, call, lambda own: _one(ctx, own, apps.get_app(own, app)))


async def _create(ctx: RequestContext, call: Call[AppBody]) -> AppData:
    body = call.body
    return await client_scope.write(
        ctx, call, lambda own: _one(ctx, own, apps.create_app(own, ctx, body.kind, body.given))
    )


async def _change(ctx: RequestContext, call: Call[AppChange]) -> AppData:
    app, given = call.path["app"], call.body.given
    return await client_scope.write(ctx, call, lambda own: _one(ctx, own, apps.change_app(own, ctx, app, given)))


async def _remove(ctx: RequestContext, call: Call[None]) -> AppRemoved:
    app = call.path["app"]
    return AppRemoved(await client_scope.write(ctx, call, lambda own: apps.remove_app(own, ctx, app)))


async def _create_secret(ctx: RequestContext, call: Call[None]) -> NewAppSecretData:
    random, app = ctx.services.random, call.path["app"]
    return NewAppSecretData.of_row(
        await client_scope.write(ctx, call, lambda own: apps.create_secret(own, ctx, random, app))
    )


async def _rotate_secret(ctx: RequestContext, call: Call[RotateAppSecretBody]) -> NewAppSecretData:
    random, app, old, hours = ctx.services.random, call.path["app"], call.path["secret"], call.body.overlap_hours

    def work(own: TenantUnit) -> AppSecret:
        return apps.create_secret(own, ctx, random, app, in_place_of=old, overlap_h=hours)

    return NewAppSecretData.of_row(await client_scope.write(ctx, call, work))


async def _revoke_secret(ctx: RequestContext, call: Call[None]) -> Deleted:
    app, secret = call.path["app"], call.path["secret"]
    await client_scope.write(ctx, call, lambda own: apps.revoke_secret(own, ctx, app, secret))
    return Deleted()


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{app}}"
    found, conflict = (NotFound,), (NotFound, Conflict)
    return (
        Route("POST", base, _create, access, "Create an app", status=201, refusals=conflict, asks=Act.APPS),
        Route("GET", base, _list, access, "List a client's apps", query=Paging, refusals=found),
        Route("GET", one, _get, access, "Get an app, with its valid secrets", refusals=found),
        Route("PATCH", one, _change, access, "Change an app; omitted members don't change", refusals=conflict,
              asks=Act.APPS),
        Route("DELETE", one, _remove, access, "Remove an app and end its sessions", refusals=conflict, asks=Act.APPS),
        Route("POST", f"{one}/secrets", _create_secret, access, "Create a secret of an app; it is shown once",
              status=201, refusals=conflict, asks=Act.APPS),
        Route("POST", f"{one}/secrets/{{secret}}/rotate", _rotate_secret, access,
              "Rotate a secret of an app; the old one ends later", status=201, refusals=conflict, asks=Act.APPS),
        Route("DELETE", f"{one}/secrets/{{secret}}", _revoke_secret, access, "Revoke a secret of an app immediately",
              refusals=found, asks=NOTHING),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/apps", Permission.SETTINGS_MANAGE)
