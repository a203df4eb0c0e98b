"""A client's identity providers as data, the identities linked to them, and pending sign-ins at them.

Owns ``providers``, ``provider_domains``, ``identities``, ``kept_tokens`` and ``sign_in_flows``. Never calls a provider,
opens no session, and knows no kind of provider: each is a module of ``sign_in/providers``.
"""

from manifest_auth.providers.claimed_providers import ProviderOption, find_by_directory, find_by_domain
from manifest_auth.providers.identities import (
    ALIAS,
    IDENTITIES,
    GrantingIdentity,
    Identity,
    LinkedBy,
    ProviderEmail,
    count_people,
    find_identity,
    find_in_directory,
    granted_by_others,
    granted_to,
    granting_identities,
    has_subject,
    is_linked,
    link,
    list_identities,
    record_sign_in,
)
from manifest_auth.providers.proved_identities import confirm, has_proved, is_proved, unlink_unproved
from manifest_auth.providers.providers import (
    LISTING,
    Provider,
    change,
    create,
    find,
    find_by_id,
    find_with_issuer,
    get,
    get_by_id,
    list_all,
    open_secrets,
    remove,
    replace_secrets,
    switch,
)
from manifest_auth.providers.settings import (
    Directory,
    KindSettings,
    Secrets,
    Settings,
    check_provider_name,
)
from manifest_auth.providers.unlinking import Issuer, Unlinked, subjects_at, unlink, was_created_unvouched
from manifest_auth.providers.upstream_tokens import drop_tokens, store_tokens
