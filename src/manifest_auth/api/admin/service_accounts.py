"""Routes for service accounts and their secrets: API keys and client secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import Draft, Jwks, NewSecret, ServiceAccount, ServiceAccountData
from manifest_auth.accounts.service_accounts.management import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_H,
    MOST_DAYS,
    MOST_OVERLAP_H,
)
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.audit.catalogue import NOTHING, Act
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Call, Items, Route, Time, Who, Wire
from manifest_auth.permissions import Permission, Role, mask_of
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.tenants.rules import change_of
from manifest_auth.text import fields
from manifest_auth.text.canonical import NETWORK, SLUG, when
from manifest_auth.text.machine_secrets import SecretKind
from manifest_auth.text.models import matching, one_of_texts

Name = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=63,
        description="Lower-case letters, digits, inner hyphens.",
        extra_json_schema=matching(SLUG),
    ),
]
Description = Annotated[str, fields.SERVICE_DESCRIPTION.meta, Meta(description="What it is for.")]
Roles = Annotated[
    list[
        Annotated[Role, Meta(extra_json_schema=one_of_texts(*(role.value for role in Role if role is not Role.ADMIN)))]
    ],
    Meta(min_length=1, max_length=7, description="Never `Admin`."),
]
Scopes = Annotated[
    list[Permission],
    Meta(min_length=1, max_length=50, description="Of what the roles allow, these alone; null: all of it."),
]
Addresses = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=matching(NETWORK))]],
    Meta(max_length=50, description="Networks that it may call from, like `192.0.2.0/24`; none: any."),
]
MayIntrospect = Annotated[bool, Meta(description="Whether it may ask what tokens of this client are good for.")]
MayForwardAddress = Annotated[
    bool, Meta(description="Whether it can pass on the address of its own caller when it signs users in.")
]


class ServiceAccountBody(msgspec.Struct, frozen=True, rename="camel"):
    name: Name
    roles: Roles
    description: Description = ""
    scopes: Scopes | None = None
    addresses: Addresses = []
    may_introspect: MayIntrospect = False
    may_forward_address: MayForwardAddress = False
    jwks: Jwks | None = None


if TYPE_CHECKING:

    class ServiceAccountChange(ServiceAccountBody, frozen=True):
        """A change of :class:`ServiceAccountBody`."""

else:
    ServiceAccountChange = change_of(
        ServiceAccountBody, __doc__="Members that are left out stay; null takes `scopes` or `jwks` away."
    )


class NewSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    label: Annotated[str, fields.SECRET_LABEL.meta] = ""
    expires_in_days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="Every secret ends.")] = DEFAULT_DAYS


class RotateSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    overlap_hours: Annotated[
        int, Meta(ge=0, le=MOST_OVERLAP_H, description="The old one is good for so many hours more.")
    ] = DEFAULT_OVERLAP_H


class NewApiKeyData(Wire, frozen=True):
    """``key``: shown here and never again."""

    id: str
    key: str
    expires_at: Time


class NewClientSecretData(Wire, frozen=True):
    """``secret``: shown here and never again."""

    id: str
    oauth_client_id: str
    secret: str
    expires_at: Time


def _read(unit: TenantUnit, ctx: RequestContext, account: ServiceAccount) -> ServiceAccountData:
    return ServiceAccountData.of_row(account, service_accounts.live_secrets(unit, [account.id], ctx.now))


def _given(body: ServiceAccountBody | ServiceAccountChange) -> dict[str, Any]:
    """The members that were given, as :class:`Draft` has them."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not UNSET}
    convert: dict[str, Callable[[Any], Any]] = {
        "roles": mask_of,
        "scopes": lambda scopes: None if scopes is None else sum(one.bit for one in set(scopes)),
        "addresses": tuple,
        "jwks": lambda jwks: None if jwks is None else msgspec.to_builtins(jwks),
    }
    return {name: convert[name](value) if name in convert else value for name, value in given.items()}


async def _create(ctx: RequestContext, call: Call[ServiceAccountBody]) -> ServiceAccountData:
    draft = Draft(**_given(call.body))
    made = await client_scope.write(ctx, call, lambda own: service_accounts.create(own, ctx, draft))
    return ServiceAccountData.of_row(made, ())


async def _list(ctx: RequestContext, call: Call[None]) -> Items[ServiceAccountData]:
    asked = call.parameters
    filters = Filters(asked.state).search(asked.q)

    def work(own: TenantUnit) -> Items[ServiceAccountData]:
        rows, next_cursor = lists.read(own, service_accounts.LISTING, asked, filters)
        live = service_accounts.live_secrets(own, [row.id for row in rows], ctx.now)
        return Items(items=tuple(ServiceAccountData.of_row(row, live) for row in rows), next_cursor=next_cursor)

    return await client_scope.read(ctx, call, work)


async def _get(ctx: RequestContext, call: Call[None]) -> ServiceAccountData:
    account = call.id("account")
    return await client_scope.read(ctx, call, lambda own: _read(own, ctx, service_accounts.get(own, account)))


async def _change(ctx: RequestContext, call: Call[ServiceAccountChange]) -> ServiceAccountData:
    account, given = call.id("account"), _given(call.body)
    return await client_scope.write(
        ctx, call, lambda own: _read(own, ctx, service_accounts.change(own, ctx, account, given))
    )


async def _disable(ctx: RequestContext, call: Call[None]) -> ServiceAccountData:
    account = call.id("account")
    return await client_scope.write(ctx, call, lambda own: _read(own, ctx, service_accounts.disable(own, ctx, account)))


async def _enable(ctx: RequestContext, call: Call[None]) -> ServiceAccountData:
    account = call.id("account")
    return await client_scope.write(ctx, call, lambda own: _read(own, ctx, service_accounts.enable(own, ctx, account)))


async def _delete(ctx: RequestContext, call: Call[None]) -> Deleted:
    account = call.id("account")
    await client_scope.write(ctx, call, lambda own: service_accounts.delete(own, ctx, account))
    return Deleted()


async def _make(ctx: RequestContext, call: Call[NewSecretBody], kind: SecretKind) -> NewSecret:
    account, asked, random = call.id("account"), call.body, ctx.services.random

    def work(own: TenantUnit) -> NewSecret:
        return service_accounts.make_secret(own, ctx, random, account, kind, asked.label, asked.expires_in_days)

    return await client_scope.write(ctx, call, work)


async def _rotate(ctx: RequestContext, call: Call[RotateSecretBody], kind: SecretKind) -> NewSecret:
    account, secret, overlap, random = call.id("account"), call.path["secret"], call.body, ctx.services.random

    def work(own: TenantUnit) -> NewSecret:
        return service_accounts.rotate_secret(own, ctx, random, account, kind, secret, overlap.overlap_hours)

    return await client_scope.write(ctx, call, work)


async def _revoke(ctx: RequestContext, call: Call[None], kind: SecretKind) -> Deleted:
    account, secret = call.id("account"), call.path["secret"]
    await client_scope.write(ctx, call, lambda own: service_accounts.revoke_secret(own, ctx, account, kind, secret))
    return Deleted()


def _new_key(made: NewSecret) -> NewApiKeyData:
    return NewApiKeyData(made.secret.id, made.text, when(made.secret.ends_at))


def _new_secret(made: NewSecret) -> NewClientSecretData:
    return NewClientSecretData(made.secret.id, f"svc_{made.secret.user_id}", made.text, when(made.secret.ends_at))


async def _make_key(ctx: RequestContext, call: Call[NewSecretBody]) -> NewApiKeyData:
    return _new_key(await _make(ctx, call, SecretKind.API_KEY))


async def _rotate_key(ctx: RequestContext, call: Call[RotateSecretBody]) -> NewApiKeyData:
    return _new_key(await _rotate(ctx, call, SecretKind.API_KEY))


async def _revoke_key(ctx: RequestContext, call: Call[None]) -> Deleted:
    return await _revoke(ctx, call, SecretKind.API_KEY)


async def _make_secret(ctx: RequestContext, call: Call[NewSecretBody]) -> NewClientSecretData:
    return _new_secret(await _make(ctx, call, SecretKind.CLIENT_SECRET))


async def _rotate_secret(ctx: RequestContext, call: Call[RotateSecretBody]) -> NewClientSecretData:
    return _new_secret(await _rotate(ctx, call, SecretKind.CLIENT_SECRET))


async def _revoke_secret(ctx: RequestContext, call: Call[None]) -> Deleted:
    return await _revoke(ctx, call, SecretKind.CLIENT_SECRET)


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{account}}"
    found, conflict = (NotFound,), (NotFound, Conflict)
    return (
        Route("POST", base, _create, access, "Create a service account", status=201, refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("GET", base, _list, access, "List a client's service accounts",
              query=lists.query(service_accounts.LISTING.sorts, "ID", state=("active", "inactive")), refusals=found),
        Route("GET", one, _get, access, "Get a service account, with its valid keys", refusals=found),
        Route("PATCH", one, _change, access, "Change a service account; omitted members don't change",
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/disable", _disable, access, "Disable a service account", refusals=conflict,
              asks=NOTHING),
        Route("POST", f"{one}/enable", _enable, access, "Enable a service account again", refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", one, _delete, access, "Permanently delete a service account and its keys", refusals=found,
              asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/keys", _make_key, access, "Create an API key; it is shown once", status=201,
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/keys/{{secret}}/rotate", _rotate_key, access,
              "Rotate an API key; the old one ends later", status=201, refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", f"{one}/keys/{{secret}}", _revoke_key, access, "Revoke an API key immediately", refusals=found,
              asks=NOTHING),
        Route("POST", f"{one}/secrets", _make_secret, access, "Create an OAuth client secret; it is shown once",
              status=201, refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/secrets/{{secret}}/rotate", _rotate_secret, access,
              "Rotate a client secret; the old one ends later", status=201, refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", f"{one}/secrets/{{secret}}", _revoke_secret, access, "Revoke a client secret immediately",
              refusals=found, asks=NOTHING),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/service-accounts", Permission.USERS_MANAGE)
