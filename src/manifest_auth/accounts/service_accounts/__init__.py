"""Service accounts: machines that call the API, with API keys and client secrets.

Owns ``service_accounts``, ``service_secrets`` and ``used_assertions``, and the rows of ``users`` of kind ``service``.
A service account has no password, identity, factor, session, invitation or seat: statements for people do not reach it
(``store/statements.py``).
"""

from manifest_auth.accounts.service_accounts.assertions import use_assertion
from manifest_auth.accounts.service_accounts.management import (
    Draft,
    change,
    create,
    delete,
    disable,
    enable,
)
from manifest_auth.accounts.service_accounts.oauth_clients import OAuthAccount, find_oauth_account
from manifest_auth.accounts.service_accounts.rows import LISTING, MOST, ServiceAccount, find, get
from manifest_auth.accounts.service_accounts.secret_management import (
    NewSecret,
    end_leaked,
    make_secret,
    revoke_secret,
    rotate_secret,
)
from manifest_auth.accounts.service_accounts.secrets import ENDED, MOST_OF, NOTICE_DAYS, Secret, live_secrets, noticed
from manifest_auth.accounts.service_accounts.secrets import find as find_secret
