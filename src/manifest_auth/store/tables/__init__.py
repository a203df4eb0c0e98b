"""All tables, one module for each part of the product.

Conventions: times are whole milliseconds since 1970 UTC (``…_at``), the same number in both databases. Text is UTF-8. A
table of tenants has a ``tenant_id`` and is marked in ``info``, and :mod:`.statements` rejects statements on it that are
not bound to one tenant. IDs are never reused.

Every key of a tenant's table begins with ``tenant_id``, and foreign keys between such tables include the tenant
(:func:`.columns.row_of`), so no row can point at another tenant's row. Values that are unique across all tenants are in
a table of the installation. Secrets that are looked up by their hash have an index without the tenant, which is not
unique.
"""

from manifest_auth.store.tables.accounts import (
    admin_recovery_codes,
    admin_second_factors,
    email_changes,
    known_origins,
    passkey_handles,
    passkey_owners,
    passkeys,
    password_history,
    queued_mails,
    recovery_codes,
    service_accounts,
    service_secrets,
    sessions,
    sign_in_challenges,
    trusted_browsers,
    used_assertions,
    used_passkey_challenges,
    user_totps,
    users,
)
from manifest_auth.store.tables.columns import metadata, sealed_for
from manifest_auth.store.tables.devices import (
    app_grants,
    app_secrets,
    apps,
    badge_pins,
    badges,
    device_enrolments,
    device_grants,
    enrolled_devices,
    logout_notices,
    pairings,
)
from manifest_auth.store.tables.installation import (
    admin_sessions,
    audit_anchors,
    audit_events,
    audit_heads,
    client_logos,
    daily_figures,
    file_totals,
    id_token_keys,
    installation,
    licences,
    nodes,
    revoked_licences,
    schema_state,
    seats_taken,
    signing_keys,
    submitted_forms,
    system_admins,
    tenants,
    throttles,
    uploads,
)
from manifest_auth.store.tables.providers import (
    directory_claims,
    directory_owners,
    directory_proofs,
    domain_claims,
    domain_owners,
    former_identities,
    identities,
    invitations,
    kept_tokens,
    provider_checks,
    provider_domains,
    provider_names,
    providers,
    refused_tokens,
    seen_assertions,
    sign_in_codes,
    sign_in_flows,
)
from manifest_auth.store.tables.provisioning import (
    scim_connections,
    scim_emails,
    scim_groups,
    scim_members,
    scim_tokens,
    scim_users,
)
from manifest_auth.store.tables.work import (
    files,
    job_assignments,
    job_events,
    job_records,
    job_steps,
    jobs,
    template_events,
    template_steps,
    template_versions,
    templates,
)

TENANT_OWNED = frozenset(t for t in metadata.tables.values() if t.info.get("owner") == "tenant")
