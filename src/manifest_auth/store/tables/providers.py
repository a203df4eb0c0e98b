"""Tables of single sign-on, and of clients' claims on domains, directories and the names of providers."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint

from manifest_auth.store.tables.columns import BigInt, global_table, numbered, owned_table, row_of, sealed, tenant, time

providers = owned_table(
    "providers",
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
)

provider_checks = owned_table(  # the last check that the server made on its own, see clients/providers/daily_checks.py
    "provider_checks",
    tenant(goes_with=True),
    *row_of("providers", "provider_id", is_key=True, goes_with=True),
    time("checked_at"),
    Column("level", Text, nullable=False),  # ok, unknown, bad
    Column("problem", Text, nullable=False),  # empty: none
)

provider_domains = owned_table(  # email domains that a provider vouches for
    "provider_domains",
    tenant(),
    *row_of("providers", "provider_id", is_key=True),
    Column("domain", Text, primary_key=True),  # lower case
)

identities = owned_table(  # (provider, subject) is a user; nothing else identifies a provider's person
    "identities",
    *numbered(),
    *row_of("providers", "provider_id"),
    Column("subject", Text, nullable=False),
    *row_of("users", "user_id"),
    Column("how", Text, nullable=False),  # the linking method, see providers.LinkedBy
    Column("email", Text, nullable=False),  # as the provider last sent it, for display
    Column("granted", Integer, nullable=False),  # bit mask of the roles that this provider's groups added
    Column("vouched", Integer, nullable=False, server_default="0"),  # 1: the provider vouched for `email`
    time("confirmed_at", nullable=True),  # an Admin confirmed that it is the user's
    Column("confirmed_by", Text),
    time("created_at"),
    time("last_sign_in_at"),
    Column("untold", Integer),  # 1: a User Admin changed who vouches for it, and its user has not been notified
    UniqueConstraint("tenant_id", "provider_id", "subject"),
    Index(None, "tenant_id", "user_id"),
)

# Identities of deleted providers: a provider with the same issuer identifies the subjects again. An unlinked identity
# leaves only whether it had created its account with an address that nobody vouched for.
former_identities = owned_table(
    "former_identities",
    tenant(goes_with=True),
    Column("id", BigInt, primary_key=True, autoincrement=False),  # the identity's
    *row_of("users", "user_id", goes_with=True),
    Column("kind", Text, nullable=False),  # the provider's
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("how", Text, nullable=False),  # the linking method
    Index(None, "tenant_id", "user_id"),
)

# A pending sign-in at a provider. `browser` is emptied once it is used; the row is deleted after it expires.
sign_in_flows = owned_table(
    "sign_in_flows",
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of `state` or `RelayState`
    *row_of("providers", "provider_id"),
    Column("browser", Text, nullable=False),  # SHA-256 of the cookie that the browser must send
    Column("request_id", Text),  # for a SAML request
    sealed("secrets", "sign_in_flows/{key}/secrets"),  # nonce and PKCE verifier, or the result of a completed test
    Column("return_to", Text, nullable=False),
    Column("response", Text, nullable=False),  # `cookie`, `code`, `try` or `reauthenticate`
    Column("challenge", Text, nullable=False),  # the app's own PKCE challenge for its one-time code, or empty
    Column("link_session_id", Text),  # the session that links an identity, tests the provider, or re-authenticates
    Column("invitation_id", BigInt),
    Column("redirect_uri", Text, nullable=False, server_default=""),  # the callback address of the response
    # 1: the response must name its issuer (RFC 9207).
    Column("iss_required", Integer, nullable=False, server_default="0"),
    time("expires_at"),
    Index(None, "key"),
    Index(None, "request_id"),
    Index(None, "expires_at"),
    Index(None, "tenant_id", "provider_id"),
)

seen_assertions = owned_table(  # IDs of used SAML assertions
    "seen_assertions",
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of issuer and id
    time("expires_at"),
    Index(None, "expires_at"),
)

sign_in_codes = owned_table(  # one-time codes for apps
    "sign_in_codes",
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of the code
    *row_of("providers", "provider_id", nullable=True),  # null: a sign-in on our own pages
    *row_of("users", "user_id"),
    Column("method", Text, nullable=False),
    Column("challenge", Text, nullable=False),
    time("expires_at"),
    time("used_at", nullable=True),
    Column("session_id", Text),  # the session that it was exchanged for
    Column("parent_id", Text),  # the session that requested it; null: a sign-in did
    # Only for apps (accounts/apps.py). The key is a hash that programs without support for apps never look for.
    Column("app_id", Text),
    Column("redirect_uri", Text),
    Column("scopes", Text),
    Column("nonce", Text),
    Column("amr", Text, nullable=False, server_default=""),  # what was verified before it was issued
    time("authenticated_at", nullable=True),
    Index(None, "key"),
    Index(None, "expires_at"),
    Index(None, "tenant_id", "provider_id"),
)

invitations = owned_table(  # one-time links: for a first sign-in, or for a new password
    "invitations",
    *numbered(),
    *row_of("users", "user_id"),
    Column("purpose", Text, nullable=False, server_default="invitation"),  # or `reset`
    Column("key", Text, nullable=False),  # SHA-256 of the invitation's token
    Column("invited_by", Text, nullable=False),
    Column("emailed", Integer, nullable=False, server_default="0"),  # 1: only emailed to the user
    time("created_at"),
    time("expires_at"),
    time("used_at", nullable=True),
    Index(None, "key", "tenant_id"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
)

refused_tokens = owned_table(  # Entra tokens that were signed out
    "refused_tokens",
    tenant(),
    Column("key", Text, primary_key=True),  # `entra:` and SHA-256 of client and token
    time("refused_at"),
    time("expires_at"),
    Index(None, "expires_at"),
)

kept_tokens = owned_table(  # Microsoft's tokens, stored if a provider's settings require it
    "kept_tokens",
    tenant(),
    *row_of("providers", "provider_id", is_key=True),
    *row_of("users", "user_id", is_key=True),
    sealed("tokens", "kept_tokens/{provider_id}/{user_id}/tokens"),  # JSON
    time("kept_at"),
    Index(None, "tenant_id", "user_id"),
)


# Tables of clients' claims on shared names: email domains, Microsoft directories, provider names.
#
# A claim is a row of the client. Whether it counts for the installation is another row, keyed only by the domain or
# directory, so the database prevents two owners; that row is deleted with the claim.


domain_claims = owned_table(
    "domain_claims",
    tenant(),
    Column("domain", Text, primary_key=True),  # lower case
    Column("token", Text, nullable=False),  # the DNS record's; random, and never changes
    Column("state", Text, nullable=False),  # `pending`, `proved`, `failing`, `lapsed`
    Column("proof", Text),  # `dns`, `vouched`; null if never verified
    Column("contested", Integer, nullable=False),  # 1: another client owns the domain, or has published a record too
    Column("claimed_by", Text, nullable=False),  # the actor, as in the audit trail
    Column("reason", Text, nullable=False),  # for vouching, or empty
    time("claimed_at"),
    time("proved_at", nullable=True),
    time("checked_at", nullable=True),
    time("failing_since", nullable=True),
    Column("notices", Integer, nullable=False),  # number of emails about the failing record
    time("next_check_at", nullable=True),  # null: never checked automatically; advanced by the checking process
    Index(None, "domain"),
    Index(None, "next_check_at"),
)

domain_owners = global_table(  # the client whose claim on a domain counts
    "domain_owners",
    Column("domain", Text, primary_key=True),
    Column("tenant_id", BigInt, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "domain"], ["domain_claims.tenant_id", "domain_claims.domain"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "domain"),
)

directory_claims = owned_table(
    "directory_claims",
    tenant(),
    Column("directory", Text, primary_key=True),  # a GUID in lower case
    Column("cloud", Text, nullable=False),  # a name of microsoft.clouds; empty: the installation's
    Column("state", Text, nullable=False),  # `pending`, `proved`
    Column("proof", Text),  # `sign-in`, `vouched`, `granted`; null if never verified
    Column("claimed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),  # for vouching or a grant, or empty
    Column("proved_by", Text, nullable=False),  # `oid` of the directory's administrator who signed in, or empty
    time("claimed_at"),
    time("proved_at", nullable=True),
    Index(None, "directory"),
)

directory_owners = global_table(  # the client whose claim on a directory counts; a system admin can grant it to others
    "directory_owners",
    Column("directory", Text, primary_key=True),
    Column("tenant_id", BigInt, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "directory"], ["directory_claims.tenant_id", "directory_claims.directory"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "directory"),
)

directory_proofs = owned_table(  # pending sign-ins of directory administrators
    "directory_proofs",
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of `state`
    Column("directory", Text, nullable=False),
    Column("browser", Text, nullable=False),  # SHA-256 of the cookie that the browser must send; empty: used
    Column("session_id", Text, nullable=False),  # the session that started it
    Column("provider_id", BigInt),  # the provider whose application is used; null: the operator's
    sealed("secrets", "directory_proofs/{key}/secrets"),  # nonce and PKCE verifier
    Column("return_to", Text, nullable=False),
    time("expires_at"),
    Index(None, "key"),
    Index(None, "expires_at"),
)

provider_names = global_table(  # the client that a sign-in without a client means
    "provider_names",
    Column("name", Text, primary_key=True),
    Column("tenant_id", BigInt, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Index(None, "tenant_id"),
)
