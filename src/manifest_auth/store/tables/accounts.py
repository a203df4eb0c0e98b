"""Tables of users, service accounts, sessions and emails, and of the second factors of users and system admins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from manifest_auth.store.tables.columns import (
    BigInt,
    global_table,
    numbered,
    owned_table,
    partial_index,
    row_of,
    sealed,
    tenant,
    time,
)

users = owned_table(
    "users",
    *numbered(),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False),  # see text/canonical.py: email_key
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("roles", Integer, nullable=False),  # bit mask, see permissions.Role
    Column("password_hash", Text),
    time("password_changed_at", nullable=True),
    time("created_at"),
    time("deactivated_at", nullable=True),
    time("last_sign_in_at", nullable=True),
    time("email_proved_at", nullable=True),  # when a link in an email to this address was followed
    Column("language", Text),  # for pages and emails, chosen by the user; null: none chosen
    # Bit mask of the second factors that count, read with every user, see accounts/users.py.
    Column("factors", Integer, nullable=False, server_default="0"),
    time("second_factor_due_at", nullable=True),  # when sign-in requires enrollment
    Column("kind", Text, nullable=False, server_default="person"),  # or `service`, see store/statements.py: USUAL
    time("profile_changed_at", nullable=True),  # name, address or language; null: never since the user was created
    UniqueConstraint("tenant_id", "email_key"),
    Index(None, "email_key"),
    Index(None, "tenant_id", "last_name", "id"),
    *(
        partial_index(f"ix_users_deactivated_{name}", "deactivated_at", "tenant_id", name, "id")
        for name in ("email_key", "last_name")
    ),
    partial_index("ix_users_deactivated", "deactivated_at", "tenant_id", "id"),
)

password_history = owned_table(
    "password_history",
    *numbered(),
    *row_of("users", "user_id"),
    Column("password_hash", Text, nullable=False),
    time("replaced_at"),
    Index(None, "tenant_id", "user_id"),
)

sessions = owned_table(  # one sign-in; access token, refresh token and cookie are three keys to this row
    "sessions",
    tenant(),
    Column("id", Text, primary_key=True),  # `sid`: 128 random bits
    *row_of("users", "user_id"),
    Column("method", Text, nullable=False),
    Column("provider_id", BigInt),  # for single sign-on; no foreign key, because it stays when the provider is deleted
    time("created_at"),
    time("ends_at"),
    time("ended_at", nullable=True),
    Column("end_reason", Text),
    time("last_used_at"),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("cookie_hash", Text, nullable=False),  # SHA-256 of the cookie's value
    time("cookie_seen_at"),
    Column("refresh_current", Text, nullable=False),
    Column("refresh_previous", Text),
    time("refresh_changed_at"),
    Column("amr", Text, nullable=False, server_default=""),  # what was verified (RFC 8176), separated by spaces
    time("authenticated_at", nullable=True),  # when; null: unknown
    # Only for devices, see sessions/device_sessions.py.
    Column("role_cap", Integer),  # bit mask that limits the user's roles; null: no limit
    # When it ends. It replaces `ends_at`, so that programs that don't know the cap treat the session as ended.
    time("device_ends_at", nullable=True),
    Column("idle_s", Integer),  # idle timeout in seconds, under all keys; null: only of the cookie
    Column("app_id", Text),  # client id of the app that holds it
    Column("device_id", Text),  # the enrolled device that holds it
    Column("label", Text),  # the device's name
    # See sessions/sessions.py.
    Column("parent_id", Text),  # the session that it came from; null: from a sign-in
    Column("has_children", Integer),  # 1: sessions have come from it
    # Only for apps: programs that don't know the scopes treat such a session as ended at `device_ends_at`.
    Column("app_scopes", Text),  # granted to its app, separated by spaces; null: not an app's session
    Column("scopes", Integer),  # bit mask, see permissions.Permission; null: no limit
    Index(None, "id"),
    Index(None, "cookie_hash"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "ends_at"),
    Index(None, "tenant_id", "provider_id"),
    Index(None, "tenant_id", "created_at", "id"),
)

known_origins = owned_table(  # devices and addresses from which a user signed in before, see throttle/throttle.py
    "known_origins",
    tenant(),
    *row_of("users", "user_id", is_key=True),
    Column("origin", Text, primary_key=True),  # SHA-256 of the device's secret or of the address
    time("seen_at"),
    Index(None, "seen_at"),
    Index(None, "tenant_id", "origin"),  # read when anonymous callers must wait
)


# Tables of service accounts: what they have in addition to their row of ``users``, their secrets, and used assertions.


service_accounts = owned_table(  # the row of `users` has name, roles, and whether it is disabled
    "service_accounts",
    tenant(),
    *row_of("users", "user_id", is_key=True),
    Column("description", Text, nullable=False),
    Column("scopes", Integer),  # bit mask, see permissions.Permission; null: all that the roles allow
    Column("addresses", Text, nullable=False),  # networks, separated by commas; empty: any
    Column("may_introspect", Integer, nullable=False),
    Column("may_forward_address", Integer, nullable=False, server_default="0"),
    Column("jwks", Text),  # JSON (RFC 7517): public keys of its assertions
    Column("created_by", Text, nullable=False),  # the actor, as in the audit trail
    time("deleted_at", nullable=True),
    # The audit trail has one event per hour of use, and one of tokens for it, each with the number of omitted ones.
    time("use_recorded_at", nullable=True),
    Column("uses_kept_back", BigInt, nullable=False, server_default="0"),
    time("issue_recorded_at", nullable=True),
    Column("issues_kept_back", BigInt, nullable=False, server_default="0"),
    Index(None, "user_id"),  # a client ID of OAuth names only the account
)

service_secrets = owned_table(  # API keys and client secrets
    "service_secrets",
    tenant(),
    Column("id", Text, primary_key=True),  # 96 random bits
    *row_of("service_accounts", "user_id", "user_id"),
    Column("kind", Text, nullable=False),  # `key` or `sec`, as in the secret
    Column("label", Text, nullable=False),
    Column("hash", Text, nullable=False),  # SHA-256 of the secret, which has 256 random bits
    Column("hint", Text, nullable=False),  # its last four characters
    Column("days", Integer, nullable=False),  # lifetime at creation
    time("created_at"),
    Column("created_by", Text, nullable=False),
    time("ends_at"),
    time("ended_at", nullable=True),  # revoked, or found to be expired
    Column("rotated_to", Text),  # its replacement
    Column("notices", Integer, nullable=False, server_default="0"),  # number of emails sent about its expiry
    time("last_used_at", nullable=True),
    Column("last_address", Text, nullable=False, server_default=""),
    Index(None, "hash"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "ends_at"),
)

used_assertions = owned_table(  # `jti` of assertions (RFC 7523), each valid once on all nodes
    "used_assertions",
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of account and `jti`
    time("expires_at"),
    Index(None, "expires_at"),
)


queued_mails = owned_table(  # written in the transaction of the act, deleted when the mail server accepts the email
    "queued_mails",
    tenant(),
    Column("id", Text, primary_key=True),  # 128 random bits
    Column("purpose", Text, nullable=False),
    Column("subject", Text, nullable=False),  # the subject, as in the audit trail: `user:5`
    sealed("mail", "queued_mails/{tenant_id}/{id}/mail"),  # JSON: recipient, subject, text
    Column("tries", Integer, nullable=False),
    time("created_at"),
    time("next_try_at"),  # advanced by the sending process
    time("expires_at"),  # when delivery is abandoned
    Index(None, "next_try_at"),
)

email_changes = owned_table(  # a new address takes effect when its mailbox confirms it; the old one can undo it
    "email_changes",
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of the token that went to the new address
    *row_of("users", "user_id"),
    Column("old_email", Text, nullable=False),
    time("old_proved_at", nullable=True),  # when the old address was verified, if it was
    Column("new_email", Text, nullable=False),
    Column("started_by", Text, nullable=False),  # the actor, as in the audit trail
    Column("undo_key", Text),  # SHA-256 of the token that went to the old address
    time("created_at"),
    time("expires_at"),  # end of the confirmation
    time("confirmed_at", nullable=True),
    time("closed_at", nullable=True),  # can be neither confirmed nor undone after that
    time("undo_expires_at", nullable=True),
    Index(None, "key"),
    Index(None, "undo_key"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
)


def _table(name: str, *parts: Any) -> Table:
    """Creates a table whose rows belong to a user."""
    return owned_table(name, tenant(), *parts)


user_totps = _table(  # one for each user (RFC 6238), see accounts/factors/one_time_codes.py
    "user_totps",
    *row_of("users", "user_id", is_key=True),
    sealed("secret", "user_totps/{tenant_id}/{user_id}/secret", nullable=True),  # null: no app is active yet
    sealed("next_secret", "user_totps/{tenant_id}/{user_id}/next_secret", nullable=True),  # waits for its first code
    Column("next_session_id", Text),  # the session that created it: no other one sees or confirms it
    time("created_at"),
    Column("last_step", BigInt, nullable=False),  # the last used code's: no code works twice
    time("last_used_at", nullable=True),
)

passkeys = _table(  # WebAuthn Level 3 credentials, see accounts/factors/passkey_rows.py
    "passkeys",
    Column("id", Text, primary_key=True),  # 96 random bits
    *row_of("users", "user_id"),
    Column("credential_id", Text, nullable=False),  # base64url
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("algorithm", Integer, nullable=False),
    Column("counter", BigInt, nullable=False),
    Column("transports", Text, nullable=False),  # separated by spaces, hints for the browser
    Column("aaguid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("backup_eligible", Integer, nullable=False),  # never changes
    Column("backup_state", Integer, nullable=False),
    Column("rp_id", Text, nullable=False),
    time("created_at"),
    time("last_used_at", nullable=True),
    UniqueConstraint("tenant_id", "credential_id"),
    Index(None, "tenant_id", "user_id"),
)

passkey_owners = global_table(  # the client that has a credential: no two accounts share one
    "passkey_owners",
    Column("credential_id", Text, primary_key=True),
    Column("tenant_id", BigInt, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "credential_id"], ["passkeys.tenant_id", "passkeys.credential_id"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "credential_id"),
)

passkey_handles = _table(  # `user.id` of WebAuthn: 64 random bytes that reveal nothing about the person
    "passkey_handles",
    *row_of("users", "user_id", is_key=True),
    Column("handle", Text, nullable=False),  # base64url
)

recovery_codes = _table(
    "recovery_codes",
    *row_of("users", "user_id", is_key=True),
    Column("key", Text, primary_key=True),  # SHA-256 of a code, which has 120 random bits
    time("created_at"),
    time("used_at", nullable=True),
)

trusted_browsers = _table(  # browsers that skip the second factor for a while
    "trusted_browsers",
    Column("id", Text, primary_key=True),  # 96 random bits
    *row_of("users", "user_id"),
    Column("key", Text, nullable=False),  # SHA-256 of the cookie's value
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    time("created_at"),
    time("ends_at"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "ends_at"),
)

sign_in_challenges = _table(  # a sign-in that waits for its second factor, see accounts/factors/challenges.py
    "sign_in_challenges",
    Column("key", Text, primary_key=True),  # SHA-256 of the challenge
    *row_of("users", "user_id"),
    Column("purpose", Text, nullable=False),  # `session`, `code` or `link`: what a correct response leads to
    Column("method", Text, nullable=False),
    Column("amr", Text, nullable=False),  # verified so far, separated by spaces
    time("authenticated_at", nullable=True),
    Column("proof", Text, nullable=False),  # SHA-256 of the user's password hash at that time, empty without one
    Column("provider_id", BigInt),
    Column("link_id", BigInt),
    Column("enrols", Integer, nullable=False),  # 1: a factor must be enrolled, 0: one exists
    sealed("secrets", "sign_in_challenges/{key}/secrets"),  # JSON, see accounts/factors/challenges.py
    Column("tries", Integer, nullable=False),
    time("expires_at"),
    time("used_at", nullable=True),
    Index(None, "key"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
)

used_passkey_challenges = global_table(  # challenges of anonymous callers that a correct response used up
    "used_passkey_challenges",
    Column("key", Text, primary_key=True),  # SHA-256
    time("expires_at"),
    Index(None, "expires_at"),
)


admin_second_factors = global_table(  # TOTP (RFC 6238), see accounts/admins/second_factor.py
    "admin_second_factors",
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), primary_key=True, autoincrement=False),
    sealed("secret", "admin_second_factors/{admin_id}/secret"),
    time("created_at"),
    time("confirmed_at", nullable=True),  # required at sign-in from then on
    Column("last_step", BigInt, nullable=False),  # the last used code's: no code works twice
)

admin_recovery_codes = global_table(
    "admin_recovery_codes",
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),  # SHA-256 of admin and code
    time("used_at", nullable=True),
)
