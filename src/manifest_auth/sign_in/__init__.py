"""Ways in and out: password, identity providers, one-time links, refresh, sign-out; for users and for system admins.

Owns ``sign_in_codes`` and ``directory_proofs``. A way in proves whose account is meant; :mod:`.completion` alone opens
a user's session. Never speaks HTTP: routes hand in what was sent, and get what is to be answered.
"""
