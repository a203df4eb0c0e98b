"""A client's identity providers as data, the identities linked to them, and sign-ins under way at them.

Owns ``providers``, ``provider_domains``, ``identities``, ``kept_tokens`` and ``sign_in_flows``. Hands over what a
provider is told to be (:class:`Provider`, :class:`Settings`, :class:`Secrets`), who its people are here
(:class:`Identity`), and which roles its groups give. Never calls a provider, opens no session, and knows no kind of
provider: each is a module of ``sign_in/providers``.
"""

from manifest_auth.providers.by_claim import Offered, find_by_directory, find_by_domain
from manifest_auth.providers.identities import (
    ALIAS,
    IDENTITIES,
    Address,
    Given,
    How,
    Identity,
    Unlinked,
    claims_unvouched,
    find_identity,
    find_in_directory,
    given_by,
    granted_by_others,
    granted_to,
    has_subject,
    is_linked,
    link,
    list_identities,
    seen,
    unlink,
)
from manifest_auth.providers.proved import confirm, is_proved, unlink_unproved
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
from manifest_auth.providers.upstream_tokens import drop_tokens, keep_tokens
