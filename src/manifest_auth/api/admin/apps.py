"""Routes for the apps with which users sign in through this server, and for the secrets of these apps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts import apps
from manifest_auth.accounts.apps import Algorithm, App, AppSecret, Kind
from manifest_auth.accounts.service_accounts import Jwks
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import reads, writes
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.api.admin.service_accounts import RotateSecretBody
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Call, Items, Paging, Route, Time, Who, Wire
from manifest_auth.permissions import Permission, Role, mask_of, role_names
from manifest_auth.services import RequestContext
from manifest_auth.sessions import app_sessions, tokens
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
    """Omitted members don't change. Null removes a value that is optional. An app of kind `device` has only a name.
    ``redirectUris``: compared exactly; ``allowedOrigins``: only for a `browser` app; ``backchannelLogoutUri``,
    ``jwks``: only for a `web` app."""

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
        """The given members, in the form that :func:`.apps.create_app` takes."""
        given = {name: value for name in apps.GIVEN if (value := getattr(self, name)) is not UNSET}
        if "roles" in given:
            given["roles"] = mask_of(given["roles"])
        return given | {name: msgspec.to_builtins(given[name]) for name in ("jwks",) if name in given}


class AppBody(AppChange, frozen=True, kw_only=True):
    """Like a change, plus the members that can't be changed later. Only `name`, `kind`, and `redirectUris` are
    required."""

    name: Name
    kind: Kind


class AppSecretData(Wire, frozen=True):
    """An active secret, without its value. ``hint``: its last four characters; ``expiresAt``: when it expires, if it
    was replaced."""

    id: str
    hint: str
    created_at: Time
    created_by: str
    expires_at: Time | None


class AppData(Wire, frozen=True, rename=apps.wire_name):
    """``id``: the client ID. ``createdAt``: null for the app that every client has for its devices. ``issuer``: the
    address from which the app discovers all others. ``users``, ``sessions``: how many users granted it access, and how
    many sessions are open. They are returned only for a single app."""

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


class NewAppSecretData(Wire, frozen=True):
    """``secret``: returned only here."""

    id: str
    client_id: str
    secret: str


class AppRemoved(Wire, frozen=True):
    """``ended``: how many of its sessions ended."""

    ended: int


def _data(ctx: RequestContext, app: App, secrets: Iterable[AppSecret], **numbers: int) -> AppData:
    """``secrets``: live ones, of other apps too."""
    own = [one for one in secrets if one.app_id == app.id]
    return AppData.of(
        app,
        issuer=tokens.app_issuer(ctx.services.settings.oauth_issuer, app.client),
        roles=role_names(app.roles),
        jwks=None if app.jwks is None else msgspec.json.decode(app.jwks, type=Jwks),
        secrets=tuple(AppSecretData.of(one, expires_at=one.ends_at and when(one.ends_at)) for one in own),
        **{name: tuple(getattr(app, name).split()) for name in apps.LISTS},
        **numbers,
    )


def _one(ctx: RequestContext, own: TenantUnit, app: App) -> AppData:
    numbers = {"users": apps.count_grants_of(own, app.id), "sessions": app_sessions.count_of_app(own, app.id, ctx.now)}
    return _data(ctx, app, apps.list_secrets(own, ctx.now, app.id), **numbers)


def _list(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[AppData]:
    secrets = apps.list_secrets(own, ctx.now)
    rows = [_data(ctx, app, secrets) for app in apps.list_apps(own)]
    return lists.part(rows, call.parameters, "apps", "created_at")


def _get(ctx: RequestContext, call: Call[None], own: TenantUnit) -> AppData:
    return _one(ctx, own, apps.get_app(own, call.path["app"]))


def _create(ctx: RequestContext, call: Call[AppBody], own: TenantUnit) -> AppData:
    return _one(ctx, own, apps.create_app(own, ctx, call.body.kind, call.body.given))


def _change(ctx: RequestContext, call: Call[AppChange], own: TenantUnit) -> AppData:
    return _one(ctx, own, apps.change_app(own, ctx, call.path["app"], call.body.given))


def _remove(ctx: RequestContext, call: Call[None], own: TenantUnit) -> AppRemoved:
    return AppRemoved(apps.remove_app(own, ctx, call.path["app"]))


def _create_secret(ctx: RequestContext, call: Call[None], own: TenantUnit) -> NewAppSecretData:
    made = apps.create_secret(own, ctx, call.path["app"])
    return NewAppSecretData(made.id, made.app_id, made.text)


def _rotate_secret(ctx: RequestContext, call: Call[RotateSecretBody], own: TenantUnit) -> NewAppSecretData:
    app, old = call.path["app"], call.path["secret"]
    made = apps.create_secret(own, ctx, app, in_place_of=old, overlap_h=call.body.overlap_hours)
    return NewAppSecretData(made.id, made.app_id, made.text)


def _revoke_secret(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    apps.revoke_secret(own, ctx, call.path["app"], call.path["secret"])
    return Deleted()


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{app}}"
    found, conflict = (NotFound,), (NotFound, Conflict)
    return (
        Route("POST", base, writes(_create), access, "Create an app", status=201, refusals=conflict, asks=Act.APPS),
        Route("GET", base, reads(_list), access, "List a client's apps", query=Paging, refusals=found),
        Route("GET", one, reads(_get), access, "Get an app, with its valid secrets", refusals=found),
        Route("PATCH", one, writes(_change), access, "Change an app; omitted members don't change", refusals=conflict,
              asks=Act.APPS),
        Route("DELETE", one, writes(_remove), access, "Remove an app and end its sessions", refusals=conflict,
              asks=Act.APPS),
        Route("POST", f"{one}/secrets", writes(_create_secret), access, "Create a secret of an app; it is shown once",
              status=201, refusals=conflict, asks=Act.APPS),
        Route("POST", f"{one}/secrets/{{secret}}/rotate", writes(_rotate_secret), access,
              "Rotate a secret of an app; the old one ends later", status=201, refusals=conflict, asks=Act.APPS),
        Route("DELETE", f"{one}/secrets/{{secret}}", writes(_revoke_secret), access,
              "Revoke a secret of an app immediately", refusals=found, asks=NOTHING),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/apps", Permission.SETTINGS_MANAGE)
