"""Keeps a sign-in method for a client's Admins: a password, a passkey that replaces it, or a provider.

Without this rule, a User Admin could lock out every Admin, and an Admin could do so by mistake. System admins and the
command line are exempt. They can restore access, and they must be able to stop a compromised provider immediately.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select

from manifest_auth import tenants
from manifest_auth.accounts import rank
from manifest_auth.accounts.factors import Kind
from manifest_auth.errors import Conflict, Forbidden
from manifest_auth.permissions import Permission, Role
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import identities, providers, users
from manifest_auth.tenants import StoredSettings
from manifest_auth.text.languages import marked as _

_I, _P, _U = identities.c, providers.c, users.c
_IS_ADMIN = (_U.roles.bitwise_and(Role.ADMIN.bit) != 0, _U.deactivated_at.is_(None))
_REACHES = (_P.disabled_at.is_(None), _P.reaches_admins == 1)
_ADMINS = tenant_scoped(select(_U.password_hash.is_not(None), _U.factors).where(*_IS_ADMIN))
_LINKED = tenant_scoped(
    select(_I.id)
    .select_from(identities.join(providers, _P.id == _I.provider_id).join(users, _U.id == _I.user_id))
    .where(_I.provider_id != bindparam("but"), *_REACHES, *_IS_ADMIN)
    .limit(1),
    int,
)
_ANY = tenant_scoped(select(_P.id).where(*_REACHES).limit(1), int)


def check_stays(unit: TenantUnit, ctx: RequestContext, provider: Provider, *, still_reaches: bool = False) -> None:
    """Rejects a change after which the provider can't sign in any Admin, if no Admin has another sign-in method.
    ``provider`` must be locked. ``still_reaches`` means that the provider still counts after the change, as with a new
    secret that might be wrong. Then no other provider counts, because the same might have happened to it. Raises
    Forbidden for a User Admin, and Conflict for an Admin."""
    by = rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    is_off = provider.disabled_at is not None and not still_reaches  # a User Admin can turn it on again
    if by.user_id is None or is_off or not provider.reaches_admins:
        return
    settings = tenants.settings_of(tenants.get(unit, unit.tenant_id, lock=True).settings)  # one action at a time
    admins = unit.all(_ADMINS)
    if not admins or _without_provider(admins, settings):
        return
    if not still_reaches and unit.first(_LINKED, but=provider.id) is not None:
        return
    if not by.is_admin:
        raise Forbidden(_("Only an Admin can change the last provider that Admins sign in with"))
    raise Conflict(
        _("No Admin would be able to sign in. Turn on password sign-in first, or sign in with another provider once")
    )


def ends(unit: TenantUnit, old: StoredSettings, new: StoredSettings) -> bool:
    """Whether a change of the settings would prevent every Admin from signing in."""
    if old.password_sign_in == new.password_sign_in and old.passkey_sign_in == new.passkey_sign_in:
        return False
    admins = unit.all(_ADMINS)
    is_last = _without_provider(admins, old) and not _without_provider(admins, new)
    return is_last and unit.first(_ANY) is None


def _without_provider(admins: list[Any], settings: StoredSettings) -> bool:
    by_passkey = tenants.passkeys_sign_in(settings)
    return any(
        (has_password and settings.password_sign_in) or (factors & Kind.PASSKEY and by_passkey)
        for has_password, factors in admins
    )
