"""The second factors of users: authenticator apps, passkeys, recovery codes, trusted browsers, and open challenges.

Owns ``user_totps``, ``passkeys``, ``passkey_handles``, ``recovery_codes``, ``trusted_browsers``, ``sign_in_challenges``
and ``used_passkey_challenges``. Never opens a session, and never decides whether a factor is required.
"""

from manifest_auth.accounts.factors import challenges, one_time_codes, trusted_browsers
from manifest_auth.accounts.factors.changes import Kind, added, check_removable, drop_all, removed
