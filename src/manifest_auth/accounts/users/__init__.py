"""The users of a client.

Owns ``users``, ``password_history`` and ``email_changes``.

Never computes a hash, never opens a session, and never checks ranks.
"""

from manifest_auth.accounts.users.credentials import (
    drop_password,
    former_hashes,
    password_is_proved,
    prove_email,
    rehash,
    set_email,
    set_password,
    void_password,
    with_password,
)
from manifest_auth.accounts.users.roles import VoidAccount, deactivate, is_last_admin, restore, set_roles
from manifest_auth.accounts.users.users import (
    EVERY_KIND,
    FIELDS,
    LISTING,
    User,
    change,
    check,
    create,
    factor_due,
    find,
    find_by_email,
    find_caller,
    get,
    get_many,
    get_named,
    set_language,
    signed_in,
    without_factor,
)
from manifest_auth.accounts.users.with_tenant import find_without_client, get_with_tenant
