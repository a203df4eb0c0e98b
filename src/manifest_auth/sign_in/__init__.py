"""Sign-in and sign-out of users and system admins: password, identity providers, one-time links, refresh.

Owns ``sign_in_codes`` and ``directory_proofs``. Each method verifies the user's identity, but only :mod:`.completion`
opens a user's session. This package knows nothing of HTTP: routes pass in the request's values and send the result.
"""
