"""A client's identity providers as data, the identities linked to them, and pending sign-ins at them.

Owns ``providers``, ``provider_domains``, ``identities``, ``kept_tokens`` and ``sign_in_flows``. Never calls a provider,
opens no session, and knows no kind of provider, since each is a module of ``sign_in/providers``.
"""

from manifest_auth.providers.identities import (
    ALIAS,
    IDENTITIES,
    Identity,
    Issuer,
    LinkedBy,
    ProviderEmail,
    Unlinked,
    count_people,
    find_identity,
    find_in_directory,
    granted_to,
    granted_to_many,
    granting_identities,
    has_subject,
    is_linked,
    link,
    list_identities,
    record_sign_in,
    subjects_at,
    unlink,
    was_created_unvouched,
)
from manifest_auth.providers.proved_identities import confirm, has_proved, is_proved, unlink_unproved
from manifest_auth.providers.providers import (
    LISTING,
    Provider,
    ProviderOption,
    change,
    create,
    drop_tokens,
    find,
    find_by_directory,
    find_by_domain,
    find_by_id,
    find_with_issuer,
    get,
    get_by_id,
    list_all,
    list_domains,
    open_secrets,
    remove,
    replace_secrets,
    store_tokens,
    switch,
)
from manifest_auth.providers.settings import Directory, GroupClaim, KindSettings, Secrets, Settings, check_provider_name
