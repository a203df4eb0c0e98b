"""The users of a client.

Owns ``users``, ``password_history`` and ``email_changes``.

Never computes a hash, never opens a session, and never checks ranks.
"""

from manifest_auth.accounts.users.roles import VoidAccount, deactivate, is_last_admin, restore, set_roles
from manifest_auth.accounts.users.users import (
    DETAILS,
    EVERY_KIND,
    FIELDS,
    LISTING,
    OWN,
    User,
    change,
    check,
    create,
    drop_password,
    factor_due,
    find,
    find_by_email,
    find_caller,
    find_without_client,
    former_hashes,
    get,
    get_many,
    get_named,
    get_with_tenant,
    password_is_proved,
    prove_email,
    rehash,
    set_email,
    set_language,
    set_password,
    signed_in,
    void_password,
    with_password,
    without_factor,
)
