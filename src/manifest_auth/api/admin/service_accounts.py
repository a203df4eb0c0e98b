"""Routes for service accounts and their secrets: API keys and client secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import Jwks, NewSecret, ServiceAccount, ServiceAccountData
from manifest_auth.accounts.service_accounts.management import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_H,
    MOST_DAYS,
    MOST_OVERLAP_H,
)
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import reads, writes
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.audit.acts import NOTHING, Act
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
        description="Lowercase letters, digits, and hyphens (not first or last).",
        extra_json_schema=matching(SLUG),
    ),
]
Description = Annotated[str, fields.SERVICE_DESCRIPTION.meta, Meta(description="Purpose of the account.")]
Roles = Annotated[
    list[
        Annotated[Role, Meta(extra_json_schema=one_of_texts(*(role.value for role in Role if role is not Role.ADMIN)))]
    ],
    Meta(min_length=1, max_length=7, description="Can't contain `Admin`."),
]
Scopes = Annotated[
    list[Permission],
    Meta(
        min_length=1,
        max_length=50,
        description="Restricts the account to these permissions of its roles. `null`: all of them.",
    ),
]
Addresses = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=matching(NETWORK))]],
    Meta(max_length=50, description="Networks that it can call from, for example `192.0.2.0/24`. Default: everywhere."),
]
MayIntrospect = Annotated[bool, Meta(description="Whether it can introspect tokens of this client.")]
MayForwardAddress = Annotated[
    bool, Meta(description="Whether it can forward the addresses of its own callers when it signs them in.")
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
        ServiceAccountBody, __doc__="Omitted members don't change. `null` removes `scopes` or `jwks`."
    )


class NewSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    label: Annotated[str, fields.SECRET_LABEL.meta] = ""
    expires_in_days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="Days until the secret expires.")] = (
        DEFAULT_DAYS
    )


class RotateSecretBody(msgspec.Struct, frozen=True, rename="camel"):
    overlap_hours: Annotated[
        int, Meta(ge=0, le=MOST_OVERLAP_H, description="Hours for which the old secret stays valid.")
    ] = DEFAULT_OVERLAP_H


class NewApiKeyData(Wire, frozen=True):
    """``key``: returned only here."""

    id: str
    key: str
    expires_at: Time


class NewClientSecretData(Wire, frozen=True):
    """``secret``: returned only here."""

    id: str
    oauth_client_id: str
    secret: str
    expires_at: Time


NewSecretData = NewApiKeyData | NewClientSecretData
_KEY, _SECRET = SecretKind.API_KEY, SecretKind.CLIENT_SECRET


def _read(unit: TenantUnit, ctx: RequestContext, account: ServiceAccount) -> ServiceAccountData:
    return ServiceAccountData.of_row(account, service_accounts.live_secrets(unit, [account.id], ctx.now))


def _given(body: ServiceAccountBody | ServiceAccountChange) -> dict[str, Any]:
    """The given members, in the form that :func:`service_accounts.create` takes."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not UNSET}
    convert: dict[str, Callable[[Any], Any]] = {
        "roles": mask_of,
        "scopes": lambda scopes: None if scopes is None else sum(one.bit for one in set(scopes)),
        "addresses": tuple,
        "jwks": lambda jwks: None if jwks is None else msgspec.to_builtins(jwks),
    }
    return {name: convert[name](value) if name in convert else value for name, value in given.items()}


def _create(ctx: RequestContext, call: Call[ServiceAccountBody], own: TenantUnit) -> ServiceAccountData:
    return ServiceAccountData.of_row(service_accounts.create(own, ctx, _given(call.body)), ())


def _list(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[ServiceAccountData]:
    asked = call.parameters
    rows, next_cursor = lists.read(own, service_accounts.LISTING, asked, Filters(asked.state).search(asked.q))
    live = service_accounts.live_secrets(own, [row.id for row in rows], ctx.now)
    return Items(items=tuple(ServiceAccountData.of_row(row, live) for row in rows), next_cursor=next_cursor)


def _get(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ServiceAccountData:
    return _read(own, ctx, service_accounts.get(own, call.id("account")))


def _change(ctx: RequestContext, call: Call[ServiceAccountChange], own: TenantUnit) -> ServiceAccountData:
    return _read(own, ctx, service_accounts.change(own, ctx, call.id("account"), _given(call.body)))


def _disable(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ServiceAccountData:
    return _read(own, ctx, service_accounts.disable(own, ctx, call.id("account")))


def _enable(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ServiceAccountData:
    return _read(own, ctx, service_accounts.enable(own, ctx, call.id("account")))


def _delete(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    service_accounts.delete(own, ctx, call.id("account"))
    return Deleted()


def _make(ctx: RequestContext, call: Call[NewSecretBody], own: TenantUnit, kind: SecretKind) -> NewSecretData:
    account, body = call.id("account"), call.body
    return _new(service_accounts.make_secret(own, ctx, account, kind, body.label, body.expires_in_days))


def _rotate(ctx: RequestContext, call: Call[RotateSecretBody], own: TenantUnit, kind: SecretKind) -> NewSecretData:
    account, old = call.id("account"), call.path["secret"]
    return _new(service_accounts.rotate_secret(own, ctx, account, kind, old, call.body.overlap_hours))


def _revoke(ctx: RequestContext, call: Call[None], own: TenantUnit, kind: SecretKind) -> Deleted:
    service_accounts.revoke_secret(own, ctx, call.id("account"), kind, call.path["secret"])
    return Deleted()


def _new(made: NewSecret) -> NewSecretData:
    secret, ends_at = made.secret, when(made.secret.ends_at)
    if secret.kind == _KEY.value:
        return NewApiKeyData(secret.id, made.text, ends_at)
    return NewClientSecretData(secret.id, f"svc_{secret.user_id}", made.text, ends_at)


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{account}}"
    found, conflict = (NotFound,), (NotFound, Conflict)
    return (
        Route("POST", base, writes(_create), access, "Create a service account", status=201, refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("GET", base, reads(_list), access, "List a client's service accounts",
              query=lists.query(service_accounts.LISTING.sorts, "ID", state=("active", "inactive")), refusals=found),
        Route("GET", one, reads(_get), access, "Get a service account, with its valid keys", refusals=found),
        Route("PATCH", one, writes(_change), access, "Change a service account; omitted members don't change",
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/disable", writes(_disable), access, "Disable a service account", refusals=conflict,
              asks=NOTHING),
        Route("POST", f"{one}/enable", writes(_enable), access, "Enable a service account again", refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", one, writes(_delete), access, "Permanently delete a service account and its keys",
              refusals=found, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/keys", writes(_make, _KEY), access, "Create an API key; it is shown once",
              data=NewApiKeyData, status=201, refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/keys/{{secret}}/rotate", writes(_rotate, _KEY), access,
              "Rotate an API key; the old one ends later", data=NewApiKeyData, status=201, refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", f"{one}/keys/{{secret}}", writes(_revoke, _KEY), access, "Revoke an API key immediately",
              refusals=found, asks=NOTHING),
        Route("POST", f"{one}/secrets", writes(_make, _SECRET), access,
              "Create an OAuth client secret; it is shown once", data=NewClientSecretData, status=201,
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/secrets/{{secret}}/rotate", writes(_rotate, _SECRET), access,
              "Rotate a client secret; the old one ends later", data=NewClientSecretData, status=201,
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", f"{one}/secrets/{{secret}}", writes(_revoke, _SECRET), access,
              "Revoke a client secret immediately", refusals=found, asks=NOTHING),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/service-accounts", Permission.USERS_MANAGE)
