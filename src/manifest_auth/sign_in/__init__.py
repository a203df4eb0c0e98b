"""Sign-in and sign-out of users and system admins: password, identity providers, one-time links, refresh.

Owns ``sign_in_codes`` and ``directory_proofs``. Each method proves which account is meant; :mod:`.completion` alone
opens a user's session. Knows no HTTP: routes pass in what was sent and send the result.
"""
