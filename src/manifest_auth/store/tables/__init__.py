"""All tables, one module for each part of the product.

Conventions: times are whole milliseconds since 1970 UTC (``…_at``), the same number in both stores; texts are UTF-8; a
table of tenants has a ``tenant_id`` and is marked in ``info``, and :mod:`.statements` refuses statements on it that are
not bound to one tenant. Ids are never reused.

Every key of a tenant's table begins with ``tenant_id``, and foreign keys between such tables hold the tenant together
with what they name (:func:`.columns.row_of`): no row can point at another tenant's row. What is unique over all tenants
stands in a table of the installation. Secrets looked up by their hash have an index without the tenant, not unique.
"""

from manifest_auth.store.tables.accounts import (
    email_changes,
    known_origins,
    password_history,
    queued_mails,
    service_accounts,
    service_secrets,
    sessions,
    used_assertions,
    users,
)
from manifest_auth.store.tables.audit import audit_anchors, audit_events, audit_heads
from manifest_auth.store.tables.columns import metadata, sealed_for
from manifest_auth.store.tables.devices import (
    badge_pins,
    badges,
    device_apps,
    device_enrolments,
    device_grants,
    enrolled_devices,
    pairings,
)
from manifest_auth.store.tables.factors import (
    admin_recovery_codes,
    admin_second_factors,
    passkey_handles,
    passkey_owners,
    passkeys,
    recovery_codes,
    sign_in_challenges,
    trusted_browsers,
    used_passkey_challenges,
    user_totps,
)
from manifest_auth.store.tables.installation import (
    admin_sessions,
    client_logos,
    installation,
    licences,
    nodes,
    revoked_licences,
    schema_state,
    seats_taken,
    signing_keys,
    system_admins,
    tenants,
    throttles,
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
    provider_domains,
    provider_names,
    providers,
    refused_tokens,
    seen_assertions,
    sign_in_codes,
    sign_in_flows,
)
from manifest_auth.store.tables.quotas import file_totals, uploads
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
