"""Tables of single sign-on: providers, identities, pending sign-ins, one-time codes and links."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, numbered, row_of, sealed, tenant, time

providers = Table(
    "providers",
    metadata,
    *numbered(),
    Column("name", Text, nullable=False),  # in addresses
    Column("display_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("issuer", Text, nullable=False),  # OIDC issuer, or the entity id of a SAML provider
    Column("settings", Text, nullable=False),  # JSON, see providers.Settings
    sealed("secrets", "providers/{tenant_id}/{id}/secrets", nullable=True),  # JSON, see providers.Secrets
    Column("reaches_admins", Integer, nullable=False),  # see docs/decisions/0018-providers-and-rank.md
    time("created_at"),
    time("changed_at"),
    time("disabled_at", nullable=True),
    Column("disabled_by_admin", Integer, nullable=True),  # 1: an Admin or a system admin switched it off
    UniqueConstraint("tenant_id", "name"),
    Index(None, "issuer", "tenant_id"),
    info=OWNED,
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

provider_domains = Table(  # e-mail domains that a provider vouches for
    "provider_domains",
    metadata,
    tenant(),
    *row_of("providers", "provider_id", is_key=True),
    Column("domain", Text, primary_key=True),  # lower case
    info=OWNED,
    sqlite_strict=True,
)

identities = Table(  # (provider, subject) is a user; nothing else identifies a provider's person
    "identities",
    metadata,
    *numbered(),
    *row_of("providers", "provider_id"),
    Column("subject", Text, nullable=False),
    *row_of("users", "user_id"),
    Column("how", Text, nullable=False),  # how it was linked, see providers.LinkedBy
    Column("email", Text, nullable=False),  # as the provider sent it last; for display
    Column("granted", Integer, nullable=False),  # bit mask of the roles that this provider's groups added
    Column("vouched", Integer, nullable=False, server_default="0"),  # 1: the provider vouched for `email`
    time("confirmed_at", nullable=True),  # an Admin confirmed that this is the user's
    Column("confirmed_by", Text),
    time("created_at"),
    time("last_sign_in_at"),
    Column("untold", Integer),  # 1: a User Admin changed who vouches for it, and its user was not told yet
    UniqueConstraint("tenant_id", "provider_id", "subject"),
    Index(None, "tenant_id", "user_id"),
    info=OWNED,
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

# Identities whose provider was deleted: one with the same issuer knows the subjects again. Of one that was unlinked
# it only stays whether it had made its account with an address that nobody vouched for.
former_identities = Table(
    "former_identities",
    metadata,
    tenant(goes_with=True),
    Column("id", BigInt, primary_key=True, autoincrement=False),  # of the identity
    *row_of("users", "user_id", goes_with=True),
    Column("kind", Text, nullable=False),  # of the provider
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("how", Text, nullable=False),  # how it was linked
    Index(None, "tenant_id", "user_id"),
    info=OWNED,
    sqlite_strict=True,
)

# A pending sign-in at a provider. `browser` is emptied once it is used; the row is deleted after it expires.
sign_in_flows = Table(
    "sign_in_flows",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of `state` or `RelayState`
    *row_of("providers", "provider_id"),
    Column("browser", Text, nullable=False),  # SHA-256 of the cookie that the browser must send
    Column("request_id", Text),  # of a SAML request
    sealed("secrets", "sign_in_flows/{key}/secrets"),  # nonce and PKCE verifier; of a finished try, its result
    Column("return_to", Text, nullable=False),
    Column("response", Text, nullable=False),  # `cookie`, `code`, `try` or `reauthenticate`
    Column("challenge", Text, nullable=False),  # the app's own PKCE challenge for its one-time code, or empty
    Column("link_session_id", Text),  # the session that links an identity, tries the provider, or is proved anew
    Column("invitation_id", BigInt),
    Column("redirect_uri", Text, nullable=False, server_default=""),  # the callback address of the answer
    # 1: the answer must name its issuer (RFC 9207).
    Column("iss_required", Integer, nullable=False, server_default="0"),
    time("expires_at"),
    Index(None, "key"),
    Index(None, "request_id"),
    Index(None, "expires_at"),
    Index(None, "tenant_id", "provider_id"),
    info=OWNED,
    sqlite_strict=True,
)

seen_assertions = Table(  # ids of SAML assertions that were used
    "seen_assertions",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of issuer and id
    time("expires_at"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)

sign_in_codes = Table(  # one-time codes for apps
    "sign_in_codes",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of the code
    *row_of("providers", "provider_id", nullable=True),  # null: from a sign-in on our own pages
    *row_of("users", "user_id"),
    Column("method", Text, nullable=False),
    Column("challenge", Text, nullable=False),
    time("expires_at"),
    time("used_at", nullable=True),
    Column("session_id", Text),  # what it was exchanged for
    Column("parent_id", Text),  # the session that asked for it; null: a sign-in did
    Column("amr", Text, nullable=False, server_default=""),  # what was proved before it was given
    time("authenticated_at", nullable=True),
    Index(None, "key"),
    Index(None, "expires_at"),
    Index(None, "tenant_id", "provider_id"),
    info=OWNED,
    sqlite_strict=True,
)

invitations = Table(  # one-time links: for a first sign-in, or for a new password
    "invitations",
    metadata,
    *numbered(),
    *row_of("users", "user_id"),
    Column("purpose", Text, nullable=False, server_default="invitation"),  # or `reset`
    Column("key", Text, nullable=False),  # SHA-256 of the invitation's token
    Column("invited_by", Text, nullable=False),
    Column("emailed", Integer, nullable=False, server_default="0"),  # 1: only e-mailed to the user
    time("created_at"),
    time("expires_at"),
    time("used_at", nullable=True),
    Index(None, "key", "tenant_id"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

refused_tokens = Table(  # Entra tokens that were signed out
    "refused_tokens",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # `entra:` and SHA-256 of client and token
    time("refused_at"),
    time("expires_at"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)

kept_tokens = Table(  # Microsoft's tokens, stored where a provider's settings ask for it
    "kept_tokens",
    metadata,
    tenant(),
    *row_of("providers", "provider_id", is_key=True),
    *row_of("users", "user_id", is_key=True),
    sealed("tokens", "kept_tokens/{provider_id}/{user_id}/tokens"),  # JSON
    time("kept_at"),
    Index(None, "tenant_id", "user_id"),
    info=OWNED,
    sqlite_strict=True,
)
