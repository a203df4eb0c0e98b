"""Service accounts: machines that call the API, with API keys and client secrets.

Owns ``service_accounts``, ``service_secrets``, and ``used_assertions``, and the rows of ``users`` of kind ``service``.
A service account has no password, identity, factor, session, invitation, or seat. Statements for people don't affect it
(``store/statements.py``).
"""

from manifest_auth.accounts.service_accounts.credentials import (
    ENDED,
    MOST_OF,
    NOTICE_DAYS,
    Jwks,
    Secret,
    key_set_in,
    live_secrets,
    noticed,
    use_assertion,
)
from manifest_auth.accounts.service_accounts.credentials import MOST as MOST_KEYS
from manifest_auth.accounts.service_accounts.credentials import find as find_secret
from manifest_auth.accounts.service_accounts.management import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_H,
    MOST_DAYS,
    MOST_OVERLAP_H,
    NewSecret,
    change,
    check_may_give,
    create,
    delete,
    disable,
    enable,
    end_leaked,
    make_secret,
    revoke_secret,
    rotate_secret,
)
from manifest_auth.accounts.service_accounts.rows import (
    LISTING,
    MOST,
    OAuthAccount,
    ServiceAccount,
    ServiceAccountData,
    find,
    find_oauth_account,
    get,
)
