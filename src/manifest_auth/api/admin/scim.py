"""Routes for SCIM connections, with which identity providers manage a client's users, and for their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from manifest_auth import providers, tenants
from manifest_auth.accounts.provisioning import connections, managed
from manifest_auth.accounts.provisioning.connections import (
    DEFAULT_DAYS,
    LEAST_DAYS,
    MOST_DAYS,
    MOST_LINES,
    Connection,
    NewToken,
    ScimGroupRoles,
    Token,
)
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import reads, writes
from manifest_auth.api.admin.providers import Deleted
from manifest_auth.api.admin.service_accounts import Name
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.clients.scim import saving
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Call, Items, Paging, Route, Time, Who, Wire
from manifest_auth.permissions import Permission, Role, mask_of, role_names
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants.rules import change_of
from manifest_auth.text.canonical import when


class _Settings(msgspec.Struct, frozen=True, rename="camel"):
    provider: (
        Annotated[
            str,
            Meta(min_length=1, max_length=63, description="Name of the provider with which the managed users sign in."),
        ]
        | None
    ) = None
    group_roles: Annotated[list[ScimGroupRoles], Meta(max_length=MOST_LINES)] = []
    default_roles: Annotated[
        list[Role], Meta(min_length=1, max_length=7, description="Of every managed user. Can't contain `Admin`.")
    ] = msgspec.field(default_factory=lambda: [Role.VIEWER])
    adopt_users: Annotated[
        bool, Meta(description="Whether it can take over existing users, by their email addresses.")
    ] = False
    may_manage_admins: Annotated[
        bool,
        Meta(description="Whether it can manage Admins. Only an Admin can set it; a User Admin's change resets it."),
    ] = False
    service_account: (
        Annotated[int, Meta(ge=1, description="ID of the service account whose access tokens act as the connection.")]
        | None
    ) = None


class ScimConnectionBody(_Settings, frozen=True, kw_only=True):
    name: Name


if TYPE_CHECKING:

    class ScimConnectionChange(_Settings, frozen=True):
        """A change of :class:`ScimConnectionBody`."""

else:
    ScimConnectionChange = msgspec.defstruct(
        "ScimConnectionChange",
        [],
        bases=(change_of(_Settings),),
        frozen=True,
        rename="camel",
        module=__name__,
        namespace={"__doc__": "Omitted members don't change. `null` removes `provider` or `serviceAccount`."},
    )


class NewScimTokenBody(msgspec.Struct, frozen=True, rename="camel"):
    expires_in_days: Annotated[int, Meta(ge=LEAST_DAYS, le=MOST_DAYS, description="Days until the token expires.")] = (
        DEFAULT_DAYS
    )


class ScimTokenData(Wire, frozen=True):
    """A valid token, without the secret. ``hint``: its last four characters."""

    id: str
    hint: str
    created_at: Time
    created_by: str
    expires_at: Time
    last_used_at: Time | None


class ScimConnectionData(Wire, frozen=True):
    """``baseUrl``: for the identity provider; ``failures``: how many of its requests were rejected."""

    id: int
    name: str
    base_url: str
    provider: str | None
    group_roles: tuple[ScimGroupRoles, ...]
    default_roles: tuple[str, ...]
    adopt_users: bool
    may_manage_admins: bool
    service_account: int | None
    created_at: Time
    created_by: str
    last_call_at: Time | None
    failures: int
    last_failure_at: Time | None
    last_failure: str
    tokens: tuple[ScimTokenData, ...]


class NewScimConnectionData(ScimConnectionData, frozen=True, kw_only=True):
    """``token``: returned only here."""

    token: str


class NewScimTokenData(Wire, frozen=True):
    """``token``: returned only here."""

    id: str
    token: str
    expires_at: Time


def _members(ctx: RequestContext, own: TenantUnit, one: Connection, live: list[Token]) -> dict[str, Any]:
    names = {provider.id: provider.name for provider in providers.list_all(own)}
    client = tenants.get(own, own.tenant_id).identifier
    return {
        "base_url": connections.base_url(ctx.services.settings.oauth_issuer, client),
        "provider": names.get(one.provider_id or 0),
        "group_roles": one.of_groups,
        "default_roles": role_names(one.default_roles),
        "service_account": one.service_id,
        "tokens": tuple(
            ScimTokenData.of(token, expires_at=when(token.ends_at)) for token in live if token.connection_id == one.id
        ),
    }


def _data(ctx: RequestContext, own: TenantUnit, one: Connection) -> ScimConnectionData:
    return ScimConnectionData.of(one, **_members(ctx, own, one, connections.live_tokens(own, ctx.now)))


def _given(body: msgspec.Struct) -> dict[str, Any]:
    """The given members, in the form that :func:`connections.create` takes."""
    given = {name: getattr(body, name) for name in _Settings.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not UNSET}
    return given | {name: mask_of(given[name]) for name in ("default_roles",) if name in given}


def _create(ctx: RequestContext, call: Call[ScimConnectionBody], own: TenantUnit) -> NewScimConnectionData:
    made, new = connections.create(own, ctx, call.body.name, _given(call.body))
    return NewScimConnectionData.of(made, token=new.text, **_members(ctx, own, made, [new.token]))


def _list(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[ScimConnectionData]:
    rows = [_data(ctx, own, one) for one in connections.list_all(own)]
    return lists.part(rows, call.parameters, "scim", "created_at")


def _get(ctx: RequestContext, call: Call[None], own: TenantUnit) -> ScimConnectionData:
    return _data(ctx, own, connections.get(own, call.path["connection"]))


async def _change(ctx: RequestContext, call: Call[ScimConnectionChange]) -> ScimConnectionData:
    name = call.path["connection"]
    await saving.change(ctx, lambda unit: client_scope.client_of(unit, ctx, call)[0], name, _given(call.body))
    return await client_scope.read(ctx, call, lambda own: _data(ctx, own, connections.get(own, name)))


def _delete(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    connections.remove(own, ctx, call.path["connection"])
    return Deleted()


def _create_token(ctx: RequestContext, call: Call[NewScimTokenBody], own: TenantUnit) -> NewScimTokenData:
    made: NewToken = connections.create_token(own, ctx, call.path["connection"], call.body.expires_in_days)
    return NewScimTokenData(made.token.id, made.text, when(made.token.ends_at))


def _revoke_token(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    connections.revoke_token(own, ctx, call.path["connection"], call.path["token"])
    return Deleted()


def _release(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Deleted:
    managed.release(own, ctx, call.path["connection"], call.id("user"))
    return Deleted()


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    one = f"{base}/{{connection}}"
    found, conflict = (NotFound,), (NotFound, Conflict)
    return (
        Route("POST", base, writes(_create), access, "Create a SCIM connection; its token is shown once", status=201,
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("GET", base, reads(_list), access, "List a client's SCIM connections", query=Paging, refusals=found),
        Route("GET", one, reads(_get), access, "Get a SCIM connection, with its valid tokens", refusals=found),
        Route("PATCH", one, _change, access, "Change a SCIM connection; omitted members don't change",
              refusals=conflict, asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", one, writes(_delete), access, "Delete a SCIM connection and its tokens; its users stay",
              refusals=found, asks=Act.SERVICE_ACCOUNTS),
        Route("POST", f"{one}/tokens", writes(_create_token), access,
              "Create a second token of a SCIM connection; it is shown once", status=201, refusals=conflict,
              asks=Act.SERVICE_ACCOUNTS),
        Route("DELETE", f"{one}/tokens/{{token}}", writes(_revoke_token), access,
              "Revoke a token of a SCIM connection immediately", refusals=found, asks=NOTHING),
        Route("DELETE", f"{one}/users/{{user}}", writes(_release), access,
              "Release a user from the SCIM connection that manages the user", refusals=found,
              asks=Act.SERVICE_ACCOUNTS),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/scim", Permission.SETTINGS_MANAGE)
