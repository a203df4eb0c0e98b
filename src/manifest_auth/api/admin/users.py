"""Routes for the users of a client, and for their identities, invitations, and factors, for callers who manage them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import accounts, providers, tenants
from manifest_auth.accounts import Draft, FactorResetData, UserWithAccessLink, email_changes, password_rules, users
from manifest_auth.accounts.users import User
from manifest_auth.api.admin import client_scope, lists
from manifest_auth.api.admin.client_scope import OF_CLIENT, reads, writes
from manifest_auth.api.client.identities import Unlinked
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import (
    Conflict,
    LicenseExpired,
    LicenseRequired,
    NotFound,
    Overloaded,
    RateLimited,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Route, Time, Who, Wire, items_of, or_none
from manifest_auth.permissions import Permission, Role, mask_of, role_names
from manifest_auth.providers.identities import IdentityData
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.fields import Details, Input, with_details
from manifest_auth.text.models import ErrorCollector, at_most_one

_OnlyRole = Annotated[
    Literal["", "Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer"],
    Meta(description="Only users with this role."),
]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=7)]


@with_details(users.DETAILS, Input.BODY)
class UserBody(msgspec.Struct, frozen=True, rename="camel"):
    """Send either ``password`` or ``passwordHash``. Without both, the user has no password yet."""

    MORE_SCHEMA: ClassVar = at_most_one("password", "passwordHash")

    email: fields.Email
    roles: Roles
    details: Details
    password: fields.Password | UnsetType = UNSET
    password_hash: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=512,
                description="Argon2id, bcrypt, PBKDF2, or scrypt hash from another system.",
            ),
        ]
        | UnsetType
    ) = UNSET


@with_details(users.DETAILS, Input.CHANGE)
class UserChange(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Omitted members don't change."""

    email: fields.Email | UnsetType = UNSET
    details: Details


class RolesBody(msgspec.Struct, frozen=True):
    roles: Roles


@with_details(users.DETAILS)
class UserData(Wire, frozen=True):
    """``emailProvedAt``: when the user followed a link sent to the address. ``pendingEmail``: a new address that isn't
    confirmed yet."""

    id: int
    email: str
    email_proved_at: Time | None
    pending_email: str | None
    details: Details
    roles: tuple[str, ...]
    has_password: bool
    created_at: Time
    deactivated_at: Time | None
    last_sign_in_at: Time | None


class AdmittedData(UserData, frozen=True):
    """``link``: a one-time link for a new Admin who no longer has a verified identity. Null if it was emailed, or if
    the user didn't become an Admin. Returned once."""

    link: str | None


class ResetData(Wire, frozen=True):
    """``link``: where the user chooses a new password; null if email is configured. ``sent``: whether the mail server
    accepted the email with the link; delivery is retried for an hour."""

    link: str | None
    sent: bool
    expires_at: Time


def _data(unit: TenantUnit, ctx: RequestContext, found: Sequence[User]) -> tuple[UserData, ...]:
    """Converts users to wire models, with their pending addresses."""
    pending = email_changes.pending_addresses(unit, [user.id for user in found], ctx.now)
    return tuple(_user(user, pending.get(user.id)) for user in found)


def _user(user: User, pending: str | None) -> UserData:
    return UserData.of(
        user, pending_email=pending, roles=role_names(user.roles), has_password=user.password_hash is not None
    )


async def _create(ctx: RequestContext, call: Call[UserBody]) -> UserData:
    body, services = call.body, ctx.services
    tenant = await services.store.read(lambda unit: tenants.get_named(unit, call.path["client"]))
    draft = Draft(body.email, mask_of(body.roles), body.details)
    stored: str | None = None
    with ErrorCollector() as each:
        with each:
            accounts.check(draft)
        with each:
            stored = await password_rules.first_hash(
                services.hasher,
                or_none(body.password),
                or_none(body.password_hash),
                tenants.password_rules(tenants.settings_of(tenant.settings), 0),
                (*draft.words, *tenants.known_words(tenant)),
            )
    return _user(await services.store.of(tenant.id).write(lambda unit: accounts.add(unit, ctx, draft, stored)), None)


def _list_users(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[UserData]:
    asked = call.parameters
    role = Role(asked.role).bit if asked.role else 0
    filters = Filters(asked.state, "role" if role else None, role=role).search(asked.q)
    rows, next_cursor = lists.read(own, users.LISTING, asked, filters)
    return Items(_data(own, ctx, rows), next_cursor)


def _get(ctx: RequestContext, call: Call[None], own: TenantUnit) -> UserData:
    return _data(own, ctx, [users.get(own, call.id("user"))])[0]


def _change(ctx: RequestContext, call: Call[UserChange], own: TenantUnit) -> UserData:
    body = call.body
    changes = body.details if body.email is UNSET else {"email": body.email, **body.details}
    return _data(own, ctx, [accounts.change(own, ctx, call.id("user"), changes)])[0]


def _admitted(own: TenantUnit, ctx: RequestContext, made: UserWithAccessLink) -> AdmittedData:
    """Converts a user who might have become an Admin and need a link."""
    [shown] = _data(own, ctx, [made.user])
    return AdmittedData(**msgspec.structs.asdict(shown), link=made.link)


def _set_roles(ctx: RequestContext, call: Call[RolesBody], own: TenantUnit) -> AdmittedData:
    return _admitted(own, ctx, accounts.set_roles(own, ctx, call.id("user"), mask_of(call.body.roles)))


def _deactivate(ctx: RequestContext, call: Call[None], own: TenantUnit) -> UserData:
    return _data(own, ctx, [accounts.deactivate(own, ctx, call.id("user"))])[0]


def _restore(ctx: RequestContext, call: Call[None], own: TenantUnit) -> AdmittedData:
    return _admitted(own, ctx, accounts.restore(own, ctx, call.id("user")))


async def _reset(ctx: RequestContext, call: Call[None]) -> ResetData:
    user_id = call.id("user")
    made = await client_scope.write(ctx, call, lambda unit: accounts.start_reset(unit, ctx, user_id))
    return ResetData.of(await accounts.sent(ctx, made))


_BASE = f"{OF_CLIENT}/users"
_ONE = f"{_BASE}/{{user}}"
_SEATS = (LicenseRequired, LicenseExpired)  # on premise, a user who needs a seat needs a valid license
USER_ROUTES = (
    Route("POST", _BASE, _create, Access.ADMIN, "Create a user of a client", status=201,
          refusals=(NotFound, Conflict, Overloaded, *_SEATS), asks=Act.RANKS),
    Route("GET", _BASE, reads(_list_users), Access.ADMIN, "List and search a client's users",
          query=lists.query(users.LISTING.sorts, "ID", state=("active", "inactive"), role=_OnlyRole),
          refusals=(NotFound,)),
    Route("GET", _ONE, reads(_get), Access.ADMIN, "Get a user of a client", refusals=(NotFound,)),
    Route("PATCH", _ONE, writes(_change), Access.ADMIN, "Change a user's names or email address",
          refusals=(NotFound, Conflict, RateLimited), asks=Act.EMAIL),
    Route("PUT", f"{_ONE}/roles", writes(_set_roles), Access.ADMIN, "Set a user's roles",
          refusals=(NotFound, Conflict, *_SEATS), asks=Act.RANKS),
    Route("POST", f"{_ONE}/deactivate", writes(_deactivate), Access.ADMIN, "Deactivate a user and end all sessions",
          refusals=(NotFound, Conflict), asks=NOTHING),
    Route("POST", f"{_ONE}/restore", writes(_restore), Access.ADMIN, "Restore a deactivated user",
          refusals=(NotFound, Conflict, *_SEATS), asks=Act.RANKS),
    Route("POST", f"{_ONE}/password-reset", _reset, Access.ADMIN, "Create a one-time link for a new password",
          status=201, refusals=(NotFound, Conflict, RateLimited), asks=Act.OTHERS_PASSWORDS),
)  # fmt: skip


class FactorResetBody(msgspec.Struct, frozen=True):
    reason: Annotated[str, fields.REASON.meta]


class InvitationData(Wire, frozen=True):
    """``link``: where the user chooses a first password or a provider; ``token``: the same token for the parameter
    ``invitation`` of a sign-in at a provider. Returned once. Both are null if email is configured. ``sent``: whether
    the mail server accepted the email with the link; delivery is retried for an hour."""

    token: str | None
    link: str | None
    sent: bool
    expires_at: Time


class Confirmed(Wire, frozen=True): ...


_How = Annotated[
    Literal["", "created", "created-unvouched", "invitation", "consent", "directory", "domain", "scim"],
    Meta(description="Only identities that were linked in this way."),
]


def _list_identities(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Items[IdentityData]:
    asked, user = call.parameters, users.get(own, call.id("user"))
    filters = Filters("how" if asked.how else None, of_user=user.id, of_how=asked.how).search(asked.q)
    return lists.listed(own, providers.IDENTITIES, asked, filters)


def _unlink(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Unlinked:
    identities.unlink(own, ctx, call.id("user"), call.id("identity"))
    return Unlinked()


def _confirm(ctx: RequestContext, call: Call[None], own: TenantUnit) -> Confirmed:
    identities.confirm(own, ctx, call.id("user"), call.id("identity"))
    return Confirmed()


async def _invite(ctx: RequestContext, call: Call[None]) -> InvitationData:
    user_id = call.id("user")
    made = await client_scope.write(ctx, call, lambda unit: accounts.invite(unit, ctx, user_id))
    return InvitationData.of(await accounts.sent(ctx, made))


def _reset_factors(ctx: RequestContext, call: Call[FactorResetBody], own: TenantUnit) -> FactorResetData:
    return accounts.reset_factors(own, ctx, call.id("user"), call.body.reason)


def _routes(base: str, access: Who) -> tuple[Route, ...]:
    """All of these can give access to the account, so for an Admin's account only an Admin or a system admin can use
    them."""
    return (
        Route("GET", f"{base}/identities", reads(_list_identities), access, "List a user's identities at providers",
              query=lists.query(providers.IDENTITIES.sorts, "ID", how=_How),
              data=items_of(IdentityData, "UserIdentitiesData"),
              refusals=(NotFound,)),
        Route("DELETE", f"{base}/identities/{{identity}}", writes(_unlink), access,
              "Unlink an identity from a user; ends the user's sessions", refusals=(NotFound,), asks=Act.IDENTITIES),
        Route("POST", f"{base}/identities/{{identity}}/confirm", writes(_confirm), access,
              "Confirm as an Admin that an identity belongs to the user, so that its groups can grant the Admin role",
              refusals=(NotFound,), asks=Act.IDENTITIES),
        Route("POST", f"{base}/invitation", _invite, access,
              "Invite the user to sign in with a first password or a provider", status=201,
              refusals=(NotFound, Conflict, RateLimited),
              operation="adminInviteClientUser" if access is Access.ADMIN else "inviteUser", asks=Act.RANKS),
        Route("POST", f"{base}/factors/reset", writes(_reset_factors), access,
              "Remove a user's second factors; ends all of their sessions",
              limit=AUTH_LIMIT, refusals=(NotFound, ValidationError), asks=Act.OTHERS_FACTORS),
    )  # fmt: skip


IDENTITY_ROUTES = client_scope.for_admins_and_users(_routes, "/users/{user}", Permission.USERS_MANAGE)
