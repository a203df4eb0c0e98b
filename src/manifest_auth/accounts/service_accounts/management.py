"""Operations on service accounts: create, change, disable, enable, delete.

The rules of rank: a service account is never an Admin; only an Admin makes, changes or enables one that is a User
Admin. Taking away (disable, delete) needs no more than ``users:manage``. No machine manages machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from manifest_auth import audit
from manifest_auth.accounts import rank
from manifest_auth.accounts.rank import RequestOrOrigin
from manifest_auth.accounts.service_accounts import public_keys, rows, secrets
from manifest_auth.accounts.service_accounts.rows import ServiceAccount
from manifest_auth.audit import Act, Event
from manifest_auth.context import Principal, Request
from manifest_auth.errors import Conflict, Forbidden, ValidationError
from manifest_auth.permissions import Role, permissions_in, role_names
from manifest_auth.runtime.settings import networks_of
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields

_MOST_NETWORKS: Final = 50


class Draft(NamedTuple):
    """What callers say of an account. ``roles``, ``scopes``: bit masks, ``scopes`` None: all that the roles allow;
    ``addresses``: networks in CIDR form; ``jwks``: a key set (RFC 7517)."""

    name: str
    roles: int
    description: str = ""
    scopes: int | None = None
    addresses: tuple[str, ...] = ()
    may_introspect: bool = False
    jwks: Mapping[str, Any] | None = None


def create(unit: TenantUnit, who: RequestOrOrigin, draft: Draft) -> ServiceAccount:
    """Creates an account. Raises Forbidden, ValidationError, ReauthenticationRequired, Conflict when the name is taken
    or there are too many."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    check_may_give(unit, who, draft.roles)
    fresh = ServiceAccount(
        id=0, tenant_id=unit.tenant_id, name=rows.check_name(draft.name), roles=draft.roles, created_at=who.origin.at,
        deactivated_at=None, created_by=who.origin.actor, deleted_at=None, **_own(draft),
    )  # fmt: skip
    made = rows.add(unit, fresh)
    audit.record(unit, who, Event.SERVICE_ACCOUNT_CREATED, made.subject, **_shown(made))
    return made


def change(unit: TenantUnit, who: RequestOrOrigin, account_id: int, given: Mapping[str, Any]) -> ServiceAccount:
    """Changes the ``given`` members of :class:`Draft`, from the next request on. Raises as :func:`create`, and
    NotFound."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    before = rows.get(unit, account_id, lock=True)
    draft = _draft_of(before)._replace(**given)
    check_may_give(unit, who, before.roles, draft.roles)
    jwks = before.jwks if "jwks" not in given else public_keys.stored(draft.jwks)
    after = before._replace(name=rows.check_name(draft.name), roles=draft.roles, **{**_own(draft), "jwks": jwks})
    if after != before:
        rows.put(unit, before, after)
        was, now = _shown(before), _shown(after)
        changed = [name for name in now if was[name] != now[name]]
        difference = {"before": {name: was[name] for name in changed}, "after": {name: now[name] for name in changed}}
        audit.record(unit, who, Event.SERVICE_ACCOUNT_CHANGED, after.subject, **difference)
    return after


def disable(unit: TenantUnit, who: RequestOrOrigin, account_id: int) -> ServiceAccount:
    """Refuses all credentials of the account at once. Raises NotFound, Forbidden, Conflict."""
    check_manages(unit, who)
    account = rows.get(unit, account_id, lock=True)
    if account.deactivated_at is not None:
        raise Conflict("The service account is disabled already")
    rows.switch(unit, account.id, who.origin.at)
    audit.record(unit, who, Event.SERVICE_ACCOUNT_DISABLED, account.subject)
    return account._replace(deactivated_at=who.origin.at)


def enable(unit: TenantUnit, who: RequestOrOrigin, account_id: int) -> ServiceAccount:
    """Lets a disabled account in again. Raises NotFound, Forbidden, ReauthenticationRequired, Conflict."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    account = rows.get(unit, account_id, lock=True)
    check_may_give(unit, who, account.roles)
    if account.deactivated_at is None:
        raise Conflict("The service account is not disabled")
    rows.switch(unit, account.id, None)
    audit.record(unit, who, Event.SERVICE_ACCOUNT_ENABLED, account.subject)
    return account._replace(deactivated_at=None)


def delete(unit: TenantUnit, who: RequestOrOrigin, account_id: int) -> None:
    """Ends an account for good, with all its secrets. What it did stays under its name; the name is free again. Raises
    NotFound, Forbidden, ReauthenticationRequired."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    check_manages(unit, who)
    account, now = rows.get(unit, account_id, lock=True), who.origin.at
    rows.switch(unit, account.id, account.deactivated_at or now)
    ended = secrets.end_all(unit, account.id, now)
    rows.put(unit, account, account._replace(deleted_at=now, jwks=None))
    audit.record(unit, who, Event.SERVICE_ACCOUNT_DELETED, account.subject, name=account.name, secrets_ended=ended)


def check_manages(unit: TenantUnit, who: RequestOrOrigin) -> rank.Manager:
    """The acting party, who manages service accounts. Raises Forbidden, also for a machine."""
    if isinstance(who, Request) and isinstance(who.caller, Principal) and who.caller.is_service:
        raise Forbidden(reason="a machine manages no machines")
    return rank.manager(unit, who)


def check_may_give(unit: TenantUnit, who: RequestOrOrigin, *roles: int) -> None:
    """Checks that ``who`` may let a machine have these roles (bit masks). Raises Forbidden, ValidationError."""
    by = check_manages(unit, who)
    for mask in roles:
        if not mask:
            raise ValidationError(details=[("roles", "At least one role is required")])
        if mask & Role.ADMIN.bit:
            raise ValidationError(details=[("roles", "A service account is never an Admin")])
        if mask & Role.USER_ADMIN.bit and not by.is_admin:
            raise Forbidden("Only an Admin manages a service account that is a User Admin")


def _draft_of(account: ServiceAccount) -> Draft:
    """``jwks`` is left out: it is checked only where a caller gives it."""
    networks = tuple(account.addresses.split(",")) if account.addresses else ()
    return Draft(
        name=account.name, roles=account.roles, description=account.description, scopes=account.scopes,
        addresses=networks, may_introspect=bool(account.may_introspect),
    )  # fmt: skip


def _own(draft: Draft) -> dict[str, Any]:
    return {
        "description": fields.SERVICE_DESCRIPTION.check(draft.description, "description"),
        "scopes": draft.scopes,
        "addresses": _networks(draft.addresses),
        "may_introspect": int(draft.may_introspect),
        "jwks": public_keys.stored(draft.jwks),
    }


def _networks(addresses: tuple[str, ...]) -> str:
    if len(addresses) > _MOST_NETWORKS:
        raise ValidationError(details=[("addresses", f"At most {_MOST_NETWORKS} networks")])
    try:
        if any("," in one or not one.strip() for one in addresses):
            raise ValueError
        return ",".join(str(network) for one in addresses for network in networks_of(one))
    except ValueError:
        raise ValidationError(details=[("addresses", "Must be networks like 192.0.2.0/24 or 2001:db8::/32")]) from None


def _shown(account: ServiceAccount) -> dict[str, Any]:
    """As the audit trail shows it."""
    return {
        "name": account.name,
        "description": account.description,
        "roles": list(role_names(account.roles)),
        "scopes": None if account.scopes is None else [one.value for one in permissions_in(account.scopes)],
        "addresses": account.addresses,
        "may_introspect": bool(account.may_introspect),
        "key_ids": public_keys.key_ids(account.jwks),
    }
