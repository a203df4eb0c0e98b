"""Checks a new password by the client's rules and hashes it, for every place where a user chooses one."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.accounts import password_rules, users
from manifest_auth.accounts.users import User
from manifest_auth.errors import ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.text.languages import marked as _


async def hash_of(ctx: RequestContext, user: User, new: str, field: str) -> str:
    """The hash of ``new``. ``field``: name of the password in the body, for the error's details.

    Raises ValidationError by the client's rules, Overloaded.
    """
    hasher, store = ctx.services.hasher, ctx.services.store.of(user.tenant_id)
    tenant = await store.read(lambda unit: tenants.get(unit, user.tenant_id))
    rules = tenants.password_rules(tenants.settings_of(tenant.settings), user.factors)
    password_rules.check(new, rules, (user.email, user.first_name, user.last_name, *tenants.known_words(tenant)), field)
    for stored in await store.read(lambda unit: users.former_hashes(unit, user, rules.history)):
        if (await hasher.verify(stored, new)).matches:
            raise ValidationError(details=[(field, _("Was used before"))])
    return await hasher.hash(new)
