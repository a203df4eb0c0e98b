"""Operations on service accounts, and on their API keys and client secrets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from manifest_auth import audit
from manifest_auth.accounts import rank
from manifest_auth.accounts.mail_queue import AccountRequest
from manifest_auth.accounts.service_accounts import credentials, rows
from manifest_auth.accounts.service_accounts.credentials import MOST_OF, Secret
from manifest_auth.accounts.service_accounts.rows import ServiceAccount
from manifest_auth.audit import Act, Event
from manifest_auth.context import Principal, Request
from manifest_auth.errors import Conflict, Forbidden, ValidationError
from manifest_auth.permissions import Role, permissions_in, role_names
from manifest_auth.runtime.settings import networks_of
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields, machine_secrets
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.machine_secrets import SecretKind

# Rules of rank: a service account is never an Admin. Only an Admin can create, change, or enable one that is a User
# Admin. Disabling and deleting one only needs ``users:manage``. Machines can't manage machines.

_MOST_NETWORKS: Final = 50
Given = Mapping[str, Any]


def create(unit: TenantUnit, who: Request, given: Given) -> ServiceAccount:
    """Creates an account. ``given`` contains members of :class:`ServiceAccount`, at least ``name`` and ``roles``;
    ``addresses`` is a list, and ``jwks`` a key set (RFC 7517). Raises Forbidden, ValidationError,
    ReauthenticationRequired, or Conflict if the name is taken or there are too many."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    check_may_give(unit, who, given["roles"], forwards=given.get("may_forward_address", False))
    actor, now = who.caller.actor, who.now
    fresh = ServiceAccount(id=0, tenant_id=unit.tenant_id, name="", roles=0, created_at=now, created_by=actor)
    made = rows.add(unit, fresh._replace(**_stored(given)))
    audit.record(unit, who, Event.SERVICE_ACCOUNT_CREATED, made.subject, **_shown(made))
    return made


def change(unit: TenantUnit, who: Request, account_id: int, given: Given) -> ServiceAccount:
    """Changes the ``given`` members, effective with the next request. Raises NotFound and the errors of
    :func:`create`."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    before = rows.get(unit, account_id, lock=True)
    gains = bool(given.get("may_forward_address")) and not before.may_forward_address
    check_may_give(unit, who, before.roles, given.get("roles", before.roles), forwards=gains, account=before)
    after = before._replace(**_stored(given))
    if after != before:
        rows.put(unit, before, after)
        changed = audit.difference(_shown(before), _shown(after))
        audit.record(unit, who, Event.SERVICE_ACCOUNT_CHANGED, after.subject, **changed)
    return after


def disable(unit: TenantUnit, who: Request, account_id: int) -> ServiceAccount:
    """Rejects all credentials of the account immediately. Raises NotFound, Forbidden, or Conflict."""
    check_manages(unit, who)
    account = rows.get(unit, account_id, lock=True)
    if account.deactivated_at is not None:
        raise Conflict(_("The service account is already disabled"))
    rows.switch(unit, account.id, who.now)
    audit.record(unit, who, Event.SERVICE_ACCOUNT_DISABLED, account.subject)
    return account._replace(deactivated_at=who.now)


def enable(unit: TenantUnit, who: Request, account_id: int) -> ServiceAccount:
    """Enables a disabled account. Raises NotFound, Forbidden, ReauthenticationRequired, or Conflict."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    account = rows.get(unit, account_id, lock=True)
    check_may_give(unit, who, account.roles, account=account)
    if account.deactivated_at is None:
        raise Conflict(_("The service account isn't disabled"))
    rows.switch(unit, account.id, None)
    audit.record(unit, who, Event.SERVICE_ACCOUNT_ENABLED, account.subject)
    return account._replace(deactivated_at=None)


def delete(unit: TenantUnit, who: Request, account_id: int) -> None:
    """Permanently ends an account and all its secrets. Its actions keep its name in the audit trail, and the name can
    be used again. Raises NotFound, Forbidden, or ReauthenticationRequired."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    check_manages(unit, who)
    account, now = rows.get(unit, account_id, lock=True), who.now
    rows.switch(unit, account.id, account.deactivated_at or now)
    ended = credentials.end_all(unit, account.id, now)
    rows.put(unit, account, account._replace(deleted_at=now, jwks=None))
    audit.record(unit, who, Event.SERVICE_ACCOUNT_DELETED, account.subject, name=account.name, secrets_ended=ended)


def check_manages(unit: TenantUnit, who: Request) -> rank.Manager:
    """Returns the acting party, if they can manage service accounts. Raises Forbidden, also for a machine."""
    if isinstance(who, Request) and isinstance(who.caller, Principal) and who.caller.is_service:
        raise Forbidden(reason="service accounts can't manage service accounts")
    return rank.manager(unit, who)


def check_may_give(
    unit: TenantUnit, who: Request, *roles: int, forwards: bool = False, account: ServiceAccount | None = None
) -> None:
    """Checks that ``who`` can give a machine these roles (bit masks). ``forwards`` means that the machine also forwards
    users' addresses, which weakens a limit for Admins too. ``account`` is an existing one, whose secrets are as
    powerful as tokens of the SCIM connection that it owns. Raises Forbidden or ValidationError."""
    by = check_manages(unit, who)
    if account is not None and not by.is_admin and rows.manages_admins(unit, account.id):
        raise Forbidden(_("Only an Admin can do this for a SCIM connection that manages Admins"))
    if forwards and not by.is_admin:
        raise Forbidden(_("Only an Admin can allow a service account to forward addresses"))
    for mask in roles:
        if not mask:
            raise ValidationError(details=[("roles", _("At least one role is required"))])
        if mask & Role.ADMIN.bit:
            raise ValidationError(details=[("roles", _("A service account can't be an Admin"))])
        if mask & Role.USER_ADMIN.bit and not by.is_admin:
            raise Forbidden(_("Only an Admin can manage a service account that is a User Admin"))


def _networks(addresses: Collection[str]) -> str:
    if len(addresses) > _MOST_NETWORKS:
        raise ValidationError(details=[("addresses", _("Enter at most %(number)s networks", number=_MOST_NETWORKS))])
    try:
        if any("," in one or not one.strip() for one in addresses):
            raise ValueError
        return ",".join(str(network) for one in addresses for network in networks_of(one))
    except ValueError:
        raise ValidationError(
            details=[("addresses", _("Must be networks, for example 192.0.2.0/24 or 2001:db8::/32"))]
        ) from None


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": rows.check_name,
    "description": lambda text: fields.SERVICE_DESCRIPTION.check(text, "description"),
    "addresses": _networks,
    "may_introspect": int,
    "may_forward_address": int,
    "jwks": credentials.checked_key_set,
}


def _stored(given: Given) -> dict[str, Any]:
    """Returns the values in their stored form. Raises ValidationError."""
    return {name: _CHECKS[name](value) if name in _CHECKS else value for name, value in given.items()}


def _shown(account: ServiceAccount) -> dict[str, Any]:
    """The account's representation in the audit trail."""
    return {
        "name": account.name,
        "description": account.description,
        "roles": list(role_names(account.roles)),
        "scopes": None if account.scopes is None else [one.value for one in permissions_in(account.scopes)],
        "addresses": account.addresses,
        "may_introspect": bool(account.may_introspect),
        "may_forward_address": bool(account.may_forward_address),
        "key_ids": credentials.key_ids(account.jwks),
    }


# Both kinds have the same lifecycle. A secret is shown only in the response that creates it.

DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 366  # every secret expires
DEFAULT_OVERLAP_H: Final = 24
MOST_OVERLAP_H: Final = 168
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_MADE = {SecretKind.API_KEY: Event.API_KEY_CREATED, SecretKind.CLIENT_SECRET: Event.CLIENT_SECRET_CREATED}
# Rotating a client secret creates a new one.
_ROTATED = {SecretKind.API_KEY: Event.API_KEY_ROTATED, SecretKind.CLIENT_SECRET: Event.CLIENT_SECRET_CREATED}
_REVOKED = {SecretKind.API_KEY: Event.API_KEY_REVOKED, SecretKind.CLIENT_SECRET: Event.CLIENT_SECRET_REVOKED}
_NAMES = {SecretKind.API_KEY: _("API keys"), SecretKind.CLIENT_SECRET: _("client secrets")}


class NewSecret(NamedTuple):
    """A new secret. ``text`` is the secret itself, which only the response that creates it contains."""

    secret: Secret
    text: str


def make_secret(
    unit: TenantUnit, who: AccountRequest, account_id: int, kind: SecretKind, label: str, days: int
) -> NewSecret:
    """Creates a secret that is valid for ``days`` (1 to :data:`MOST_DAYS`). Raises NotFound, Forbidden,
    ValidationError, ReauthenticationRequired, or Conflict if the account has too many."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    account = rows.get(unit, account_id, lock=True)
    check_may_give(unit, who, account.roles, account=account)
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError(details=[("expiresInDays", f"Must be 1 to {MOST_DAYS}")])
    made = _add(unit, who, account, kind, fields.SECRET_LABEL.check(label, "label"), days)
    audit.record(unit, who, _MADE[kind], account.subject, **_shown_secret(made.secret))
    return made


def rotate_secret(
    unit: TenantUnit, who: AccountRequest, account_id: int, kind: SecretKind, secret_id: str, overlap_h: int
) -> NewSecret:
    """Creates a secret that replaces another one, which then ends within ``overlap_h`` hours (0 to
    :data:`MOST_OVERLAP_H`). The new secret has the same lifetime as the old one. Raises the same errors as
    :func:`make_secret`."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    account, now = rows.get(unit, account_id, lock=True), who.now
    check_may_give(unit, who, account.roles, account=account)
    if not 0 <= overlap_h <= MOST_OVERLAP_H:
        raise ValidationError(details=[("overlapHours", f"Must be 0 to {MOST_OVERLAP_H}")])
    old = credentials.get(unit, account.id, kind, secret_id, now)
    ends_at = min(old.ends_at, now + overlap_h * _HOUR_MS)
    if ends_at <= now:
        credentials.end(unit, old, now)
    made = _add(unit, who, account, kind, old.label, old.days)
    credentials.rotated(unit, old, made.secret.id, ends_at)
    detail = {**_shown_secret(made.secret), "in_place_of": old.id, "old_ends": when(ends_at)}
    audit.record(unit, who, _ROTATED[kind], account.subject, **detail)
    return made


def revoke_secret(unit: TenantUnit, who: Request, account_id: int, kind: SecretKind, secret_id: str) -> None:
    """Ends a secret immediately. Raises NotFound or Forbidden."""
    check_manages(unit, who)
    account, now = rows.get(unit, account_id, lock=True), who.now
    secret = credentials.get(unit, account.id, kind, secret_id, now)
    credentials.end(unit, secret, now)
    audit.record(unit, who, _REVOKED[kind], account.subject, key=secret.id, hint=secret.hint)


def end_leaked(unit: TenantUnit, who: Request, secret_id: str) -> bool:
    """Ends a secret that its holder presents to revoke it. Requires no permission. Returns False if it had already
    ended."""
    secret = credentials.find(unit, secret_id)
    if secret is None or not credentials.end(unit, secret, who.now):
        return False
    revoked = _REVOKED[SecretKind(secret.kind)]
    detail = {"key": secret.id, "hint": secret.hint, "by_holder": True}
    audit.record(unit, who, revoked, f"service:{secret.user_id}", **detail)
    return True


def _add(
    unit: TenantUnit, who: AccountRequest, account: ServiceAccount, kind: SecretKind, label: str, days: int
) -> NewSecret:
    now, random = who.now, who.services.random
    if credentials.count(unit, account.id, kind, now) >= MOST_OF[kind]:
        raise Conflict(
            _(
                "A service account can have at most %(number)s %(names)s. Revoke one first",
                number=MOST_OF[kind],
                names=_NAMES[kind],
            )
        )
    text = machine_secrets.make(kind, random.bytes(machine_secrets.RANDOM_BYTES))
    secret = Secret(
        id=random.text(12),
        user_id=account.id,
        kind=kind.value,
        label=label,
        hint=machine_secrets.hint_of(text),
        days=days,
        created_at=now,
        created_by=who.caller.actor,
        ends_at=now + days * _DAY_MS,
        notices=credentials.notices_at(now + days * _DAY_MS, now),
    )
    credentials.add(unit, hash=machine_secrets.hash_of(text), **secret._asdict())
    return NewSecret(secret, text)


def _shown_secret(secret: Secret) -> dict[str, str]:
    """The secret's representation in the audit trail."""
    return {"key": secret.id, "label": secret.label, "hint": secret.hint, "ends": when(secret.ends_at)}
